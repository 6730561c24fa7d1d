"""Files that are never seen half written."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
