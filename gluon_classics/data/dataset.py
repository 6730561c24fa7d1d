"""A data set of images: one uint8 array in memory or on disk, with labels and class names.

`dataset[i]` and `dataset[a:b]` return what MXNet's own vision data sets return, so that both gluon.data.DataLoader and
the tutorial's loader accept it.
"""

from __future__ import annotations

from collections.abc import Sequence

from gluon_classics.data.files.mapped import MappedRows, choose, is_mapped

import mxnet as mx
import numpy as np
from mxnet import gluon


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
