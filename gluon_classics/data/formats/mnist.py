"""MNIST: 70,000 handwritten digits of 28x28 grey pixels (Y. LeCun, L. Bottou, Y. Bengio, P. Haffner,
"Gradient-based learning applied to document recognition", Proceedings of the IEEE 86, 1998).

The four files are in the idx format and have the same names as Fashion-MNIST's. They are identified by the SHA-256 of
the decompressed bytes, because several compressed versions exist.
"""

from __future__ import annotations

from pathlib import Path

from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.files import sources
from gluon_classics.data.files.verified import FileSpec
from gluon_classics.data.formats.idx import from_idx

MNIST_CLASSES = tuple("0123456789")

MNIST = sources.Source(
    title="MNIST",
    folder="mnist",
    files=(
        FileSpec(
            "train-images-idx3-ubyte", 47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        FileSpec("train-labels-idx1-ubyte", 60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        FileSpec(
            "t10k-images-idx3-ubyte", 7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        FileSpec("t10k-labels-idx1-ubyte", 10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset/mnist/",
    ),
    by_hand="https://github.com/cvdfoundation/mnist",
)


def load_mnist(root: str | Path | None = None) -> tuple[ImageDataset, ImageDataset]:
    """Return the 60,000 training and the 10,000 test images, (N, 28, 28, 1).

    See `sources.find` for `root`, the folders that are searched, and the errors.
    """
    folder, raw = sources.find(MNIST, root)
    return from_idx("mnist", folder, raw, MNIST_CLASSES)
