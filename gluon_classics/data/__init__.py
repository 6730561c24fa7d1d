"""Data: where it comes from (`sources`, `fetch`, `files`), its format (`idx`), the data sets, and batches of them."""

from gluon_classics.data.augmentation import AugmentedTransform
from gluon_classics.data.datasets import FASHION_MNIST_CLASSES, ImageDataset, list_datasets, load_dataset
from gluon_classics.data.fashion_mnist import load_data_fashion_mnist
from gluon_classics.data.files import DamagedFile
from gluon_classics.data.loader import DataLoader
from gluon_classics.data.sources import DatasetUnavailable, find_fashion_mnist
from gluon_classics.data.statistics import pixel_statistics
from gluon_classics.data.transforms import ImageTransform

__all__ = [
    "FASHION_MNIST_CLASSES",
    "AugmentedTransform",
    "DamagedFile",
    "DataLoader",
    "DatasetUnavailable",
    "ImageDataset",
    "ImageTransform",
    "find_fashion_mnist",
    "list_datasets",
    "load_data_fashion_mnist",
    "load_dataset",
    "pixel_statistics",
]
