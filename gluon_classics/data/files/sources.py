"""Find data sets on this machine, or download them.

The `Source` of each data set is in its file in `gluon_classics.data.formats`.
"""

from __future__ import annotations

import logging
import os
import platform
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gluon_classics.data.files.fetch import fetch_files
from gluon_classics.data.files.verified import ArchiveSpec, DamagedFile, FileSpec, read_bytes, read_file
from gluon_classics.printable import printable


class Source(NamedTuple):
    """The files of a data set, and where they can be found."""

    title: str
    folder: str  # its name in MXNet's and the system's data set folders
    files: tuple[FileSpec, ...]
    mirrors: tuple[str, ...]  # base addresses of NAME.gz, or of the archive, the most reliable first
    by_hand: str  # the page for a download by hand
    archive: ArchiveSpec | None = None  # what holds the files on the mirrors
    pickles: tuple[str, ...] = ()  # the same data set in files that are not read
    debian_package: str | None = None
    sample: str | None = None  # the data set to suggest if this one is unavailable


SYSTEM_FOLDERS = ("/usr/share/datasets", "/usr/local/share/datasets")

log = logging.getLogger(__name__)


class DatasetUnavailable(ValueError):
    """A data set is not on this machine and cannot be downloaded. The message lists everything that was tried."""


def find(source: Source, root: str | Path | None = None) -> tuple[Path, dict[str, bytes]]:
    """Return the folder with all of `source`'s files, and their verified decompressed bytes by name.

    Searches `root`, MXNet's usual folder and the system's folders, then downloads into `root`, or into MXNet's usual
    folder if `root` is None. Files may be plain or .gz, compressed in any way: the SHA-256 of the decompressed bytes
    decides. Files that are published in an archive are read from it in memory, or one by one if they were extracted,
    into the folder itself or into the archive's own.

    Raises ValueError if `root` is not a folder, or cannot be written when a download is needed; DamagedFile, a
    ValueError, for a file in `root` that is not what its name says (in other folders that is a warning, and the search
    continues); and DatasetUnavailable, a ValueError, if nothing works.
    """
    target = mxnet_data_folder(source.folder)
    folders = [target, *(Path(folder) / source.folder for folder in SYSTEM_FOLDERS)]
    if root is not None:
        target = Path(root).expanduser()
        if not target.is_dir():
            what = "is not a folder" if target.exists() else "does not exist"
            need = f"name a folder with {source.title}'s files, or an empty one"
            raise ValueError(f"data folder {printable(target)} {what}; {need}")
        folders = [target, *(folder for folder in folders if folder != target)]

    tried, in_target = [], {}
    for folder in folders:
        raw, problems = _look_for(source, folder, strict=root is not None and folder == target)
        if not problems:
            log.info("%s: found in %s", source.title, printable(folder))
            return folder, raw
        tried.append(f"folder {printable(folder)}: {'; '.join(problems)}")
        if folder == target:
            in_target = raw

    try:
        _check_writable(target)
        fetched = _fetch(source, target, in_target, tried)
    except OSError as error:
        words = f"folder {printable(target)}: cannot be written ({error.strerror or error})"
        if root is not None:
            need = f"name one that can be written, or one that has {_names(source)}"
            raise ValueError(f"data {words}, and {source.title} has to be downloaded into it; {need}") from error
        tried.append(words)
        fetched = None
    if fetched is None:
        raise DatasetUnavailable(_ways_out(source, target, tried))
    log.info("%s: downloaded into %s", source.title, printable(target))
    return target, fetched


def read_verified(folder: Path, specs: Sequence[FileSpec]) -> dict[str, bytes]:
    """Return the decompressed bytes of all `specs` in `folder`. Raises DamagedFile if one is missing or damaged."""
    raw, problems = _look_in(Path(folder), specs, strict=True)
    if problems:
        raise DamagedFile(f"folder {printable(folder)}: {'; '.join(problems)}")
    return raw


def mxnet_data_folder(name: str) -> Path:
    """Return MXNet's usual folder for the data set `name`, by the rule of mxnet.base.data_dir()."""
    if platform.system() == "Windows":
        usual = os.path.join(os.environ.get("APPDATA", "~"), "mxnet")
    else:
        usual = os.path.join("~", ".mxnet")
    return Path(os.environ.get("MXNET_HOME", usual)).expanduser() / "datasets" / name


