"""Images on disk, selected and reordered without copying them to memory."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np

#: Bytes read or written before a mapping's pages are released. Linux maps several times what is read.
KEPT = 2**25


class MappedRows:
    """Rows of a memory-mapped array, with the part of NumPy's interface that data sets and loaders need.

    Indexing reads the rows asked for: `part[3]` (H, W, C), `part[a:b]` and `part[[5, 0, 7]]` (n, H, W, C) are copies.
    `np.asarray(part)` reads all of them.
    """

    def __init__(self, array: np.memmap, rows: np.ndarray):
        self.array = array
        self.rows = rows
        self.shape = (len(rows), *array.shape[1:])
        self.dtype = array.dtype
        self.ndim = array.ndim
        self._read = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> np.ndarray:
        picked = np.array(self.array[self.rows[index]])
        self._read += picked.nbytes
        if self._read >= KEPT:
            release(self.array)
            self._read = 0
        return picked

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def release(array: np.memmap) -> None:
    """Release the pages of a mapped file, which top and batch systems count as the process's memory.

    They stay in the system's cache, which it may reuse, and are read again on demand.
    """
    if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        array._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]  # NumPy's stubs lack it


def is_mapped(images: object) -> bool:
    """Whether images are on disk and are read on demand."""
    return isinstance(images, (np.memmap, MappedRows))


def choose(images: np.ndarray | MappedRows, rows: slice | np.ndarray) -> np.ndarray | MappedRows:
    """Return `images[rows]` for a slice, a mask or an array of indices, without reading images that are on disk."""
    if isinstance(images, MappedRows):
        return MappedRows(images.array, images.rows[rows])
    if isinstance(images, np.memmap) and not isinstance(rows, slice):
        return MappedRows(images, np.arange(len(images))[rows])
    return images[rows]
