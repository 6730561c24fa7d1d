"""A folder of class folders as a data set: photos/boots/left 1.png, photos/shoes/new/7.jpg, ...

The classes are the folders in `root`, sorted by name (code points, the same on every machine); images in them, at any
depth, belong to that class. If `root` holds one folder, which holds folders, and otherwise only files that are not
images, that folder takes its place, and so on. Ignored without a message: hidden files and folders (.DS_Store), those
that systems leave (Thumbs.db, __MACOSX, lost+found), and files in `root` itself that are not images. Anything else that
is not a valid image is reported.

Folders in `root` that hold the same folders, or are named like train and test, are parts of a data set. They are never
taken as classes.

Symbolic links to files are followed if they stay inside `root`; links that lead out of it and links to folders are
reported, or followed with `follow_links`; links to nothing or in a circle are reported. So are names that are not valid
UTF-8, because they could not be written to a run folder.
"""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Callable, NamedTuple

from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.files.decoding import decode, in_threads
from gluon_classics.data.files.image_files import SUFFIXES, BadImage, Header, is_ignored, read_header
from gluon_classics.printable import printable

import numpy as np

TRAIN = {"train", "training", "trn", "tr"}
TEST = {"test", "testing", "tst", "ts", "val", "valid", "validation", "eval", "evaluation", "dev", "holdout"}
PART_WORDS = {"set", "data", "dataset", "image", "images", "img", "imgs", "picture", "pictures", "photos", "split"}
SHOWN = 20  # bad files in a message
FOLDER, IMAGE = "folder", "image"  # kinds of entries
STRAY = "is not in a class folder"
NO_IMAGE = f"is not an image: its name does not end in one of {' '.join(SUFFIXES)}"


class BadImages(ValueError):
    """Files of a folder cannot be used. `bad` has all of them: {"boots/1.png": "is empty (0 bytes)"}."""

    def __init__(self, root: Path, bad: dict[str, str], skip_bad: bool = False, hint: str = ""):
        self.bad = dict(bad)
        lines = [f"{printable(root)}: {len(bad):,} of its files and folders cannot be used:"]
        lines += [f"  {printable(name)} {reason}" for name, reason in list(bad.items())[:SHOWN]]
        if len(bad) > SHOWN:
            lines.append(f"  and {len(bad) - SHOWN:,} more")
        lines.append("Repair or remove them" + ("" if skip_bad else ", or leave files out with skip_bad (--skip-bad)"))
        super().__init__("\n".join(lines) + hint)


class HeldParts(ValueError):
    """A folder holds parts of a data set, such as train and test, and not classes."""


class Links(NamedTuple):
    """How symbolic links are treated."""

    top: Path  # without `follow`, links to files are followed if they stay in this folder, which is not a link
    follow: bool  # all links


def load_image_folder(
    root: str | os.PathLike,
    *,
    image_size: int | None = None,
    channels: int | None = None,
    skip_bad: bool = False,
    follow_links: bool = False,
    cache: str | os.PathLike | None = None,
    log: Callable[[str], None] = print,
    progress: Callable | None = None,
    known: Collection[str] | None = None,
) -> ImageDataset:
    """Load the data set "folder": one class for each folder in `root`, images (N, H, W, C), and their `files`.

    `image_size` resizes all images to that many pixels in height and width; without it they must have the same size.
    `channels` is 1 (grey), 3 (RGB), or None: 3 if any file has colours. `skip_bad` leaves bad files out and logs each.
    `follow_links` follows all symbolic links. For `cache`, a folder to keep the images on disk, and `progress`, see
    `decoding.decode`. `known` are the files of a resumed run: the folder is taken as it was then, so its folders are
    classes whatever they hold, and with `skip_bad` other files, which may have been bad then, are left out.

    Raises ValueError if `root` is not a folder or has fewer than two class folders, for images of several sizes without
    `image_size`, and whenever `decode` does; HeldParts, a ValueError, for parts of a data set; and BadImages, a
    ValueError, with all files that cannot be used and all classes without an image, the latter also with `skip_bad`.
    """
    root = Path(root).expanduser()
    if image_size is not None and image_size < 1:
        raise ValueError(f"image_size (--image-size) is {image_size}, but an image has at least 1 x 1 pixels")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels (--channels) is {channels!r}; the choices are 1 (grey), 3 (RGB) and None (auto)")
    given, root = root, class_root(root, follow_links)
    if root != given:
        log(f"the class folders are in {printable(root)}")
    classes, files, bad = list_image_folder(root, follow_links, top=given, may_be_parts=known is None)
    for line in _alike(classes):
        log(line)
    if known is not None:
        bad = {name: reason for name, reason in bad.items() if reason != STRAY}
        others = set(files) - set(known) if skip_bad else set()
        if others:
            log(f"{len(others):,} files that the run began without are left out")
            files = [name for name in files if name not in others]

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
        raise BadImages(root, {**empty, **listed}, skip_bad, _deeper(root, names))
    for name, reason in sorted(bad.items()):
        log(f"skipped: {printable(name)} {reason}")
    label_of = {name: label for label, name in enumerate(classes)}
    labels = np.array([label_of[_class_of(name)] for name in names])
    return ImageDataset(images, labels, classes, "folder", str(root), names)


