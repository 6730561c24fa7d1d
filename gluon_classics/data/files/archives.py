"""Extract zip and tar archives, plain or gzip, without trusting what they say.

Only files and folders are extracted, never links or devices, and never outside the target. Their number and sizes are
limited, counted as they are written, whatever the headers say. Either all of an archive is extracted, or nothing.
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from gluon_classics.printable import printable
from gluon_classics.whole_file import FolderExists, whole_folder

MAX_MEMBERS = 2_000_000  # files and folders; ImageNet has 1.3 million
MAX_BYTES = 2**38  # 256 GiB
#: Images hardly compress. Zip bombs reach 1,000 to 1, and millions to 1 if their entries overlap.
MAX_RATIO = 100
ALWAYS_FINE = 2**26  # bytes below which the ratio does not matter: a few blank bitmaps
CHUNK = 2**20

#: What Python's readers raise for archives that are damaged or of an unknown kind.
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError,
          OverflowError)  # fmt: skip

#: Python's own check of a tar entry (PEP 706). Python 3.9.16 and older lack it. The checks below, which zip archives
#: need anyway, are stricter: they refuse every link, and absolute names, which this filter makes relative.
data_filter = getattr(tarfile, "data_filter", lambda entry, folder: entry)


class BadArchive(ValueError):
    """An archive is damaged, too large or harmful. The message names it and the entry."""


def extract(
    archive: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    max_members: int = MAX_MEMBERS,
    max_bytes: int = MAX_BYTES,
    max_ratio: float = MAX_RATIO,
) -> Path:
    """Extract a .zip, .tar, .tar.gz or .tgz, recognised by its contents, to `folder`, which must not exist or be empty.

    Writes to a temporary folder next to it, renamed at the end. Permissions, owners and times are not restored.

    Raises ValueError if `folder` is not empty. Raises BadArchive, a ValueError, if the archive is empty, damaged,
    truncated or encrypted; for an entry that is not a file or folder, that comes twice, or whose name is absolute or
    contains '..', a drive, a zero byte or, in a tar, a backslash; for more than `max_members` files and folders,
    `max_bytes` bytes, or `max_ratio` times the archive's size (64 MiB are always accepted); and if `folder` cannot be
    written.
    """
    archive, folder = Path(archive), Path(folder)
    try:
        with whole_folder(folder) as part:
            target = _Target(part, max_members, max_bytes, max(ALWAYS_FINE, max_ratio * archive.stat().st_size))
            _extract_into(archive, target)
            if not target.members:
                raise BadArchive("holds no files")
    except FolderExists as error:
        raise ValueError(f"cannot extract {printable(archive)}: {error}") from None
    except BadArchive as error:
        raise BadArchive(f"{printable(archive)}: {error}; nothing was extracted") from error
    except DAMAGE as error:
        words = getattr(error, "strerror", None) or f"is not a .zip, .tar or .tar.gz, or is damaged ({error})"
        raise BadArchive(f"{printable(archive)}: {words}; nothing was extracted") from error
    return folder


class _Target:
    """The temporary folder: creates files and folders inside itself, and counts them."""

    def __init__(self, folder: Path, max_members: int, max_bytes: int, max_expanded: float):
        self.folder = folder
        self.max_members, self.max_bytes, self.max_expanded = max_members, max_bytes, max_expanded
        self.members, self.bytes = 0, 0
        self.made: set[PurePosixPath] = set()

    def add(self, name: str, source: IO[bytes] | None) -> None:
        """Write the file `name`, or make a folder if `source` is None."""
        path = _checked(name)
        if source is None:
            self._make_folder(path, name)
            return
        if not path.parts:
            raise BadArchive(f"holds a file without a name: {name!r}")
        self._make_folder(path.parent, name)
        self._count()
        try:
            with open(self.folder / path, "xb") as file:
                for chunk in iter(lambda: source.read(CHUNK), b""):
                    self.count_bytes(len(chunk))
                    file.write(chunk)
        except FileExistsError as error:
            raise BadArchive(f"holds {name!r} twice") from error

    def count_bytes(self, n: int) -> None:
        self.bytes += n
        if self.bytes > self.max_bytes:
            raise BadArchive(f"holds more than {self.max_bytes:,} bytes, the limit")
        if self.bytes > self.max_expanded:
            raise BadArchive(f"expands to more than {self.max_expanded:,.0f} bytes, as images never do: a zip bomb?")

    def _make_folder(self, path: PurePosixPath, name: str) -> None:
        for each in [*reversed(path.parents), path]:
            if each.parts and each not in self.made:
                self._count()
                try:
                    (self.folder / each).mkdir()
                except FileExistsError as error:
                    raise BadArchive(f"holds {name!r}, and {str(each)!r} as a file or in other case") from error
                self.made.add(each)

    def _count(self) -> None:
        self.members += 1
        if self.members > self.max_members:
            raise BadArchive(f"holds more than {self.max_members:,} files and folders, the limit")


def _checked(name: str) -> PurePosixPath:
    """Return an entry's name as a relative path. Raises BadArchive if it leads elsewhere on any system."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or re.match("[A-Za-z]:", name):
        raise BadArchive(f"holds {name!r}, which is not a plain relative path")
    return path


