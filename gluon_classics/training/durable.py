"""Write files that survive a power failure, and notice a full disk, which MXNet does not."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import mxnet as mx
import numpy as np
from mxnet import nd


@contextlib.contextmanager
def on_disk(file: Path) -> Iterator[Path]:
    """Flush to the disk what is written to `file` inside. Raises OSError, naming the file."""
    try:
        yield file
        with open(file, "rb+") as opened:
            os.fsync(opened.fileno())
    except OSError as error:
        number = error.errno or errno.EIO
        raise OSError(number, os.strerror(number), str(file)) from error


def save_arrays(file: Path, arrays: dict[str, nd.NDArray]) -> None:
    """Write arrays in MXNet's format, and read them back. Raises OSError, naming the file, if that fails.

    MXNet 1.9.1 does not notice if the last bytes cannot be written when it closes the file.
    """
    arrays = {name: array.as_in_context(mx.cpu()) for name, array in arrays.items()}
    free = shutil.disk_usage(file.parent).free
    with on_disk(file):
        try:
            nd.save(str(file), arrays)
            complete = _kinds(nd.load(str(file))) == _kinds(arrays)
        except mx.MXNetError:
            complete = False
        if not complete:
            needed = sum(array.size * np.dtype(array.dtype).itemsize for array in arrays.values())
            raise OSError(errno.ENOSPC if free < needed + 2**20 else errno.EIO, "")


def _kinds(arrays: Mapping[str, nd.NDArray]) -> dict:
    return {name: (array.shape, array.dtype) for name, array in dict(arrays).items()}
