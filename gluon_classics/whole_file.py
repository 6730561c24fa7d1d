"""Files and folders that are never seen half written, and the hashes by which a change is noticed."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_parts: set[Path] = set()  # what this process is writing


def remove_parts() -> None:
    """Remove what is half written, before a process ends without its `finally` blocks."""
    for part in list(_parts):
        shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)


@contextmanager
def whole_file(path) -> Iterator[Path]:
    """A temporary path in the same folder, whose file takes the place of `path` once it was written whole.

    A reader, or a crash, even a power failure, sees the old file or the new one. The temporary name is its own, so two
    processes that write the same path do not meet; it keeps the suffix, by which matplotlib tells the format. Raises
    OSError.
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
    """There is something where a new folder is to be made."""


def refuse_existing(path: Path) -> None:
    """FolderExists unless `path` does not exist, or is an empty folder."""
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise FolderExists(f"{path} exists: name a new folder")


@contextmanager
def whole_folder(path) -> Iterator[Path]:
    """A temporary folder beside `path`, which becomes `path` once it was filled; `path` must not exist, or be empty.

    Raises FolderExists, a ValueError, and OSError.
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
    """Bring a folder's names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(file: Path) -> str:
    """Of a file's contents, in hexadecimal."""
    digest = hashlib.sha256()
    with open(file, "rb") as opened:
        for chunk in iter(lambda: opened.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def seal(file: Path) -> str:
    """A line that `sha256sum -c` reads."""
    return f"{sha256(file)}  {file.name}\n"


def verify(file: Path, size: int, expected: str) -> None:
    """ValueError unless the file has so many bytes, and this SHA-256."""
    found_size = file.stat().st_size
    if found_size < size:
        raise ValueError(f"truncated: {found_size} of {size} bytes")
    if found_size > size:
        raise ValueError(f"{found_size} bytes, expected {size}")
    found = sha256(file)
    if found != expected:
        raise ValueError(f"SHA-256 is {found}, expected {expected}")


def verify_seal(file: Path, sealed: bytes) -> None:
    """ValueError unless `sealed`, the contents of the file named like it with .sha256, is its seal."""
    expected = seal(file)
    if sealed != expected.encode():
        told = sealed[:64].decode(errors="replace")
        if told == expected[:64]:
            raise ValueError(f"SHA-256 agrees, but {file.name}.sha256 is damaged behind it")
        raise ValueError(f"SHA-256 is {expected[:64]}, {file.name}.sha256 says {told}")


@contextmanager
def reading(file: Path, damaged: type[ValueError]) -> Iterator[Path]:
    """Turn whatever is wrong with `file` into `damaged`, whose message names folder, file, and what is wrong."""
    try:
        yield file
    except FileNotFoundError:
        raise damaged(f"{file.parent}: {file.name}: missing") from None
    except OSError as error:
        raise damaged(f"{file.parent}: {file.name}: cannot be read: {error.strerror}") from error
    # RuntimeError: MXNetError, a list of C++ functions first; AssertionError: Gluon's for weights of another network
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, AssertionError) as error:
        words = str(error).strip().rpartition("\n")[2]
        raise damaged(f"{file.parent}: {file.name}: {words}") from error
