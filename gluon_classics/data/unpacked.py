"""An archive of class folders, extracted once beside itself: photos.zip as photos.zip.extracted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

from .archives import extract
from .image_folder import IGNORED

SUFFIX = ".extracted"


def unpacked(path: str | os.PathLike, log: Callable[[str], None] = print) -> Path:
    """`path` itself where it is no file, else the folder of class folders in the archive `path`.

    That is extracted by `archives.extract`, and found extracted the next time. Where all lies in one folder inside, as
    most archives have it, and this holds folders, it is that one. `log` is told.

    Raises BadArchive, a ValueError, as `extract` does, and ValueError where the archive is newer than what was
    extracted.
    """
    archive = Path(path).expanduser()
    if not archive.is_file():
        return archive
    folder = archive.with_name(archive.name + SUFFIX)
    if not folder.exists():
        extract(archive, folder)
        log(f"{archive} was extracted as {folder}")
    elif folder.stat().st_mtime < archive.stat().st_mtime:
        raise ValueError(f"{archive} is newer than {folder}, which was extracted from it: remove that folder")
    inside = [each for each in folder.iterdir() if not each.name.startswith(".") and each.name not in IGNORED]
    if len(inside) == 1 and inside[0].is_dir() and any(each.is_dir() for each in inside[0].iterdir()):
        return inside[0]
    return folder
