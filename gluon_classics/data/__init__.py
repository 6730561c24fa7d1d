"""Data: where it comes from (`sources`, `fetch`, `files`), its formats, the data sets, and batches of them."""

from gluon_classics.data.augmentation import AugmentedTransform
from gluon_classics.data.catalog import list_datasets, load_dataset
from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.duplicates import duplicate_lines, find_duplicates
from gluon_classics.data.files.archives import BadArchive, extract
from gluon_classics.data.files.image_files import BadImage, read_image
from gluon_classics.data.files.sources import DatasetUnavailable
from gluon_classics.data.files.verified import DamagedFile
from gluon_classics.data.formats.cifar import CIFAR10_CLASSES, CIFAR100_CLASSES
from gluon_classics.data.formats.class_folders import BadImages, load_image_folder
from gluon_classics.data.formats.coil20 import COIL20_CLASSES, load_coil20
from gluon_classics.data.formats.fashion_mnist import FASHION_MNIST_CLASSES, find_fashion_mnist
from gluon_classics.data.formats.mnist import MNIST_CLASSES
from gluon_classics.data.image_options import ImageOptions
from gluon_classics.data.loader import DataLoader
from gluon_classics.data.splits import (
    split_from_json,
    split_leave_poses,
    split_pose_blocks,
    split_random,
    split_to_json,
)
from gluon_classics.data.statistics import pixel_statistics
from gluon_classics.data.transforms import ImageTransform
from gluon_classics.data.tutorial import load_data_fashion_mnist

__all__ = [
    "CIFAR100_CLASSES",
    "CIFAR10_CLASSES",
    "COIL20_CLASSES",
    "FASHION_MNIST_CLASSES",
    "MNIST_CLASSES",
    "AugmentedTransform",
    "BadArchive",
    "BadImage",
    "BadImages",
    "DamagedFile",
    "DataLoader",
    "DatasetUnavailable",
    "ImageDataset",
    "ImageOptions",
    "ImageTransform",
    "duplicate_lines",
    "extract",
    "find_duplicates",
    "find_fashion_mnist",
    "list_datasets",
    "load_coil20",
    "load_data_fashion_mnist",
    "load_dataset",
    "load_image_folder",
    "pixel_statistics",
    "read_image",
    "split_from_json",
    "split_leave_poses",
    "split_pose_blocks",
    "split_random",
    "split_to_json",
]
