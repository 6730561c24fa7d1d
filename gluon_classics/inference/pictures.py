"""The picture files that a command line names, singly or in folders."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Callable, NamedTuple

from gluon_classics.data.files.image_files import SUFFIXES, is_ignored


class Picture(NamedTuple):
    file: str
    top: str  # the named folder, or the folder of a named file


@dataclass
class Pictures:
    """The pictures found, in the order of their names on the command line, sorted in each folder; and those skipped."""

    found: list[Picture] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)  # folders and reasons
    others: int = 0  # files in folders without the suffix of a picture
    hidden: int = 0  # files and folders in folders that are hidden, or that systems leave
    repeated: int = 0  # files named before, and links to them
    _seen: set[str] = field(default_factory=set)

    def __contains__(self, name: str | os.PathLike) -> bool:
        return os.path.realpath(name) in self._seen

    def _add_file(self, file: str, top: str, real: str) -> None:
        if real in self._seen:
            self.repeated += 1
        else:
            self._seen.add(real)
            self.found.append(Picture(file, top))

    def _add_folder(self, top: str) -> None:
        waiting = [(top, os.path.realpath(top))]
        while waiting:
            folder, real = waiting.pop()
            if real in self._seen:  # a second link to it, or a link to a folder around it
                continue
            self._seen.add(real)
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError as error:
                self.unreadable.append((folder, f"cannot be read: {error.strerror}"))
                continue
            inner = []
            for entry in entries:
                linked = entry.is_symlink()
                itself = os.path.realpath(entry.path) if linked else os.path.join(real, entry.name)
                if is_ignored(entry.name):
                    self.hidden += 1
                elif os.path.isdir(itself) if linked else entry.is_dir():
                    inner.append((entry.path, itself))
                elif entry.name.lower().endswith(SUFFIXES):
                    self._add_file(entry.path, top, itself)
                else:
                    self.others += 1
            waiting += reversed(inner)


def find_pictures(names: Iterable[str]) -> Pictures:
    """Return the named files, whatever their suffix, and all pictures in the named folders and their subfolders.

    Each file is found once, whatever links lead to it. Missing files are included; reading them gives the error.
    """
    pictures = Pictures()
    for name in names:
        if os.path.isdir(name):
            pictures._add_folder(name)
        else:
            pictures._add_file(name, os.path.dirname(name), os.path.realpath(name))
    return pictures


def class_by_folder(classes: Sequence[str]) -> Callable[[Picture], str | None]:
    """Return a function from a picture to the class that a folder around it is named after, or None.

    The nearest such folder counts, up to the one named on the command line. A class with a slash, such as T-shirt/top,
    is a folder in a folder. Different Unicode encodings of an accent are equal.
    """
    ends = {unicodedata.normalize("NFC", f"/{name}/"): name for name in classes}

    @lru_cache(maxsize=1024)
    def named(folder: str, top: str) -> str | None:
        while True:
            path = unicodedata.normalize("NFC", folder + "/")
            fitting = [end for end in ends if path.endswith(end)]
            if fitting:
                return ends[max(fitting, key=len)]
            if folder in (top, "/"):
                return None
            folder = os.path.dirname(folder)

    return lambda picture: named(os.path.abspath(os.path.dirname(picture.file)), os.path.abspath(picture.top))
