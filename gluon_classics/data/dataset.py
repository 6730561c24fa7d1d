"""A data set of images: one uint8 array in memory or on disk, with labels and class names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gluon_classics.data.files.mapped import MappedRows, choose, is_mapped

import mxnet as mx
import numpy as np
from mxnet import gluon


class ImageDataset(gluon.data.Dataset):
    """Images (N, H, W, C) uint8, with labels (N,) int32.

    `classes` are the class names; `origin` is the folder that the images were read from, or None; `files`, if the
    images come from files, are N names relative to `origin`, such as "boots/left 1.png".

    As with MXNet's own vision data sets, `dataset[i]` is (NDArray uint8 (H, W, C), np.int32) and `dataset[a:b]` is
    (NDArray (n, H, W, C), np.int32 (n,)), so gluon.data.DataLoader and the tutorial's loader accept it. Do not write
    to `images`: data sets may share the memory. A np.memmap, or a part of one (`mapped.MappedRows`), stays on disk and
    `dataset[a:b]` reads what it returns.

    Raises ValueError for a wrong dtype or shape, for counts that differ, and for labels out of range.
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
            raise ValueError(f"{name}: images must be uint8 (N, H, W, C), found {images.dtype} {images.shape}")
        if labels.dtype.kind not in "iu" or labels.ndim != 1:
            raise ValueError(f"{name}: labels must be integers (N,), found {labels.dtype} {labels.shape}")
        if len(images) != len(labels):
            raise ValueError(f"{name}: {len(images):,} images but {len(labels):,} labels; each image needs one")
        if files is not None and len(files) != len(images):
            raise ValueError(f"{name}: {len(images):,} images but {len(files):,} file names; each image needs one")
        if 0 in images.shape:
            raise ValueError(f"{name}: images of shape {images.shape} are empty")
        if labels.min() < 0 or labels.max() >= len(classes):
            found = f"{labels.min()} to {labels.max()}"
            raise ValueError(f"{name}: labels of {len(classes)} classes are 0 to {len(classes) - 1}, found {found}")
        self.images = images
        self.labels = labels.astype(np.int32)
        self.classes = tuple(classes)
        self.name = name
        self.origin = origin
        self.files = None if files is None else tuple(files)
        self._ndarray: mx.nd.NDArray | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int | slice | np.ndarray) -> tuple[mx.nd.NDArray, Any]:
        if is_mapped(self.images):
            return mx.nd.array(self.images[index], ctx=mx.cpu(), dtype=np.uint8), self.labels[index]
        # Copy to an NDArray on first use: slicing that is ten times as fast as making an NDArray for each example.
        # On the CPU in any context, so that it does not fill a GPU.
        if self._ndarray is None:
            self._ndarray = mx.nd.array(self.images, ctx=mx.cpu(), dtype=np.uint8)
        return self._ndarray[index], self.labels[index]

    def __repr__(self) -> str:
        return f"ImageDataset({self.name!r}, images {self.images.shape}, {len(self.classes)} classes)"

    def take(self, count: int | None) -> ImageDataset:
        """Return the first `count` examples, or all if there are fewer or `count` is None. ValueError below 1."""
        if count is None or count >= len(self):
            return self
        if count < 1:
            raise ValueError(f"{self.name}: cannot take {count} examples; take 1 to {len(self):,}")
        return self._only(slice(count))

    def split(self, fraction: float, seed: int) -> tuple[ImageDataset, ImageDataset]:
        """Split into (training, validation): of each class, round(fraction * count) images, at least 1, validate.

        They are drawn at random by `seed`, the same on every machine. Both parts keep the order of the images. At least
        one image of each class stays in training, so a class of one image has none in the validation part.
        Raises ValueError if `fraction` is not between 0 and 1, or no class has two images.
        """
        drawn = self._drawn(fraction, seed, kept=1)
        if not drawn.any():
            raise ValueError(f"{self.name}: no class has two images, so none can be split off: add images")
        return self._only(~drawn), self._only(drawn)

    def share(self, fraction: float, seed: int) -> ImageDataset:
        """Return the validation part of `split`, in which a class may be complete."""
        return self._only(self._drawn(fraction, seed, kept=0))

    def _drawn(self, fraction: float, seed: int, kept: int) -> np.ndarray:
        """Return a mask (N,) of the images that are drawn, with at least `kept` images of each class left."""
        if not 0 < fraction < 1:
            raise ValueError(f"{self.name}: cannot split off {fraction} of the images; give a fraction between 0 and 1")
        random = np.random.RandomState(seed)  # not Generator: its stream is the same in every NumPy version
        drawn = np.zeros(len(self), bool)
        for label in np.unique(self.labels):
            members = np.flatnonzero(self.labels == label)
            count = min(max(1, round(fraction * len(members))), len(members) - kept)
            drawn[random.permutation(members)[:count]] = True
        return drawn

    def _only(self, rows: slice | np.ndarray) -> ImageDataset:
        files = None if self.files is None else np.array(self.files, object)[rows].tolist()
        images, labels = choose(self.images, rows), self.labels[rows]
        return ImageDataset(images, labels, self.classes, self.name, self.origin, files)
