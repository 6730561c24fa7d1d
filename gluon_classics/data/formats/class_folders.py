"""A folder of class folders as a data set: photos/boots/left 1.png, photos/shoes/new/7.jpg, ...

The classes are the folders in `root`, sorted by name (code points, the same on every machine); images in them, at any
depth, belong to that class. Ignored without a message: hidden files and folders (.DS_Store), Thumbs.db, desktop.ini,
__MACOSX, and files in `root` itself that are not images. Anything else that is not a valid image is reported.

Symbolic links to files are followed if they stay inside `root`; links that lead out of it, to a folder, to nothing or
in a circle are reported. So are names that are not valid UTF-8, because they could not be written to a run folder.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Callable

from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.files.decoding import decode, in_threads
from gluon_classics.data.files.image_files import SUFFIXES, BadImage, Header, read_header
from gluon_classics.printable import printable

import numpy as np

IGNORED = ("Thumbs.db", "desktop.ini", "__MACOSX")
PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}
SHOWN = 20  # bad files in a message
FOLDER, IMAGE = "folder", "image"  # kinds of entries
NO_IMAGE = f"is not an image: its name does not end in one of {' '.join(SUFFIXES)}"


class BadImages(ValueError):
    """Files of a folder cannot be used. `bad` has all of them: {"boots/1.png": "is empty (0 bytes)"}."""

    def __init__(self, root: Path, bad: dict[str, str], skip_bad: bool = False):
        self.bad = dict(bad)
        lines = [f"{printable(root)}: {len(bad):,} of its files and folders cannot be used:"]
        lines += [f"  {printable(name)} {reason}" for name, reason in list(bad.items())[:SHOWN]]
        if len(bad) > SHOWN:
            lines.append(f"  and {len(bad) - SHOWN:,} more")
        lines.append("Repair or remove them" + ("" if skip_bad else ", or leave files out with skip_bad (--skip-bad)"))
        super().__init__("\n".join(lines))


def load_image_folder(
    root: str | os.PathLike,
    *,
    image_size: int | None = None,
    channels: int | None = None,
    skip_bad: bool = False,
    cache: str | os.PathLike | None = None,
    log: Callable[[str], None] = print,
    progress: Callable | None = None,
) -> ImageDataset:
    """Load the data set "folder": one class for each folder in `root`, images (N, H, W, C), and their `files`.

    `image_size` resizes all images to that many pixels in height and width; without it they must have the same size.
    `channels` is 1 (grey), 3 (RGB), or None: 3 if any file has colours. `skip_bad` leaves bad files out and logs each.
    For `cache`, a folder to keep the images on disk, and `progress`, see `decoding.decode`.

    Raises ValueError if `root` is not a folder or has fewer than two class folders, for images of several sizes without
    `image_size`, and whenever `decode` does. Raises BadImages, a ValueError, with all files that cannot be used and all
    classes without an image, the latter also with `skip_bad`.
    """
    root = Path(root).expanduser()
    if image_size is not None and image_size < 1:
        raise ValueError(f"image_size (--image-size) is {image_size}, but an image has at least 1 x 1 pixels")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels (--channels) is {channels!r}; the choices are 1 (grey), 3 (RGB) and None (auto)")
    classes, files, bad = list_image_folder(root)

    headers = in_threads(lambda name: _header(root / name), files, "Checking", progress)
    bad.update((name, header) for name, header in zip(files, headers) if isinstance(header, str))
    valid = {name: header for name, header in zip(files, headers) if name not in bad}
    if valid:
        if channels is None:
            channels = 3 if any(header.colour for header in valid.values()) else 1
        height, width = (image_size, image_size) if image_size else _common_size(root, valid.values())
        paths, shape = [root / name for name in valid], (height, width, channels)
        images, reasons = decode(paths, shape, image_size, cache=cache, progress=progress)
        bad.update((name, reasons[row]) for row, name in enumerate(valid) if row in reasons)

    names = [name for name in files if name not in bad]
    counts = Counter(map(_class_of, names))
    empty = {f"{name}/": "holds no image that can be used" for name in classes if not counts[name]}
    if empty or (bad and not skip_bad):
        listed = {name: bad[name] for name in sorted(bad) if not skip_bad or f"{_class_of(name)}/" in empty}
        raise BadImages(root, {**empty, **listed}, skip_bad)
    for name, reason in sorted(bad.items()):
        log(f"skipped: {printable(name)} {reason}")
    label_of = {name: label for label, name in enumerate(classes)}
    labels = np.array([label_of[_class_of(name)] for name in names])
    return ImageDataset(images, labels, classes, "folder", str(root), names)


def list_image_folder(root: str | os.PathLike) -> tuple[list[str], list[str], dict[str, str]]:
    """List the classes, the image files ("boots/left 1.png", relative to `root`), and the faults of all other files.

    All three are sorted. Files are recognised by their names and not opened. Raises ValueError if `root` is not a
    folder that can be read, or has fewer than two class folders.
    """
    root = Path(root)
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise ValueError(f"data folder {printable(root)} {what}; name a folder that holds a folder for each class")
    real_root = Path(os.path.realpath(root))
    try:
        entries = _entries(real_root, "")
    except OSError as error:
        raise ValueError(f"data folder {printable(root)} cannot be read: {error.strerror or error}") from error
    classes = sorted(name for name, kind in entries if kind == FOLDER)
    files = []
    bad = {name: kind for name, kind in entries if kind not in (FOLDER, IMAGE, NO_IMAGE)}
    bad.update((name, "is not in a class folder") for name, kind in entries if kind == IMAGE)
    _check_classes(root, classes, bad)
    folders = list(classes)
    while folders:
        folder = folders.pop()
        try:
            entries = _entries(real_root, folder)
        except OSError as error:
            bad[folder] = f"cannot be read: {error.strerror or error}"
            continue
        folders += [name for name, kind in entries if kind == FOLDER]
        files += [name for name, kind in entries if kind == IMAGE]
        bad.update((name, kind) for name, kind in entries if kind not in (FOLDER, IMAGE))
    return classes, sorted(files), dict(sorted(bad.items()))


def _entries(root: Path, folder: str) -> list[tuple[str, str]]:
    """List a folder in `root` as (name relative to `root`; FOLDER, IMAGE, NO_IMAGE or what is wrong)."""
    with os.scandir(root / folder) as entries:
        return [
            (f"{folder}/{entry.name}" if folder else entry.name, _kind(entry, root))
            for entry in entries
            if not entry.name.startswith(".") and entry.name not in IGNORED
        ]


def _kind(entry: os.DirEntry, root: Path) -> str:
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        return "has a name that is not valid UTF-8: rename it"
    if entry.is_symlink():
        try:
            target = Path(entry.path).resolve(strict=True)
        except (OSError, RuntimeError):  # RuntimeError: in a circle, before Python 3.13
            return "is a link to nothing, or in a circle"
        if target != root and root not in target.parents:
            return f"is a link that leads out of the folder, to {printable(target)}: put the file itself there"
        if target.is_dir():
            return "is a link to a folder: put the folder itself there"
    if entry.is_dir():
        return FOLDER
    if not entry.name.lower().endswith(SUFFIXES):
        return NO_IMAGE
    return IMAGE if entry.is_file() else "is not a regular file"


def _check_classes(root: Path, classes: list[str], bad: dict[str, str]) -> None:
    """Raise ValueError unless the folders can be classes."""
    if len(classes) < 2:
        held = f"one class folder, {printable(classes[0])}," if classes else "no class folders,"
        others = [f"; {printable(name)} {reason}" for name, reason in sorted(bad.items())]
        more = f"; and {len(others) - SHOWN:,} more" if len(others) > SHOWN else ""
        need = "at least two are needed: make a folder with images for each class"
        raise ValueError(f"data folder {printable(root)} holds {held} and {need}{''.join(others[:SHOWN])}{more}")
    if {name.lower() for name in classes} <= PARTS:
        held = f"{' and '.join(classes)}, which are parts of a data set, not classes"
        raise ValueError(f"data folder {printable(root)} holds {held}: name one, as {printable(root / classes[0])}")


def _header(path: Path) -> Header | str:
    """Return the header, or what is wrong with the file."""
    try:
        return read_header(path)
    except BadImage as error:
        return str(error)


def _common_size(root: Path, headers: Iterable[Header]) -> tuple[int, int]:
    """Return the height and width of all images. Raises ValueError if they differ."""
    sizes = Counter((header.height, header.width) for header in headers)
    if len(sizes) > 1:
        seen = [f"{width}x{height} ({count:,} images)" for (height, width), count in sizes.most_common(5)]
        more = f" and {len(sizes) - 5:,} more" if len(sizes) > 5 else ""
        raise ValueError(
            f"{printable(root)}: the images have {len(sizes):,} sizes, {', '.join(seen)}{more}: give image_size, the "
            f"height and width of all in pixels, such as --image-size {min(*sizes.most_common(1)[0][0], 224)}"
        )
    return next(iter(sizes))


def _class_of(name: str) -> str:
    return name.split("/", 1)[0]
