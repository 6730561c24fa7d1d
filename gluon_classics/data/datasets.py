"""The data sets by name, each as one uint8 array in memory.

Shapes: images (N, H, W, C) uint8, labels (N,) int32. `dataset[i]` and `dataset[a:b]` give what MXNet's own
vision data sets give, so the standard gluon.data.DataLoader and the tutorial's loader both take them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gluon_classics.nearest import unknown_name

import mxnet as mx
import numpy as np
from mxnet import gluon

from . import idx, sources
from .image_options import ImageOptions
from .mapped import MappedRows, choose, is_mapped

#: In the order of the labels 0 to 9, spelled as in the data set's README.
FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

SAMPLE_FOLDER = Path(__file__).parent / "samples" / "fashion-mnist"


class ImageDataset(gluon.data.Dataset):
    """Images and labels in memory: `images` uint8 (N, H, W, C), `labels` int32 (N,), `classes`, `name`,
    `origin`, the folder they were read from, if any, and `files`, each image's file, if they come from files: N names
    as "boots/left 1.png", relative to `origin`.

    `dataset[i]` is (NDArray uint8 (H, W, C), np.int32), `dataset[a:b]` (NDArray (n, H, W, C), np.int32 (n,)).
    `images` is for reading: several data sets, and the bytes of the file, may share it. It may be a np.memmap, which
    stays on disk, and whose parts do, as `mapped.MappedRows`; then `dataset[a:b]` reads what it gives.
    Raises ValueError, with `name`, for another dtype or shape, differing counts, labels out of range.
    """

    def __init__(
        self,
        images: np.ndarray | MappedRows,
        labels: np.ndarray,
        classes: Sequence[str],
        name: str,
        origin: str | None = None,
        files: Sequence[str] | None = None,
    ):
        images, labels = images if is_mapped(images) else np.asarray(images), np.asarray(labels)
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError(
                f"{name}: images must be uint8 of shape (N, H, W, C), found {images.dtype} of shape {images.shape}"
            )
        if labels.dtype.kind not in "iu" or labels.ndim != 1:
            raise ValueError(
                f"{name}: labels must be integers of shape (N,), found {labels.dtype} of shape {labels.shape}"
            )
        if len(images) != len(labels):
            raise ValueError(f"{name}: {len(images):,} images but {len(labels):,} labels; each needs one")
        if files is not None and len(files) != len(images):
            raise ValueError(f"{name}: {len(images):,} images but {len(files):,} names of files; each needs one")
        if 0 in images.shape:
            raise ValueError(f"{name}: images of shape {images.shape} hold nothing")
        if labels.min() < 0 or labels.max() >= len(classes):
            raise ValueError(
                f"{name}: labels run from {labels.min()} to {labels.max()}, but there are "
                f"{len(classes)} classes (0 to {len(classes) - 1})"
            )
        self.images = images
        self.labels = labels.astype(np.int32)
        self.classes = tuple(classes)
        self.name = name
        self.origin = origin
        self.files = None if files is None else tuple(files)
        self._ndarray = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index):
        if is_mapped(self.images):
            return mx.nd.array(self.images[index], ctx=mx.cpu(), dtype=np.uint8), self.labels[index]
        # One copy as an NDArray, made when first asked for: to slice it takes a tenth of the time of making an
        # NDArray for each example. On the CPU whatever the current context: this must not fill a device.
        if self._ndarray is None:
            self._ndarray = mx.nd.array(self.images, ctx=mx.cpu(), dtype=np.uint8)
        return self._ndarray[index], self.labels[index]

    def __repr__(self) -> str:
        return f"ImageDataset({self.name!r}, images {self.images.shape}, {len(self.classes)} classes)"

    def take(self, count: int | None) -> ImageDataset:
        """The first `count` examples (all where there are fewer, or for None). Raises ValueError below 1."""
        if count is None or count >= len(self):
            return self
        if count < 1:
            raise ValueError(f"{self.name}: cannot take {count} examples; take 1 to {len(self):,}")
        return self._only(slice(count))

    def split(self, fraction: float, seed: int) -> tuple[ImageDataset, ImageDataset]:
        """(training, validation): of each class, round(fraction * its count) images, at least 1, are for validation.

        Which ones is drawn by ``seed`` and is the same on every machine; both parts keep the order of the whole.
        Raises ValueError for a fraction outside 0..1, and if a class is left without an image to train on.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"{self.name}: cannot split off {fraction} of the images; give a fraction between 0 and 1")
        random = np.random.RandomState(seed)  # not Generator: its stream is the same on every NumPy
        validation = np.zeros(len(self), bool)
        for label in np.unique(self.labels):
            members = np.flatnonzero(self.labels == label)
            count = max(1, round(fraction * len(members)))
            if count == len(members):
                raise ValueError(
                    f"{self.name}: the fraction {fraction} leaves no image of class {self.classes[label]} to train on,"
                    f" of {len(members)}; give a smaller one, or more images"
                )
            validation[random.permutation(members)[:count]] = True
        return self._only(~validation), self._only(validation)

    def _only(self, rows) -> ImageDataset:
        files = None if self.files is None else np.array(self.files, object)[rows]
        images, labels = choose(self.images, rows), self.labels[rows]
        return ImageDataset(images, labels, self.classes, self.name, self.origin, files)


