"""The data sets by name. Nothing else in this folder imports this file, so there is no circle with `formats/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gluon_classics.data.image_options import ImageOptions
from gluon_classics.nearest import unknown_name

if TYPE_CHECKING:
    from gluon_classics.data.dataset import ImageDataset

SPLIT = ("split", "test_fraction", "pose_step", "stored")

#: Each data set with the fields of ImageOptions that it takes. Data sets that take SPLIT have no test set of their own.
DATASETS = {
    "cifar10": (),
    "cifar100": (),
    "coil20": SPLIT,
    "fashion-mnist": (),
    "fashion-mnist-sample": (),
    "folder": (*SPLIT, "image_size", "channels", "skip_bad", "follow_links", "cache"),
    "mnist": (),
}


def list_datasets() -> list[str]:
    """Return the names that `load_dataset` accepts."""
    return sorted(DATASETS)


def load_dataset(
    name: str, root: str | Path | None = None, options: ImageOptions | None = None
) -> tuple[ImageDataset, ImageDataset]:
    """Return the training and the test set of `name`, one of `list_datasets()`.

    `root` is the folder to search first and to download into. For coil20 it is the archive or the folder of the images,
    for "folder" the folder of class folders or an archive of it; `options` say how to split these two, and how
    "folder" reads the images. The sample ships with the package and takes no `root`.

    Raises ValueError for an unknown name, for options that the data set does not take, and whenever the loader does:
    see `sources.find`, `coil20.load_coil20`, `folder.load_folder`, `splits.split_images`.
    """
    if name not in DATASETS:
        raise unknown_name("data set", name, list_datasets())
    options = options or ImageOptions()
    options.refuse_all_but(DATASETS[name], name)
    # imported here, so that listing the names needs neither NumPy nor MXNet
    from gluon_classics.data.formats import cifar, coil20, fashion_mnist, folder, mnist
    from gluon_classics.data.splits import split_images

    loaders = {
        "cifar10": lambda: cifar.load_cifar10(root),
        "cifar100": lambda: cifar.load_cifar100(root),
        "coil20": lambda: split_images(coil20.load_coil20(root), options),
        "fashion-mnist": lambda: fashion_mnist.load_fashion_mnist(root),
        "fashion-mnist-sample": lambda: fashion_mnist.load_fashion_mnist_sample(root),
        "folder": lambda: split_images(folder.load_folder(root, options), options),
        "mnist": lambda: mnist.load_mnist(root),
    }
    return loaders[name]()
