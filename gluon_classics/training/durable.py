"""Files that outlive a power failure, and arrays that were not lost on a full disk."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import mxnet as mx
import numpy as np
from mxnet import nd


@contextlib.contextmanager
def on_disk(file: Path) -> Iterator[Path]:
    """Bring to the disk what is written to `file` meanwhile. Raises OSError, naming it, where that fails."""
    try:
        yield file
        with open(file, "rb+") as opened:
            os.fsync(opened.fileno())
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno), str(file)) from error


def save_arrays(file: Path, arrays: dict[str, nd.NDArray]) -> None:
    """Write arrays in MXNet's format, as a CPU's. Raises OSError, naming the file, unless all of them can be read back.

    MXNet does not look whether closing the file wrote its last bytes.
    """
    arrays = {name: array.as_in_context(mx.cpu()) for name, array in arrays.items()}
    free = shutil.disk_usage(file.parent).free
    with on_disk(file):
        try:
            nd.save(str(file), arrays)
            whole = _kinds(nd.load(str(file))) == _kinds(arrays)
        except mx.MXNetError:
            whole = False
        if not whole:
            needed = sum(array.size * np.dtype(array.dtype).itemsize for array in arrays.values())
            raise OSError(errno.ENOSPC if free < needed + 2**20 else errno.EIO, "")


def _kinds(arrays) -> dict:
    return {name: (array.shape, array.dtype) for name, array in dict(arrays).items()}