def _look_for(source: Source, folder: Path, strict: bool) -> tuple[dict[str, bytes], list[str]]:
    """Like `_look_in` for a source's files; if any are missing, read them from its archive."""
    raw, problems = _look_in(folder, source.files, strict)
    archive = source.archive
    if archive is None or not problems or not os.path.isdir(folder):
        return raw, problems
    raw, problems = _look_in(folder / archive.folder, source.files, strict)
    if not problems:
        return raw, []
    path = folder / archive.name
    if not os.path.isfile(path):
        return {}, [_missing_archive(archive, source.pickles, folder)]
    try:
        data = archive.check(read_file(path, archive.size + 1), str(path))
        return archive.read(data, source.files, str(path)), []
    except DamagedFile as error:
        if strict:
            raise
        log.warning("skipping a damaged file: %s", error)
        return {}, [str(error)]


def _missing_archive(archive: ArchiveSpec, unread: Sequence[str], folder: Path) -> str:
    """Say that the archive is not in `folder`, and that pickles there are of no use."""
    missing = f"no {archive.name}"
    pickles = [name for name in unread if os.path.exists(folder / name)]
    if pickles:
        missing += (
            f", but {', '.join(pickles)}: Python pickles can run any program and are not read;"
            f" {archive.name} has the same images"
        )
        log.warning("folder %s: %s", printable(folder), missing)
    return missing


def _look_in(folder: Path, specs: Sequence[FileSpec], strict: bool) -> tuple[dict[str, bytes], list[str]]:
    """Return the intact files of `folder` by name, and the faults of the others. `strict` raises DamagedFile."""
    if not os.path.isdir(folder):
        return {}, ["no such folder"]
    good: dict[str, bytes] = {}
    missing, damaged = [], []
    for spec in specs:
        paths = [path for path in (folder / f"{spec.name}.gz", folder / spec.name) if os.path.isfile(path)]
        faults = []
        for path in paths:
            try:
                good[spec.name] = spec.check(read_bytes(path, spec.size), str(path))
                break
            except DamagedFile as error:
                if strict:
                    raise
                log.warning("skipping a damaged file: %s", error)
                faults.append(str(error))
        if not paths:
            missing.append(f"no {spec.name}.gz")
        elif spec.name not in good:
            damaged += faults
    return good, damaged + ([", ".join(missing)] if missing else [])


def _fetch(source: Source, target: Path, have: dict[str, bytes], tried: list[str]) -> dict[str, bytes] | None:
    """Download what `have` lacks into `target` and return all files' bytes, or None with the reasons in `tried`."""
    log.info("%s is not complete on this machine; downloading it into %s", source.title, printable(target))
    archive = source.archive
    wanted: list[FileSpec | ArchiveSpec] = (
        [archive] if archive else [spec for spec in source.files if spec.name not in have]
    )
    got, reasons = fetch_files(source.mirrors, wanted, target)
    tried += reasons
    if len(got) < len(wanted):
        return None
    if archive:
        return archive.read(got[archive.name], source.files, str(target / archive.name))
    return {**have, **got}


def _check_writable(folder: Path) -> None:
    """Raise OSError unless a file can be made in `folder`, which is created if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".{os.getpid()}-{secrets.token_hex(4)}.part"
    probe.touch(exist_ok=False)
    probe.unlink()


def _names(source: Source) -> str:
    return source.archive.name if source.archive else ", ".join(spec.packed_name for spec in source.files)


def _ways_out(source: Source, target: Path, tried: Sequence[str]) -> str:
    ways = [f"download {_names(source)} by hand from {source.by_hand} into {printable(target)}"]
    if source.debian_package is not None:
        ways.insert(0, f"on Debian and Ubuntu: apt-get install {source.debian_package}")
    if source.sample is not None:
        ways.append(f"use the sample that comes with this package: {source.sample} (--dataset {source.sample})")
    return "\n".join(
        [
            f"{source.title} is not on this machine and could not be downloaded. Tried:",
            *(f"  - {line}" for line in tried),
            "What to do:",
            *(f"  {number}. {way}" for number, way in enumerate(ways, 1)),
        ]
    )
