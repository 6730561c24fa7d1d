"""Fashion-MNIST: 70,000 grey images of 28x28 pixels in 10 classes (H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a
Novel Image Dataset for Benchmarking Machine Learning Algorithms", 2017).

https://github.com/zalandoresearch/fashion-mnist, MIT licence.
"""

from __future__ import annotations

from pathlib import Path

from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.files import sources
from gluon_classics.data.files.verified import FileSpec
from gluon_classics.data.formats.idx import from_idx

#: In the order of the labels 0 to 9, spelled as in the data set's README.
FASHION_MNIST_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

SAMPLE_FOLDER = Path(__file__).parents[1] / "samples" / "fashion-mnist"

FASHION_MNIST = sources.Source(
    title="Fashion-MNIST",
    folder="fashion-mnist",
    files=(
        FileSpec(
            "train-images-idx3-ubyte", 47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        FileSpec("train-labels-idx1-ubyte", 60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        FileSpec(
            "t10k-images-idx3-ubyte", 7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        FileSpec("t10k-labels-idx1-ubyte", 10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ),
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # an S3 web site, without https
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset/fashion-mnist/",
    ),
    by_hand="https://github.com/zalandoresearch/fashion-mnist/tree/master/data/fashion",
    debian_package="dataset-fashion-mnist",
    sample="fashion-mnist-sample",
)

#: The sample in this package: 600 training and 100 test images of each class, made by experiments/make_sample.py.
FASHION_MNIST_SAMPLE = (
    FileSpec("train-images-idx3-ubyte", 4_704_016, "cf313073c7eb485392848071d5c433571d7166043e971e3345b095cc30518084"),
    FileSpec("train-labels-idx1-ubyte", 6_008, "097b93fbcf9bd5bc648b1a457ddc55c9e4ab49afb33f9ecae8ce068399a75e3a"),
    FileSpec("t10k-images-idx3-ubyte", 784_016, "7cee33c3c6414b1b86c25e665a6c4f41584269de3b7cc9768b1d351922845eef"),
    FileSpec("t10k-labels-idx1-ubyte", 1_008, "3128d790775889812b73c4f13923559c8b9e281d112c6ea7862acf60a206a909"),
)


def find_fashion_mnist(root: str | Path | None = None) -> Path:
    """Return the folder with Fashion-MNIST's four files, verified; see `sources.find`."""
    return sources.find(FASHION_MNIST, root)[0]


def load_fashion_mnist(root: str | Path | None = None) -> tuple[ImageDataset, ImageDataset]:
    """Return the 60,000 training and the 10,000 test images, (N, 28, 28, 1).

    See `sources.find` for `root`, the folders that are searched, and the errors.
    """
    folder, raw = sources.find(FASHION_MNIST, root)
    return from_idx("fashion-mnist", folder, raw, FASHION_MNIST_CLASSES)


def load_fashion_mnist_sample(root: str | Path | None = None) -> tuple[ImageDataset, ImageDataset]:
    """Return the 6,000 training and 1,000 test images that ship with this package.

    Raises ValueError if `root` is given.
    """
    if root is not None:
        raise ValueError(f"fashion-mnist-sample ships with this package: omit {root}, or load fashion-mnist from there")
    raw = sources.read_verified(SAMPLE_FOLDER, FASHION_MNIST_SAMPLE)
    return from_idx("fashion-mnist-sample", SAMPLE_FOLDER, raw, FASHION_MNIST_CLASSES)
