"""The data set "folder": your own images, in a folder of class folders or in an archive of one.

An archive is extracted once, next to itself: photos.zip to photos.zip.extracted.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Callable

from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.files.archives import extract
from gluon_classics.data.formats.class_folders import HeldParts, class_root, list_image_folder, load_image_folder
from gluon_classics.data.image_options import ImageOptions
from gluon_classics.data.splits import stored_files
from gluon_classics.printable import printable
from gluon_classics.whole_file import FolderExists, whole_folder

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
        follow_links=options.follow_links,
        cache=options.cache,
        log=options.log,
        known=None if options.stored is None else stored_files(options.stored),
    )


def unpacked(path: str | os.PathLike, log: Callable[[str], None] = print) -> Path:
    """Return `path` if it is not a file; otherwise extract the archive `path` and return its folder of class folders.

    An archive is extracted once, by `archives.extract`, and `log` is called. If another process extracts it at the same
    time, the folder that is finished first is used.

    Raises BadArchive, a ValueError, like `extract`, and ValueError if the archive has no class folders, has changed
    since it was extracted, or is in a folder that cannot be written.
    """
    archive = Path(path).expanduser()
    if not archive.is_file():
        return archive
    folder = archive.with_name(archive.name + SUFFIX)
    stamp = f"{archive.stat().st_size} {archive.stat().st_mtime_ns}\n"
    if not folder.exists():
        if not os.access(archive.parent, os.W_OK):
            where = f"the folder of {printable(archive)} is read-only"
            raise ValueError(f"{where}: extract the archive elsewhere and name that folder")
        try:
            _extract(archive, folder, stamp)
            log(f"{printable(archive)} was extracted to {printable(folder)}")
        except (FolderExists, OSError):
            if not folder.exists():  # otherwise another process was faster
                raise
    if not (folder / STAMP).is_file() or (folder / STAMP).read_text() != stamp:
        which = f"{printable(archive)} is not the archive that {printable(folder)} was extracted from"
        raise ValueError(f"{which}: remove that folder")
    return class_root(folder)


def _extract(archive: Path, folder: Path, stamp: str) -> None:
    with whole_folder(folder) as part:
        extract(archive, part)
        try:
            with suppress(HeldParts):  # to be named, they have to be extracted
                list_image_folder(class_root(part))
            (part / STAMP).write_text(stamp)
        except (ValueError, OSError) as error:
            words = str(error).replace(str(part), printable(archive))
            raise ValueError(f"{words}; nothing was extracted") from error
