"""The idx format of MNIST and its relatives, to and from NumPy.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section FILE FORMATS. A file
is a magic number (two zero bytes, the type: 8 is unsigned byte, the number of dimensions), then each dimension as
a big-endian 32-bit integer, then the values in C order. Images are 3-dimensional (magic number 2051), labels
1-dimensional (2049). Files may be gzip-compressed or plain: the contents decide, not the name.
"""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Sequence
from pathlib import Path

from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.files.verified import DamagedFile, describe, read_bytes, write_atomically

import numpy as np

KIND_OF_NDIM = {3: "images", 1: "labels"}


def parse_images(raw: bytes, what: str, image_shape: tuple[int, int] | None = None) -> np.ndarray:
    """The images in `raw` as uint8 (N, H, W), a read-only view of `raw`. `what` names the file in errors.

    Raises DamagedFile for another kind of file, images not of `image_shape`, missing or trailing bytes.
    """
    images = _parse(raw, what, ndim=3)
    if image_shape is not None and images.shape[1:] != tuple(image_shape):
        raise DamagedFile(
            f"{what}: expected images of {image_shape[0]}x{image_shape[1]} pixels, "
            f"found {images.shape[1]}x{images.shape[2]}"
        )
    return images


def parse_labels(raw: bytes, what: str, num_classes: int | None = None) -> np.ndarray:
    """The labels in `raw` as uint8 (N,), a read-only view of `raw`. `what` names the file in errors.

    Raises DamagedFile for another kind of file, missing or trailing bytes, a label not below `num_classes`.
    """
    labels = _parse(raw, what, ndim=1)
    if num_classes is not None and labels.max() >= num_classes:
        first = int(np.argmax(labels >= num_classes))
        raise DamagedFile(
            f"{what}: expected labels from 0 to {num_classes - 1}, found {labels[first]} at position {first}"
        )
    return labels


def parse_pair(
    raw_images: bytes,
    raw_labels: bytes,
    what_images: str,
    what_labels: str,
    image_shape: tuple[int, int] | None = None,
    num_classes: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, H, W) and their labels (N,), both uint8. Raises DamagedFile, also if the counts differ."""
    images = parse_images(raw_images, what_images, image_shape)
    labels = parse_labels(raw_labels, what_labels, num_classes)
    if len(images) != len(labels):
        raise DamagedFile(
            f"{what_images} and {what_labels}: expected as many labels as images, "
            f"found {len(images):,} images and {len(labels):,} labels"
        )
    return images, labels


def read_images(path, image_shape: tuple[int, int] | None = None) -> np.ndarray:
    """`parse_images` of the file `path`."""
    return parse_images(read_bytes(path), str(path), image_shape)


def read_labels(path, num_classes: int | None = None) -> np.ndarray:
    """`parse_labels` of the file `path`."""
    return parse_labels(read_bytes(path), str(path), num_classes)


def read_pair(
    images_path, labels_path, image_shape: tuple[int, int] | None = None, num_classes: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """`parse_pair` of two files."""
    return parse_pair(
        read_bytes(images_path), read_bytes(labels_path), str(images_path), str(labels_path), image_shape, num_classes
    )


def write_idx(path, array: np.ndarray) -> None:
    """Write uint8 images (N, H, W) or labels (N,) to `path`, atomically, compressed where it ends in .gz.

    The compressed file holds neither time nor name, so that equal arrays give equal files.
    Raises ValueError for another dtype or number of dimensions, OSError where `path` cannot be written.
    """
    array = np.asarray(array)
    if array.dtype != np.uint8 or array.ndim not in KIND_OF_NDIM:
        raise ValueError(
            f"{path}: expected uint8 images (N, H, W) or uint8 labels (N,), found {array.dtype} of shape {array.shape}"
        )
    header = np.array([2048 + array.ndim, *array.shape], dtype=">u4").tobytes()
    data = header + np.ascontiguousarray(array).tobytes()
    if Path(path).suffix == ".gz":
        buffer = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as stream:
            stream.write(data)
        data = buffer.getvalue()
    write_atomically(path, data)


def _parse(raw: bytes, what: str, ndim: int) -> np.ndarray:
    magic, header = 2048 + ndim, 4 + 4 * ndim
    expected = f"idx {KIND_OF_NDIM[ndim]} (magic number {magic})"
    if raw[:4] != magic.to_bytes(4, "big"):
        raise DamagedFile(f"{what}: expected {expected}, found {describe(raw)}")
    if len(raw) < header:
        raise DamagedFile(
            f"{what}: truncated: expected {expected} with a header of {header} bytes, found {len(raw)} bytes in all"
        )
    shape = tuple(int(n) for n in np.frombuffer(raw, dtype=">u4", count=ndim, offset=4))
    if 0 in shape:
        raise DamagedFile(f"{what}: expected {expected}, none of its dimensions 0, found dimensions {shape}")
    size = header + math.prod(shape)  # Python integers: a nonsense header must not overflow
    if len(raw) != size:
        fault = "truncated" if len(raw) < size else "trailing bytes"
        raise DamagedFile(
            f"{what}: {fault}: expected {size:,} bytes for the dimensions {shape} in its header, found {len(raw):,}"
        )
    return np.frombuffer(raw, dtype=np.uint8, offset=header).reshape(shape)


def from_idx(
    name: str, folder: Path, raw: dict[str, bytes], classes: Sequence[str]
) -> tuple[ImageDataset, ImageDataset]:
    """Training and test set from the decompressed bytes of the four files under their usual names."""
    pair = []
    for part in ("train", "t10k"):
        files = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
        images, labels = parse_pair(
            raw[files[0]],
            raw[files[1]],
            *(str(folder / file) for file in files),
            image_shape=(28, 28),
            num_classes=len(classes),
        )
        pair.append(ImageDataset(images[..., np.newaxis], labels, classes, name, str(folder)))
    return pair[0], pair[1]