def _extract_into(archive: Path, target: _Target) -> None:
    with open(archive, "rb") as file:
        start = file.read(4)
        file.seek(0)
        if start[:2] == b"PK":
            _extract_zip(file, target)
        elif start[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=file) as expanded:
                _extract_tar(expanded, target)
        else:
            _extract_tar(file, target)


def _extract_zip(file: BinaryIO, target: _Target) -> None:
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            name = _name(entry)
            kind = stat.S_IFMT(entry.external_attr >> 16)  # 0 if the system that made it has no file types
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise BadArchive(f"holds {name!r}, which is a link or a device")
            if entry.flag_bits & 1:
                raise BadArchive(f"holds {name!r}, which is encrypted: extract it by hand")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BadArchive(f"holds {name!r}, whose compression is not supported: extract it by hand")
            with archive.open(entry) as source:
                target.add(name, None if name.endswith("/") else source)


def _name(entry: zipfile.ZipInfo) -> str:
    """Return the entry's name, not cut at a zero byte as `filename` is, with slashes for .NET's backslashes."""
    name = entry.orig_filename
    if not entry.flag_bits & 0x800:  # code page 437 by the format, but Info-ZIP on Linux writes UTF-8 without the flag
        raw = name.encode("cp437")
        name = _unicode_path(entry.extra, raw) or _decoded(raw) or name
    return name.replace("\\", "/")


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """Return the name in an entry's extra field 0x7075, if it is that of the name `raw`."""
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == 0x7075 and field[:5] == struct.pack("<BI", 1, zlib.crc32(raw)):
            return field[5:].decode("utf-8")
    return None


def _decoded(raw: bytes) -> str | None:
    """Decode a name that is UTF-8, or GBK as Chinese versions of Windows write it; None for other bytes.

    Only common characters count as GBK, two bytes from 0xA1: in code page 437 these are mostly lines of tables.
    """
    for encoding in ("utf-8", "gbk"):
        if encoding == "utf-8" or re.fullmatch(rb"([\0-\x7f]|[\xa1-\xa9\xb0-\xf7][\xa1-\xfe])*", raw):
            with suppress(UnicodeDecodeError):
                return raw.decode(encoding)
    return None


def _extract_tar(file: BinaryIO | gzip.GzipFile, target: _Target) -> None:
    pieces = _InPieces(file)
    # its stubs ask for write() and close(), which tarfile does not call in this mode
    with tarfile.open(fileobj=pieces, mode="r:") as archive:  # type: ignore[call-overload]
        while (entry := archive.next()) is not None:
            archive.members.clear()  # tarfile would keep them all
            if entry.size < 0:
                raise BadArchive(f"holds {entry.name!r} of {entry.size:,} bytes")
            if not (entry.isdir() or (entry.isreg() and not entry.issparse())):
                raise BadArchive(f"holds {entry.name!r}, which is a link, a device or a sparse file")
            entry.name = _decoded(os.fsencode(entry.name)) or entry.name
            _checked(entry.name)
            entry = data_filter(entry, str(target.folder))
            target.add(entry.name, archive.extractfile(entry))  # None for a folder
        # tarfile accepts an archive that ends between two entries; a complete one ends with a block of zeros
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise BadArchive("is damaged or truncated: its end is missing")
        for chunk in iter(lambda: file.read(CHUNK), b""):  # to the end, where gzip verifies its checksum
            target.count_bytes(len(chunk))


class _InPieces:
    """A file that refuses large reads: tarfile would read a header of any claimed size into memory."""

    def __init__(self, file: BinaryIO | gzip.GzipFile):
        self.file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= CHUNK:
            raise BadArchive(f"has a header of {size:,} bytes")
        return self.file.read(size)
