"""Read (gzip or plain), identify and verify complete files as bytes, and write them atomically."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gluon_classics.printable import printable
from gluon_classics.whole_file import require_regular, whole_file

GZIP_MAGIC = b"\x1f\x8b"

#: The first bytes of files that turn up in place of data. The HTML page comes from a captive portal or a proxy.
KNOWN_BEGINNINGS = (
    (GZIP_MAGIC, "gzip data"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"<", "an HTML or XML page"),
    (b"version https://git-lfs", "a Git LFS pointer in place of the file"),
)


class DamagedFile(ValueError):
    """A file is not what its name says: truncated, corrupt, or of another kind. The message names it."""

    def __init__(self, message: str):
        super().__init__(printable(message))


class FileSpec(NamedTuple):
    """One file of a data set. `name` is without .gz; `size` and `sha256` are of the decompressed bytes."""

    name: str
    size: int
    sha256: str

    @property
    def packed_name(self) -> str:
        """The name on the server."""
        return f"{self.name}.gz"

    def check(self, data: bytes, what: str) -> bytes:
        """Return `data`, gzip or plain, decompressed. Raises DamagedFile, beginning with `what`, for another file."""
        return verify(decompress(data, what, self.size), self, what)


class ArchiveSpec(NamedTuple):
    """A .tar.gz archive that holds a data set's files. `size` and `sha256` are of the archive itself, as published."""

    name: str
    size: int
    sha256: str
    folder: str  # of the files in the archive

    @property
    def packed_name(self) -> str:
        """The name on the server."""
        return self.name

    def check(self, data: bytes, what: str) -> bytes:
        """Return `data` as it is. Raises DamagedFile, beginning with `what`, for another archive."""
        return verify(data, self, what)

    def read(self, data: bytes, specs: Sequence[FileSpec], what: str) -> dict[str, bytes]:
        """Return the bytes of each of `specs` by name, read in memory from `data`, which has passed `check`.

        Only the published archive passes that check, so sizes are enough here. Raises DamagedFile, beginning with
        `what`, for a member that is missing or has another size, and for a broken archive.
        """
        inside = {f"{self.folder}/{spec.name}": spec for spec in specs}
        found = {}
        try:
            # in the archive's order: seeking back would decompress it again
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
                for member in tar:
                    spec = inside.get(member.name)
                    if spec is None:
                        continue
                    if not member.isreg() or member.size != spec.size:
                        sizes = f"{spec.size:,} bytes, found {member.size:,}"
                        raise DamagedFile(f"{what}: expected {member.name} of {sizes}")
                    file = tar.extractfile(member)
                    assert file is not None  # as of every regular file
                    found[spec.name] = file.read()
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise DamagedFile(f"{what}: corrupt: expected a valid .tar.gz archive, found: {error}") from error
        missing = [name for name, spec in inside.items() if spec.name not in found]
        if missing:
            raise DamagedFile(f"{what}: the archive has no {', no '.join(missing)}")
        return found


def is_gzip(data: bytes) -> bool:
    """Whether `data` begins like gzip, whatever the file's name says."""
    return data[:2] == GZIP_MAGIC


def read_bytes(path: str | Path, limit: int) -> bytes:
    """Return the decompressed contents of the file `path`, gzip or plain; see `decompress`."""
    return decompress(read_file(path, limit + 2**20), str(path), limit)  # gzip makes a file longer by only a little


def read_file(path: str | Path, limit: int = -1) -> bytes:
    """Return the first `limit` bytes, or all, of the file `path` as they are. DamagedFile if it cannot be read."""
    try:
        require_regular(path)
        with open(path, "rb") as file:
            return file.read(limit)
    except OSError as error:
        raise DamagedFile(f"{path}: cannot be read: {error.strerror or error}") from error


def decompress(data: bytes, what: str, limit: int) -> bytes:
    """Return `data` decompressed if it is gzip, unchanged otherwise.

    Stops after `limit` + 1 bytes, which guards against files that expand without end.
    Raises DamagedFile, beginning with `what`, for a gzip stream that is truncated or fails its checksum.
    """
    if not is_gzip(data):
        return data
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(data)).read(limit + 1)
    except EOFError as error:
        raise DamagedFile(f"{what}: truncated: expected a complete gzip stream, found {len(data):,} bytes") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DamagedFile(f"{what}: corrupt: expected a valid gzip stream, found: {error}") from error


def describe(raw: bytes) -> str:
    """Say what `raw` looks like by its first bytes, for an error message."""
    if raw[:3] == b"\0\0\x08" and raw[3:4] and len(raw) >= 4 + 4 * raw[3]:
        dims = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3])]
        kind = {1: "labels", 3: "images"}.get(raw[3], "array")
        return f"idx {kind} {'x'.join(map(str, dims))} (magic number {2048 + raw[3]})"
    for beginning, words in KNOWN_BEGINNINGS:
        if raw.lstrip().startswith(beginning):
            return words
    return f"unknown data beginning with {raw[:8]!r}" if raw else "an empty file"


def verify(raw: bytes, spec: FileSpec | ArchiveSpec, what: str) -> bytes:
    """Return `raw`, a file decompressed or an archive, if its SHA-256 is `spec`'s; else DamagedFile, as in `check`."""
    found = hashlib.sha256(raw).hexdigest()
    if found == spec.sha256:
        return raw
    size = f"more than {spec.size:,} bytes" if len(raw) > spec.size else f"{len(raw):,} bytes"
    packed = isinstance(spec, ArchiveSpec)
    hint = ""
    if packed:
        hint = "; truncated" if is_gzip(raw) and len(raw) < spec.size else ""
    elif len(raw) == spec.size:
        hint = (
            "; the size is right and the contents are not: changed bits, or another data set "
            "whose files have the same names (MNIST and Fashion-MNIST do)"
        )
    elif len(raw) < spec.size and describe(raw).startswith("idx"):
        hint = "; truncated, or another file under this name"
    raise DamagedFile(
        f"{what}: expected {spec.name}, {spec.size:,} bytes{'' if packed else ' after decompression'} "
        f"with SHA-256 {spec.sha256}; found {describe(raw)}, {size} with SHA-256 {found}{hint}"
    )


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`, so that a reader, or a crash, sees the old file or the new one. Raises OSError."""
    with whole_file(path) as part:
        part.write_bytes(data)
