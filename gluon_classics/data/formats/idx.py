"""The idx format of MNIST and its relatives, to and from NumPy.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section FILE FORMATS. A file
is a magic number (two zero bytes, the type: 8 is unsigned byte, the number of dimensions), then each dimension as
a big-endian 32-bit integer, then the values in C order. Images are 3-dimensional (magic number 2051), labels
1-dimensional (2049).
"""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Sequence
from pathlib import Path

from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.files.verified import DamagedFile, describe, write_atomically

import numpy as np

KIND_OF_NDIM = {3: "images", 1: "labels"}


def parse(raw: bytes, what: str, ndim: int) -> np.ndarray:
    """Return the array in `raw` as uint8, a read-only view: images (N, H, W) for `ndim` 3, labels (N,) for 1.

    Raises DamagedFile, beginning with `what`, for another kind of file, and for missing or trailing bytes.
    """
    magic, header = 2048 + ndim, 4 + 4 * ndim
    expected = f"idx {KIND_OF_NDIM[ndim]} (magic number {magic})"
    if raw[:4] != magic.to_bytes(4, "big"):
        raise DamagedFile(f"{what}: expected {expected}, found {describe(raw)}")
    if len(raw) < header:
        raise DamagedFile(f"{what}: truncated: expected {expected}, header of {header} bytes, found {len(raw)} bytes")
    shape = tuple(int(n) for n in np.frombuffer(raw, dtype=">u4", count=ndim, offset=4))
    if 0 in shape:
        raise DamagedFile(f"{what}: expected {expected} without a dimension of 0, found dimensions {shape}")
    size = header + math.prod(shape)  # Python integers, so that a nonsense header does not overflow
    if len(raw) != size:
        fault = "truncated" if len(raw) < size else "trailing bytes"
        raise DamagedFile(f"{what}: {fault}: expected {size:,} bytes for dimensions {shape}, found {len(raw):,}")
    return np.frombuffer(raw, dtype=np.uint8, offset=header).reshape(shape)


def write_idx(path: str | Path, array: np.ndarray) -> None:
    """Write uint8 images (N, H, W) or labels (N,) to `path`, atomically, compressed if it ends in .gz.

    The compressed file holds neither time nor name, so that equal arrays give equal files.
    Raises ValueError for another dtype or number of dimensions, OSError if `path` cannot be written.
    """
    array = np.asarray(array)
    if array.dtype != np.uint8 or array.ndim not in KIND_OF_NDIM:
        raise ValueError(f"{path}: expected uint8 images (N, H, W) or labels (N,), found {array.dtype} {array.shape}")
    header = np.array([2048 + array.ndim, *array.shape], dtype=">u4").tobytes()
    data = header + np.ascontiguousarray(array).tobytes()
    if Path(path).suffix == ".gz":
        buffer = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as stream:
            stream.write(data)
        data = buffer.getvalue()
    write_atomically(path, data)


def from_idx(
    name: str, folder: Path, raw: dict[str, bytes], classes: Sequence[str]
) -> tuple[ImageDataset, ImageDataset]:
    """Make the training and the test set from the decompressed bytes of the four files under their usual names."""
    pair = []
    for part in ("train", "t10k"):
        images, labels = (
            parse(raw[file], str(folder / file), ndim)
            for file, ndim in ((f"{part}-images-idx3-ubyte", 3), (f"{part}-labels-idx1-ubyte", 1))
        )
        pair.append(ImageDataset(images[..., np.newaxis], labels, classes, name, str(folder)))
    return pair[0], pair[1]
