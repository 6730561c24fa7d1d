"""Check the header of a .params file. MXNet 1.9.1 trusts it: one changed bit takes gigabytes, or ends the process.

The format, little-endian (NDArray::Save in MXNet): the number 0x112 and a reserved one, 8 bytes each; the number of
arrays, and the arrays; the number of names, and each name after its length. An array is a magic number, storage type,
number of dimensions, dimensions, device, number type, and values. Files of MXNet 0.x lack the storage type, and in the
oldest an array begins with its number of dimensions.
"""

from __future__ import annotations

import math
import os
import stat
import struct
from pathlib import Path
from typing import BinaryIO

from gluon_classics.printable import printable

ZIP = "a zip archive (like PyTorch's files)"
TORCH_FILE = "a PyTorch file"
SAFETENSORS = "a .safetensors file"
PARAMS = "a .params file"
LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save before 1.6 began files with this pickled number
BEGINNINGS = (
    (b"PK\x03\x04", ZIP),
    (LEGACY_TORCH, TORCH_FILE),
    (b"\x12\x01\0\0\0\0\0\0", PARAMS),
    (b"\x80", "a bare pickle, which is not read because it can contain code"),
    (b"\x1f\x8b", "gzip data: unpack it first"),
    (b"BZh", "bzip2 data: unpack it first"),
    (b"\xfd7zXZ", "xz data: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"\x89HDF", "an HDF5 file (Keras)"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"<", "an HTML or XML page: the download was answered by a web page; open its address in a browser"),
    (b"version https://git-lfs", "a Git LFS pointer instead of the file: run git lfs pull where it comes from"),
    (b"{", "JSON"),
)

MOST_DIMENSIONS = 32
TYPES = {  # of mshadow, as far as MXNet 1.9.1 can read them
    0: ("float32", 4),
    1: ("float64", 8),
    2: ("float16", 2),
    3: ("uint8", 1),
    4: ("int32", 4),
    5: ("int8", 1),
    6: ("int64", 8),
    7: ("bool", 1),
    12: ("bfloat16", 2),
}
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA  # of an array


def kind_of(start: bytes) -> str:
    """Name a file's format by its first bytes, 300 or more."""
    if start[4:9] == b"\0\0\0\0{":  # the header's length in eight bytes, then the header
        return SAFETENSORS
    if start[257:262] == b"ustar":
        return "a tar archive: unpack it first"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()  # a byte order mark
    for beginning, words in BEGINNINGS:
        if text.startswith(beginning):
            return words
    if start and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start):
        return f"text, which begins with {start[:40].decode()!r}"
    return f"unknown data beginning with {start[:8]!r}" if start else "an empty file"


def beginning_of(path: str | os.PathLike) -> bytes:
    """Return a file's first bytes. Raises ValueError for a pipe or a device, which could block, and OSError."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # open() refuses a folder
        raise ValueError("is not a regular file")
    with open(path, "rb") as file:
        return file.read(512)


def check_params(path: str | os.PathLike) -> None:
    """Raise ValueError, without the file's name, unless the arrays and names that the header announces fill the file.

    Reads the headers alone, not the values. Raises OSError if the file cannot be read.
    """
    kind = kind_of(beginning_of(path))
    if kind != PARAMS:
        raise ValueError(f"is not a .params file but {kind}")
    with open(path, "rb") as file:
        _Reader(file, Path(path).stat().st_size).check()


class _Reader:
    def __init__(self, file: BinaryIO, size: int):
        self.file, self.size = file, size

    def check(self) -> None:
        self._numbers("QQ", "its header")
        (count,) = self._numbers("Q", "the number of arrays")
        if count > self.size // 12:  # an array takes more
            raise ValueError(f"is truncated or damaged: it announces {count:,} arrays in {self.size:,} bytes")
        for number in range(1, count + 1):
            self._array(f"array {number} of {count}")
        self._names(count)
        if self.file.tell() != self.size:
            raise ValueError(f"is damaged: {self.size - self.file.tell():,} bytes follow its end")

    def _array(self, what: str) -> None:
        (magic,) = self._numbers("I", what)
        if magic == V3:
            raise ValueError("was saved with mx.npx.set_np(): save it again after mx.npx.reset_np()")
        if magic in (V1, V2):
            storage = self._numbers("i", what)[0] if magic == V2 else 0
            if storage in (1, 2):
                raise ValueError(f"{what} is sparse: save it after array.tostype('default')")
            if storage:
                raise ValueError(f"is damaged: {what} has the storage type {storage}")
            dimensions, size = self._numbers("i", what)[0], "q"
        else:
            dimensions, size = magic, "I"
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise ValueError(f"is damaged: {what} has {dimensions:,} dimensions")
        shape = self._numbers(size * dimensions, what)
        _, _, number_type = self._numbers("iii", what)  # after the device and its number
        if min(shape) < 1 or number_type not in TYPES:
            raise ValueError(f"is damaged: {what} has the shape {shape} and the number type {number_type}")
        name, width = TYPES[number_type]
        self._skip(math.prod(shape) * width, f"{what}, {name} {shape},")

    def _names(self, arrays: int) -> None:
        (count,) = self._numbers("Q", "the number of names")
        if count not in (0, arrays):
            raise ValueError(f"is damaged: it has {arrays:,} arrays and {count:,} names")
        names = set()
        for _ in range(count):
            (length,) = self._numbers("Q", "a name")
            try:
                name = self._take(length, "a name").decode()
            except UnicodeDecodeError as error:
                raise ValueError(f"is damaged: a name is not UTF-8 ({error.reason})") from error
            if name in names:
                raise ValueError(f"has two arrays named {printable(name)}")
            names.add(name)

    def _numbers(self, form: str, what: str) -> tuple[int, ...]:
        return struct.unpack(f"<{form}", self._take(struct.calcsize(f"<{form}"), what))

    def _take(self, count: int, what: str) -> bytes:
        self._require(count, what)
        return self.file.read(count)

    def _skip(self, count: int, what: str) -> None:
        self._require(count, what)
        self.file.seek(count, os.SEEK_CUR)

    def _require(self, count: int, what: str) -> None:
        left = self.size - self.file.tell()
        if count > left:
            raise ValueError(f"is truncated or damaged: {what} takes {count:,} bytes, and {left:,} are left")
