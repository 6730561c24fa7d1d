"""Images that lie on disk, chosen and reordered without a copy of them in memory."""

from __future__ import annotations

import mmap

import numpy as np

#: Bytes read or written after which a mapping's pages are to be released; Linux maps several times what is read.
KEPT = 2**25


class MappedRows:
    """Rows of a memory-mapped array: the part of a NumPy array's manners that data sets and loaders need.

    Indexing reads the rows asked for: `part[3]` (H, W, C), `part[a:b]` and `part[[5, 0, 7]]` (n, H, W, C), copies.
    `np.asarray(part)` reads all of them into memory.
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

    def __getitem__(self, index) -> np.ndarray:
        picked = np.array(self.array[self.rows[index]])
        self._read += picked.nbytes
        if self._read >= KEPT:
            release(self.array)
            self._read = 0
        return picked

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def release(array: np.memmap) -> None:
    """Give back the pages of a mapped file, which top and batch systems count as the process's memory.

    Nothing is lost: they stay in the system's cache, where others may have their place, and come back when asked for.
    """
    if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        array._mmap.madvise(mmap.MADV_DONTNEED)


def is_mapped(images) -> bool:
    """Whether images lie on disk, and come into memory as they are asked for."""
    return isinstance(images, (np.memmap, MappedRows))


def choose(images: np.ndarray | MappedRows, rows) -> np.ndarray | MappedRows:
    """`images[rows]` for a slice, a mask or an array of indices; of images on disk without reading them."""
    if isinstance(images, MappedRows):
        return MappedRows(images.array, images.rows[rows])
    if isinstance(images, np.memmap) and not isinstance(rows, slice):
        return MappedRows(images, np.arange(len(images))[rows])
    return images[rows]
