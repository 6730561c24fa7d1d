"""The data set "folder": your own images, in a folder of class folders or in an archive of one.

An archive is extracted once, next to itself: photos.zip to photos.zip.extracted.
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
    """Read the images of `root`. Raises ValueError without `root`, and whenever the functions below do."""
    if root is None:
        raise ValueError('the data set "folder" needs root (--data-dir), which holds a folder of images for each class')
    return load_image_folder(
        unpacked(root, options.log),
        image_size=options.image_size,
        channels=options.channels,
        skip_bad=options.skip_bad,
        cache=options.cache,
        log=options.log,
    )


def unpacked(path: str | os.PathLike, log: Callable[[str], None] = print) -> Path:
    """Return `path` if it is not a file; otherwise extract the archive `path` and return its folder of class folders.

    An archive is extracted once, by `archives.extract`, and `log` is called. If it holds a single folder that contains
    folders, as most archives do, that one is returned.

    Raises BadArchive, a ValueError, like `extract`, and ValueError if the archive has no class folders, has changed
    since it was extracted, or is in a folder that cannot be written.
    """
    archive = Path(path).expanduser()
    if not archive.is_file():
        return archive
    folder = archive.with_name(archive.name + SUFFIX)
    stamp = f"{archive.stat().st_size} {archive.stat().st_mtime_ns}\n"
    if folder.exists():
        if not (folder / STAMP).is_file() or (folder / STAMP).read_text() != stamp:
            raise ValueError(f"{archive} is not the archive that {folder} was extracted from: remove that folder")
        return _inside(folder)
    if not os.access(archive.parent, os.W_OK):
        raise ValueError(f"the folder of {archive} is read-only: extract the archive elsewhere and name that folder")
    with whole_folder(folder) as part:
        extract(archive, part)
        try:
            list_image_folder(_inside(part))
            (part / STAMP).write_text(stamp)
        except (ValueError, OSError) as error:
            words = str(error).replace(str(part), str(archive))
            raise ValueError(f"{words}; nothing was extracted") from error
    log(f"{archive} was extracted to {folder}")
    return _inside(folder)


def _inside(folder: Path) -> Path:
    """Return the only folder in `folder` if it contains folders, else `folder`."""
    inside = [each for each in folder.iterdir() if not each.name.startswith(".") and each.name not in IGNORED]
    if len(inside) == 1 and inside[0].is_dir() and any(each.is_dir() for each in inside[0].iterdir()):
        return inside[0]
    return folder
