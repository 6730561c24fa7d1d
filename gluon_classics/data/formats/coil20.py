"""COIL-20: 20 objects on a turntable, one grey picture of 128x128 pixels every 5 degrees (S. A. Nene, S. K. Nayar,
H. Murase, "Columbia Object Image Library (COIL-20)", technical report CUCS-005-96, Columbia University, 1996).

Read is the processed set, coil-20-proc.zip or its files: obj1__0.png to obj20__71.png, object and pose, and the pose
times 5 is the angle. It is for research, and is fetched by hand. It has no test set of its own: see `splits`.
"""

from __future__ import annotations

import io
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.files import sources
from gluon_classics.data.files.image_files import strictly
from gluon_classics.data.files.verified import DamagedFile, describe
from gluon_classics.data.splits import POSES, some

import numpy as np
from PIL import Image, UnidentifiedImageError

OBJECTS, SIZE = 20, 128
COIL20_CLASSES = tuple(f"obj{number}" for number in range(1, OBJECTS + 1))

#: By object and pose, as the images are.
FILES = tuple(f"obj{number}__{pose}.png" for number in range(1, OBJECTS + 1) for pose in range(POSES))

ARCHIVE = "coil-20-proc.zip"
HOME = "https://www.cs.columbia.edu/CAVE/databases/SLAM_coil-20_coil-100/coil-20/coil-20-proc.zip"
FOLDER = "coil-20-proc"  # in the archive

MOST_BYTES = 65_536  # of a file: the longest of the official ones has 13,525

# Of each picture its file's name, and what opens it
Pictures = Iterator[tuple[str, Callable[[], BinaryIO]]]


def load_coil20(root=None) -> ImageDataset:
    """The 1,440 images (1440, 128, 128, 1) in 20 classes, by object and pose; `files` are "obj1__0.png" and so on.

    `root` is the archive, or a folder that holds its pictures, or coil-20-proc with the pictures, or the archive;
    without it MXNet's and the system's folders for the data set coil20 are looked in. The archive is read in memory. It
    may have been packed again; other files than .png are passed over.

    Raises ValueError where there is no COIL-20, and DamagedFile, a ValueError, which lists all that is wrong: files
    that are missing, twice there, or not of the data set, and those that are no grey PNG of 8 bits and 128x128 pixels.
    """
    path = _find(root)
    if path.is_dir():
        images, faults = _read(_from_folder(path))
    else:
        try:
            with zipfile.ZipFile(path) as archive:
                images, faults = _read(_from_zip(archive))
        except (zipfile.BadZipFile, OSError) as error:
            raise DamagedFile(f"{path}: no sound zip archive: {error}") from error
    if faults:
        raise DamagedFile(
            f"{path} is not COIL-20, {OBJECTS} objects in {POSES} poses: "
            + "; ".join(faults)
            + f". Get {ARCHIVE} again from {HOME}"
        )
    labels = np.repeat(np.arange(OBJECTS), POSES)
    return ImageDataset(images, labels, COIL20_CLASSES, "coil20", str(path), files=FILES)


def _find(root) -> Path:
    """The archive, or the folder of the pictures."""
    if root is None:
        folders = [sources.mxnet_data_folder("coil20"), *(Path(f) / "coil20" for f in sources.SYSTEM_FOLDERS)]
    else:
        root = Path(root).expanduser()
        if root.is_file():
            return root
        if not root.exists():
            raise ValueError(f"data folder {root} does not exist; {_what_to_do()}")
        folders = [root]
    for folder in folders:
        for path in (folder, folder / FOLDER):
            if path.is_dir() and _has_pictures(path):
                return path
        if (folder / ARCHIVE).is_file():
            return folder / ARCHIVE
    raise ValueError(f"COIL-20 is not in {', nor in '.join(map(str, folders))}; {_what_to_do()}")


def _has_pictures(folder: Path) -> bool:
    try:
        return any(re.match(r"obj\d+__", name) for name in os.listdir(folder))
    except OSError as error:
        raise ValueError(f"data folder {folder} cannot be read: {error.strerror or error}") from error


def _what_to_do() -> str:
    return (
        f"download {ARCHIVE} (12 MB) from {HOME} and name it with --data-dir, or a folder with it or its pictures,"
        f" obj1__0.png to obj{OBJECTS}__{POSES - 1}.png"
    )


def _from_folder(folder: Path) -> Pictures:
    for name in sorted(os.listdir(folder)):
        if _is_picture(name):
            yield name, partial(open, folder / name, "rb")


def _from_zip(archive: zipfile.ZipFile) -> Pictures:
    for entry in archive.infolist():
        name = entry.filename.rsplit("/", 1)[-1]
        if _is_picture(name):
            yield name, partial(archive.open, entry)


def _is_picture(name: str) -> bool:
    return name.lower().endswith(".png") and not name.startswith(".")  # macOS leaves ._obj1__0.png behind


def _read(pictures: Pictures) -> tuple[np.ndarray, list[str]]:
    """All images (1440, 128, 128, 1), and all that is wrong, one line for each kind."""
    places = {name: place for place, name in enumerate(FILES)}
    images = np.zeros((len(FILES), SIZE, SIZE, 1), np.uint8)
    seen, twice, strange, damaged = set(), [], [], []
    for name, open_picture in pictures:
        if name not in places:
            strange.append(name)
        elif name in seen:
            twice.append(name)
        else:
            seen.add(name)
            try:
                images[places[name], ..., 0] = _decode(open_picture)
            except DamagedFile as error:
                damaged.append(f"{name} ({error})")
    kinds = {
        "missing": _missing(seen),
        "there twice": twice,
        "not of the data set": strange,
        "not a grey PNG of 8 bits and 128x128 pixels": damaged,
    }
    return images, [f"{kind}: {some(names, 100)}" for kind, names in kinds.items() if names]


def _missing(seen: set[str]) -> list[str]:
    """What is not in `seen`: file names, and where all poses of an object are missing that in a few words."""
    missing = []
    for label, name in enumerate(COIL20_CLASSES):
        poses = [file for file in FILES[label * POSES : (label + 1) * POSES] if file not in seen]
        missing += [f"all of {name}"] if len(poses) == POSES else poses
    return missing


def _decode(open_picture: Callable[[], BinaryIO]) -> np.ndarray:
    """The picture's pixels (128, 128). DamagedFile, with the reason alone, for any other kind of picture."""
    try:
        with open_picture() as file:
            contents = file.read(MOST_BYTES + 1)
    # RuntimeError: encrypted; NotImplementedError: packed in a way that Python does not know
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise DamagedFile(getattr(error, "strerror", None) or str(error)) from error
    if len(contents) > MOST_BYTES:
        raise DamagedFile(f"more than {MOST_BYTES:,} bytes")
    try:
        with strictly, Image.open(io.BytesIO(contents), formats=("PNG",)) as image:
            if image.size != (SIZE, SIZE):
                raise DamagedFile(f"{image.width}x{image.height} pixels")
            bits = contents[24]  # of the header: Pillow calls 2 and 4 bits "L" as well
            if (image.mode, bits) != ("L", 8):
                raise DamagedFile(f"mode {image.mode}, {bits} bits")
            return np.asarray(image)
    except DamagedFile:
        raise
    except UnidentifiedImageError as error:
        raise DamagedFile(describe(contents)) from error
    # what Pillow raises for broken files; SyntaxError is its own for a broken PNG
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise DamagedFile(str(error)) from error
