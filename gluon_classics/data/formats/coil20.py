"""COIL-20: 20 objects on a turntable, one grey image of 128x128 pixels every 5 degrees (S. A. Nene, S. K. Nayar,
H. Murase, "Columbia Object Image Library (COIL-20)", technical report CUCS-005-96, Columbia University, 1996).

This reads the processed set, coil-20-proc.zip or its files: obj1__0.png to obj20__71.png, by object and pose (the angle
is the pose times 5 degrees). It is for research, and is downloaded by hand. It has no test set: see `splits`.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.files import sources
from gluon_classics.data.files.image_files import BadImage, open_image
from gluon_classics.data.files.verified import DamagedFile
from gluon_classics.data.splits import POSES, some
from gluon_classics.printable import printable

import numpy as np

OBJECTS, SIZE = 20, 128
COIL20_CLASSES = tuple(f"obj{number}" for number in range(1, OBJECTS + 1))

#: The file names, by object and pose, in the order of the images.
FILES = tuple(f"obj{number}__{pose}.png" for number in range(1, OBJECTS + 1) for pose in range(POSES))

ARCHIVE = "coil-20-proc.zip"
HOME = "https://www.cs.columbia.edu/CAVE/databases/SLAM_coil-20_coil-100/coil-20/coil-20-proc.zip"
FOLDER = "coil-20-proc"  # in the archive

MOST_BYTES = 65_536  # of a file; the largest official one has 13,525

Files = Iterator[tuple[str, Callable[[], IO[bytes]]]]  # the file name of each image, and a function that opens it


def load_coil20(root: str | Path | None = None) -> ImageDataset:
    """Load the images (1440, 128, 128, 1) in 20 classes, by object and pose; `files` are "obj1__0.png" and so on.

    `root` is the archive, or a folder that holds the archive, its images, or the folder coil-20-proc with the images.
    Without it, MXNet's and the system's folders for the data set coil20 are searched. The archive, which may have been
    repacked, is read in memory; files that are not .png are ignored.

    Raises ValueError if COIL-20 is not found, and DamagedFile, a ValueError, with all faults: files that are missing,
    duplicate, or not of the data set, and files that are not a grey PNG of 8 bits and 128x128 pixels.
    """
    path = _find(root)
    if path.is_dir():
        images, faults = _read(_from_folder(path))
    else:
        try:
            with zipfile.ZipFile(path) as archive:
                images, faults = _read(_from_zip(archive))
        except (zipfile.BadZipFile, OSError) as error:
            raise DamagedFile(f"{printable(path)}: not a valid zip archive: {error}") from error
    if faults:
        what = f"{printable(path)} is not COIL-20, {OBJECTS} objects in {POSES} poses"
        raise DamagedFile(f"{what}: {'; '.join(faults)}. Download {ARCHIVE} again from {HOME}")
    labels = np.repeat(np.arange(OBJECTS), POSES)
    return ImageDataset(images, labels, COIL20_CLASSES, "coil20", str(path), files=FILES)


def _find(root: str | Path | None) -> Path:
    """Return the archive, or the folder of the images."""
    if root is None:
        folders = [sources.mxnet_data_folder("coil20"), *(Path(f) / "coil20" for f in sources.SYSTEM_FOLDERS)]
    else:
        root = Path(root).expanduser()
        if root.is_file():
            return root
        if not root.exists():
            raise ValueError(f"data folder {printable(root)} does not exist; {_what_to_do()}")
        folders = [root]
    for folder in folders:
        for path in (folder, folder / FOLDER):
            if path.is_dir() and _has_images(path):
                return path
        if (folder / ARCHIVE).is_file():
            return folder / ARCHIVE
    raise ValueError(f"COIL-20 is not in {', nor in '.join(map(printable, folders))}; {_what_to_do()}")


def _has_images(folder: Path) -> bool:
    try:
        return any(re.match(r"obj\d+__", name) for name in os.listdir(folder))
    except OSError as error:
        raise ValueError(f"data folder {printable(folder)} cannot be read: {error.strerror or error}") from error


def _what_to_do() -> str:
    return (
        f"download {ARCHIVE} (12 MB) from {HOME} and give as root (--data-dir) the archive, or a folder with it or with"
        f" its images, obj1__0.png to obj{OBJECTS}__{POSES - 1}.png"
    )


def _open(path: Path) -> IO[bytes]:
    return open(path, "rb")


def _from_folder(folder: Path) -> Files:
    for name in sorted(os.listdir(folder)):
        if _is_image(name):
            yield name, partial(_open, folder / name)


def _from_zip(archive: zipfile.ZipFile) -> Files:
    for entry in archive.infolist():
        name = entry.filename.rsplit("/", 1)[-1]
        if _is_image(name):
            yield name, partial(archive.open, entry)


def _is_image(name: str) -> bool:
    return name.lower().endswith(".png") and not name.startswith(".")  # macOS adds ._obj1__0.png to archives


def _read(files: Files) -> tuple[np.ndarray, list[str]]:
    """Return all images (1440, 128, 128, 1), and the faults, one line for each kind."""
    places = {name: place for place, name in enumerate(FILES)}
    images = np.zeros((len(FILES), SIZE, SIZE, 1), np.uint8)
    seen, twice, strange, damaged = set(), [], [], []
    for name, open_file in files:
        if name not in places:
            strange.append(name)
        elif name in seen:
            twice.append(name)
        else:
            seen.add(name)
            try:
                images[places[name], ..., 0] = _decode(open_file)
            except BadImage as error:
                damaged.append(f"{name} ({error})")
    kinds = {
        "missing": _missing(seen),
        "duplicate": twice,
        "not of the data set": strange,
        "not a grey PNG of 8 bits and 128x128 pixels": damaged,
    }
    return images, [f"{kind}: {some(names, 100)}" for kind, names in kinds.items() if names]


def _missing(seen: set[str]) -> list[str]:
    """List the files that are not in `seen`, with "all of obj7" if an object is missing completely."""
    missing = []
    for label, name in enumerate(COIL20_CLASSES):
        poses = [file for file in FILES[label * POSES : (label + 1) * POSES] if file not in seen]
        missing += [f"all of {name}"] if len(poses) == POSES else poses
    return missing


def _decode(open_file: Callable[[], IO[bytes]]) -> np.ndarray:
    """Return the pixels (128, 128). Raises BadImage for any other kind of image."""
    try:
        with open_file() as file:
            contents = file.read(MOST_BYTES + 1)
    # RuntimeError: encrypted; NotImplementedError: a compression that Python does not support
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise BadImage(getattr(error, "strerror", None) or str(error)) from error
    if len(contents) > MOST_BYTES:
        raise BadImage(f"more than {MOST_BYTES:,} bytes")
    with open_image(io.BytesIO(contents)) as image:
        if image.format != "PNG":
            raise BadImage(f"a {image.format} image")
        if image.size != (SIZE, SIZE):
            raise BadImage(f"{image.width}x{image.height} pixels")
        bits = contents[24]  # in the header, because Pillow also opens 2 and 4 bits as mode L
        if (image.mode, bits) != ("L", 8):
            raise BadImage(f"mode {image.mode}, {bits} bits")
        return np.asarray(image)