def class_root(root: str | os.PathLike, follow_links: bool = False) -> Path:
    """Return the folder of class folders in `root`: go down while there is one folder, and no image or link."""
    root = Path(root)
    links = Links(Path(os.path.realpath(root)), follow_links)
    while True:
        try:
            entries = _entries(root, "", links)
            inside = [name for name, kind in entries if kind == FOLDER]
            if len(inside) != 1 or any(kind not in (FOLDER, NO_IMAGE) for _, kind in entries):
                return root
            if not any(kind == FOLDER for _, kind in _entries(root, inside[0], links)):
                return root
        except OSError:  # listing the folder says why
            return root
        root = root / inside[0]


def list_image_folder(
    root: str | os.PathLike, follow_links: bool = False, *, top: Path | None = None, may_be_parts: bool = True
) -> tuple[list[str], list[str], dict[str, str]]:
    """List the classes, the image files ("boots/left 1.png", relative to `root`), and the faults of all other files.

    All three are sorted. Files are recognised by their names and not opened. Links may lead anywhere in `top`, by
    default `root`, or to any place with `follow_links`. Raises ValueError if `root` is not a folder that can be read,
    or has fewer than two class folders, and HeldParts, a ValueError, for parts of a data set if it `may_be_parts`.
    """
    root = Path(root)
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise ValueError(f"data folder {printable(root)} {what}; name a folder that holds a folder for each class")
    real_root = Path(os.path.realpath(root))
    links = Links(Path(os.path.realpath(top or root)), follow_links)
    try:
        entries = _entries(real_root, "", links)
    except OSError as error:
        raise ValueError(f"data folder {printable(root)} cannot be read: {error.strerror or error}") from error
    classes = sorted(name for name, kind in entries if kind == FOLDER)
    files = []
    bad = {name: kind for name, kind in entries if kind not in (FOLDER, IMAGE, NO_IMAGE)}
    bad.update((name, STRAY) for name, kind in entries if kind == IMAGE)
    _check_classes(root, classes, bad)
    folders = list(classes)
    inside: dict[str, list[str]] = {}  # folders in each folder
    with_images = set()  # folders
    while folders:
        folder = folders.pop()
        try:
            entries = _entries(real_root, folder, links)
        except OSError as error:
            bad[folder] = f"cannot be read: {error.strerror or error}"
            continue
        inside[folder] = sorted(name for name, kind in entries if kind == FOLDER)
        if any(kind == IMAGE for _, kind in entries):
            with_images.add(folder)
        folders += inside[folder]
        files += [name for name, kind in entries if kind == IMAGE]
        bad.update((name, kind) for name, kind in entries if kind not in (FOLDER, IMAGE))
    if may_be_parts:
        _refuse_parts(root, classes, inside, with_images)
    return classes, sorted(files), dict(sorted(bad.items()))


def _entries(root: Path, folder: str, links: Links) -> list[tuple[str, str]]:
    """List a folder in `root` as (name relative to `root`; FOLDER, IMAGE, NO_IMAGE or what is wrong)."""
    with os.scandir(root / folder) as entries:
        return [
            (f"{folder}/{entry.name}" if folder else entry.name, _kind(entry, links))
            for entry in entries
            if not is_ignored(entry.name)
        ]


def _kind(entry: os.DirEntry, links: Links) -> str:
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        return "has a name that is not valid UTF-8: rename it"
    if entry.is_symlink():
        try:
            target = Path(entry.path).resolve(strict=True)
        except (OSError, RuntimeError):  # RuntimeError: in a circle, before Python 3.13
            return "is a link to nothing, or in a circle"
        is_folder, inside = target.is_dir(), target == links.top or links.top in target.parents
        if links.follow:
            if is_folder and target in {Path(os.path.realpath(each)) for each in Path(entry.path).parents}:
                return "is a link to a folder that it is in"
        elif is_folder or not inside:
            what = "file" if not is_folder else "folder"
            leads = f"to a {what}" if inside else f"that leads out of the folder, to the {what} {printable(target)}"
            return f"is a link {leads}: follow_links (--follow-links) accepts it"
    if entry.is_dir():
        return FOLDER
    if not entry.name.lower().endswith(SUFFIXES):
        return NO_IMAGE
    return IMAGE if entry.is_file() else "is not a regular file"


