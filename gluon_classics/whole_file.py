"""Write files and folders atomically, and check them by size and SHA-256."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gluon_classics.printable import printable

_parts: set[Path] = set()  # temporary paths that this process is writing


def remove_parts() -> None:
    """Remove unfinished files and folders, before a process exits without running its `finally` blocks."""
    for part in list(_parts):
        shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; its file replaces `path` when the block ends without an error.

    Readers see either the old file or the new one, even after a crash or a power failure. The temporary name is unique,
    so processes can write the same path concurrently; it keeps the suffix, from which matplotlib infers the format.
    Raises OSError.
    """
    path = Path(path)
    # not tempfile: its mode 0600 would lock others out of a shared folder
    part = path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}.part{path.suffix}")
    _parts.add(part)
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)
        _parts.discard(part)


class FolderExists(ValueError):
    """The path for a new folder already exists."""


def refuse_existing(path: Path) -> None:
    """Raise FolderExists unless `path` does not exist or is an empty folder."""
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise FolderExists(f"{path} exists: name a new folder")


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder next to `path`, renamed to `path` when the block ends without an error.

    Raises FolderExists, a ValueError, unless `path` does not exist or is empty; OSError.
    """
    path = Path(os.path.abspath(path))
    refuse_existing(path)
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    _parts.add(part)
    try:
        part.mkdir(parents=True)
        yield part
        sync_folder(part)
        os.replace(part, path)
        sync_folder(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        _parts.discard(part)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_regular(file: str | os.PathLike) -> None:
    """Raise OSError unless this is a regular file or a folder: reading a pipe or a device may never end."""
    mode = os.stat(file).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a folder fails with a message of its own
        raise OSError(errno.EINVAL, "not a regular file", str(file))


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file's contents in hexadecimal. Raises OSError, also if it is not a regular file."""
    require_regular(file)
    digest = hashlib.sha256()
    with open(file, "rb") as opened:
        for chunk in iter(lambda: opened.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def seal(file: Path) -> str:
    """Return the file's line for `sha256sum -c`."""
    return f"{sha256(file)}  {file.name}\n"


def verify(file: Path, size: int, expected: str) -> None:
    """Raise ValueError unless the file has this size in bytes and this SHA-256."""
    found_size = file.stat().st_size
    if found_size < size:
        raise ValueError(f"truncated: {found_size} of {size} bytes")
    if found_size > size:
        raise ValueError(f"{found_size} bytes, expected {size}")
    found = sha256(file)
    if found != expected:
        raise ValueError(f"SHA-256 is {found}, expected {expected}")


def verify_seal(file: Path, sealed: bytes) -> None:
    """Raise ValueError unless `sealed`, the contents of the file's .sha256 file, is its seal."""
    expected = seal(file)
    if sealed != expected.encode():
        stored = sealed[:64].decode(errors="replace")
        if stored == expected[:64]:
            raise ValueError(f"SHA-256 matches, but {file.name}.sha256 is damaged after the hash")
        raise ValueError(f"SHA-256 is {expected[:64]}, but {file.name}.sha256 says {stored}")


@contextmanager
def reading(file: Path, damaged: type[ValueError]) -> Iterator[Path]:
    """Convert errors in reading `file` to `damaged`, with a message that names the folder, the file and the cause.

    A pipe or a device is such an error, and is not opened.
    """
    where = printable(f"{file.parent}: {file.name}")
    try:
        require_regular(file)
        yield file
    except FileNotFoundError:
        raise damaged(f"{where}: missing") from None
    except OSError as error:
        raise damaged(f"{where}: cannot be read: {error.strerror}") from error
    # RuntimeError: MXNetError, whose last line is the message; AssertionError: Gluon's for another network's weights
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, AssertionError) as error:
        words = printable(str(error).strip().rpartition("\n")[2])
        raise damaged(f"{where}: {words}") from error