def list_datasets() -> list[str]:
    """The names that `load_dataset` knows."""
    return sorted(_LOADERS)


def load_dataset(name: str, root=None, options: ImageOptions | None = None) -> tuple[ImageDataset, ImageDataset]:
    """The training and the test set of `name`, one of `list_datasets()`.

    `root` is the folder to look in first and to fetch into; the sample comes with the package and takes none. Of coil20
    it is the archive or the folder of its pictures, of "folder" the folder of class folders, or an archive of it; these
    two are cut into training and test set as `options` say, which also tell "folder" how to read the pictures.
    Raises ValueError for an unknown name and for options that the data set does not take, and what the loaders raise:
    `sources.find`, `coil20.load_coil20`, `unpacked.unpacked`, `image_folder.load_image_folder`, `splits.split_images`.
    """
    if name not in _LOADERS:
        raise unknown_name("data set", name, list_datasets())
    options = options or ImageOptions()
    load, taken = _LOADERS[name]
    options.refuse_all_but(taken, name)
    return load(root, options)


# The modules that are imported in these functions import this one, for ImageDataset.


def _load_cifar10(root, options):
    from .cifar import load_cifar10

    return load_cifar10(root)


def _load_cifar100(root, options):
    from .cifar import load_cifar100

    return load_cifar100(root)


def _load_coil20(root, options):
    from .coil20 import load_coil20
    from .splits import split_images

    return split_images(load_coil20(root), options)


def _load_folder(root, options):
    from .image_folder import load_image_folder
    from .splits import split_images
    from .unpacked import unpacked

    if root is None:
        raise ValueError("--dataset folder is a folder that holds a folder of pictures for each class: give --data-dir")
    whole = load_image_folder(
        unpacked(root, options.log),
        image_size=options.image_size,
        channels=options.channels,
        skip_bad=options.skip_bad,
        cache=options.cache,
        log=options.log,
    )
    return split_images(whole, options)


def _load_mnist(root, options):
    from .mnist import load_mnist

    return load_mnist(root)


def _load_fashion_mnist(root, options):
    folder, raw = sources.find(sources.FASHION_MNIST, root)
    return from_idx("fashion-mnist", folder, raw, FASHION_MNIST_CLASSES)


def _load_fashion_mnist_sample(root, options):
    if root is not None:
        raise ValueError(
            f"fashion-mnist-sample comes with this package and is read from no other folder: leave"
            f" the folder {root} out, or name fashion-mnist to read the full data set from there"
        )
    raw = sources.read_verified(SAMPLE_FOLDER, sources.FASHION_MNIST_SAMPLE)
    return from_idx("fashion-mnist-sample", SAMPLE_FOLDER, raw, FASHION_MNIST_CLASSES)


def from_idx(
    name: str, folder: Path, raw: dict[str, bytes], classes: Sequence[str]
) -> tuple[ImageDataset, ImageDataset]:
    """Training and test set from the decompressed bytes of the four files under their usual names."""
    pair = []
    for part in ("train", "t10k"):
        files = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
        images, labels = idx.parse_pair(
            raw[files[0]],
            raw[files[1]],
            *(str(folder / file) for file in files),
            image_shape=(28, 28),
            num_classes=len(classes),
        )
        pair.append(ImageDataset(images[..., np.newaxis], labels, classes, name, str(folder)))
    return pair[0], pair[1]


# Each with the fields of ImageOptions that it takes
_LOADERS = {
    "cifar10": (_load_cifar10, ()),
    "cifar100": (_load_cifar100, ()),
    "coil20": (_load_coil20, ("split", "test_fraction", "pose_step", "stored")),
    "fashion-mnist": (_load_fashion_mnist, ()),
    "fashion-mnist-sample": (_load_fashion_mnist_sample, ()),
    "folder": (
        _load_folder,
        ("split", "test_fraction", "pose_step", "stored", "image_size", "channels", "skip_bad", "cache"),
    ),
    "mnist": (_load_mnist, ()),
}
