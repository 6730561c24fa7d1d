"""The data set "folder": your own pictures, in a folder of class folders or in an archive of one.

An archive is extracted once, next to itself: photos.zip into photos.zip.extracted.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.files.archives import extract
from gluon_classics.data.formats.class_folders import IGNORED, list_image_folder, load_image_folder
from gluon_classics.data.image_options import ImageOptions
from gluon_classics.whole_file import whole_folder

SUFFIX = ".extracted"
STAMP = ".archive"  # in the extracted folder: the archive's size and time


def load_folder(root: str | os.PathLike | None, options: ImageOptions) -> ImageDataset:
    """Read all pictures, as `options` say. Raises ValueError without `root`, and what the functions below raise."""
    if root is None:
        raise ValueError("--dataset folder is a folder that holds a folder of pictures for each class: give --data-dir")
    return load_image_folder(
        unpacked(root, options.log),
        image_size=options.image_size,
        channels=options.channels,
        skip_bad=options.skip_bad,
        cache=options.cache,
        log=options.log,
    )


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