def _check_classes(root: Path, classes: list[str], bad: dict[str, str]) -> None:
    """Raise ValueError if there are fewer than two."""
    if len(classes) < 2:
        held = f"one class folder, {printable(classes[0])}," if classes else "no class folders,"
        others = [f"; {printable(name)} {reason}" for name, reason in sorted(bad.items())]
        more = f"; and {len(others) - SHOWN:,} more" if len(others) > SHOWN else ""
        need = "at least two are needed: make a folder with images for each class"
        raise ValueError(f"data folder {printable(root)} holds {held} and {need}{''.join(others[:SHOWN])}{more}")


def _refuse_parts(root: Path, classes: list[str], inside: dict[str, list[str]], with_images: set[str]) -> None:
    """Raise HeldParts if the folders `classes` are parts of a data set, by their names or by the folders in them."""

    def deepest(folder: str) -> str:
        """Like `class_root`."""
        while len(inside.get(folder, ())) == 1 and folder not in with_images and inside.get(inside[folder][0]):
            folder = inside[folder][0]
        return folder

    def held(folder: str) -> list[str]:
        return [name.rpartition("/")[2] for name in inside.get(deepest(folder), ())]

    roles = _roles(classes)
    parts, why = list(roles), ""
    if len(roles) < len(classes) and len(set(roles.values())) < 2:
        same = defaultdict(list)
        for name in classes:
            folders = held(name)
            if len(folders) >= 2 and len(_roles(folders)) < len(folders):  # cat/train and dog/train are two classes
                same[frozenset(map(_folded, folders))].append(name)
        parts = next((names for names in same.values() if len(names) >= 2), [])
        if not parts:
            return
        folders = held(parts[0])
        why = f" (if they are classes, move the images out of the folders in them, {_some(folders)})"
    usable = sorted((part for part in parts if len(held(part)) >= 2), key=lambda part: roles.get(part) != "train")
    way = "make a folder with images for each class, and name the folder that holds these"
    if usable:
        way = f"name one of them, such as {_data_dir(root / deepest(usable[0]))}"
    held_parts = f"{_some(parts)}, which are parts of a data set, not classes"
    raise HeldParts(f"data folder {printable(root)} holds {held_parts}: {way}{why}")


def _roles(names: list[str]) -> dict[str, str]:
    """Return "train" or "test" for each name that stands for a part of a data set: seg_train, TestSet, validation."""
    words = {name: re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()) for name in names}
    common = set.intersection(*map(set, words.values())) if len(names) > 1 else set()
    roles = {}
    for name in names:
        own = [word for word in words[name] if word not in common | PART_WORDS]
        word = re.sub("(set|data|images)$", "", own[0]) if len(own) == 1 else ""
        if word in TRAIN | TEST:
            roles[name] = "train" if word in TRAIN else "test"
    return roles


def _alike(classes: list[str]) -> list[str]:
    """Warn of classes whose names differ in case or Unicode form only."""
    alike = defaultdict(list)
    for name in classes:
        alike[_folded(name)].append(name)
    lines = []
    for names in filter(lambda names: len(names) > 1, alike.values()):
        form = len({unicodedata.normalize("NFC", name) for name in names}) < len(names)
        shown = " and ".join(ascii(name) if form else printable(name) for name in names)
        lines.append(f"WARNING: the classes {shown} differ in {'Unicode form' if form else 'case'} only")
    return lines[:3] + ([f"and {len(lines) - 3:,} more names like this"] if len(lines) > 3 else [])


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _some(names: list[str]) -> str:
    shown = [*map(printable, names[:5]), *(["others"] if len(names) > 5 else [])]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _deeper(root: Path, names: list[str]) -> str:
    """Name the folder whose folders may be the classes, if it alone holds images."""
    holders = {_class_of(name) for name in names}
    folders = {name.split("/")[1] for name in names if name.count("/") > 1}
    if len(holders) != 1 or len(folders) < 2:
        return ""
    holder = holders.pop()
    return f"\nIf the classes are the folders in {printable(holder)}: {_data_dir(root / holder)}"


def _data_dir(folder: Path) -> str:
    return f"--data-dir {printable(shlex.quote(str(folder)))}"


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
