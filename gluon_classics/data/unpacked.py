"""An archive of class folders, extracted once beside itself: photos.zip as photos.zip.extracted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

from gluon_classics.whole_file import whole_folder

from .archives import extract
from .image_folder import IGNORED, list_image_folder

SUFFIX = ".extracted"
STAMP = ".archive"  # in the extracted folder: the archive's size and time


def unpacked(path: str | os.PathLike, log: Callable[[str], None] = print) -> Path:
    """`path` itself where it is no file, else the folder of class folders in the archive `path`.

    That is extracted by `archives.extract`, and found extracted the next time. Where all lies in one folder inside, as
    most archives have it, and this holds folders, it is that one. `log` is told.

    Raises BadArchive, a ValueError, as `extract` does, and ValueError where the archive holds no class folders, where
    it is another one than was extracted, and where its folder cannot be written to.
    """
    archive = Path(path).expanduser()
    if not archive.is_file():
        return archive
    folder = archive.with_name(archive.name + SUFFIX)
    stamp = f"{archive.stat().st_size} {archive.stat().st_mtime_ns}\n"
    if folder.exists():
        if not (folder / STAMP).is_file() or (folder / STAMP).read_text() != stamp:
            raise ValueError(f"{folder} was not extracted from {archive} as it is now: remove that folder")
        return _inside(folder)
    if not os.access(archive.parent, os.W_OK):
        raise ValueError(f"{archive} cannot be extracted beside itself: extract it elsewhere, and name that folder")
    with whole_folder(folder) as part:
        extract(archive, part)
        try:
            list_image_folder(_inside(part))
            (part / STAMP).write_text(stamp)
        except (ValueError, OSError) as error:
            words = str(error).replace(str(part), str(archive))
            raise ValueError(f"{words}; nothing was extracted") from error
    log(f"{archive} was extracted as {folder}")
    return _inside(folder)


def _inside(folder: Path) -> Path:
    inside = [each for each in folder.iterdir() if not each.name.startswith(".") and each.name not in IGNORED]
    if len(inside) == 1 and inside[0].is_dir() and any(each.is_dir() for each in inside[0].iterdir()):
        return inside[0]
    return folder
