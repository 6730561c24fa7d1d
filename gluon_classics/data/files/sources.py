"""Where data sets come from: found on this machine, or else fetched.

Each data set's own `Source` is in its file in `gluon_classics.data.formats`.
"""

from __future__ import annotations

import logging
import os
import platform
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gluon_classics.data.files.fetch import extract_debian_package, fetch_files
from gluon_classics.data.files.members import read_members
from gluon_classics.data.files.verified import ArchiveSpec, DamagedFile, FileSpec, read_bytes


class Source(NamedTuple):
    """What is known about a data set: its files, its usual folder's name, and everywhere it can be had."""

    title: str
    folder: str  # its name under MXNet's and the system's data set folders
    files: tuple[FileSpec, ...]
    homes: tuple[str, ...]  # base addresses of NAME.gz, or of the archive, the likeliest to last first
    by_hand: str  # the page to send a person to
    archive: ArchiveSpec | None = None  # what holds the files where they are served
    pickles: tuple[str, ...] = ()  # the same data set's files of another kind, which are not read
    debian_package: str | None = None
    debian_folder: str | None = None
    sample: str | None = None  # the data set to name in its place when it cannot be had


SYSTEM_FOLDERS = ("/usr/share/datasets", "/usr/local/share/datasets")

log = logging.getLogger(__name__)


class DatasetUnavailable(ValueError):
    """A data set is nowhere on this machine and cannot be fetched; the message lists all that was tried."""


def find(source: Source, root=None) -> tuple[Path, dict[str, bytes]]:
    """The folder with all of `source`'s files, and their verified decompressed bytes by name.

    Looks in `root`, in MXNet's usual folder, in the system's folders; then fetches over http(s), then out of
    Debian's package, into `root` where one is given and into MXNet's usual folder otherwise. Files are accepted
    as .gz or plain, compressed in any way: the SHA-256 of the decompressed bytes decides. Files that come in an archive
    are read out of it, in memory; or one by one where they were extracted, into the folder itself or the archive's own.

    Raises ValueError where `root` is not a folder, or would have to be written and cannot be; DamagedFile (a
    ValueError) for a file in `root` that is not what its name says (elsewhere that is a warning, and the search
    goes on); DatasetUnavailable (a ValueError) when nothing works.
    """
    target = mxnet_data_folder(source.folder)
    folders = [target, *(Path(folder) / source.folder for folder in SYSTEM_FOLDERS)]
    if root is not None:
        target = Path(root).expanduser()
        if not target.is_dir():
            what = "is not a folder" if target.exists() else "does not exist"
            raise ValueError(
                f"data folder {target} {what}; name a folder with {source.title}'s files in it, "
                "or create an empty one to have them fetched into it"
            )
        folders = [target, *(folder for folder in folders if folder != target)]

    tried: list[str] = []
    in_target: dict[str, bytes] = {}
    for folder in folders:
        raw, problems = _look_for(source, folder, strict=root is not None and folder == target)
        if not problems:
            log.info("%s: found in %s", source.title, folder)
            return folder, raw
        tried.append(f"folder {folder}: {'; '.join(problems)}")
        if folder == target:
            in_target = raw

    try:
        _check_writable(target)
        fetched = _fetch(source, target, in_target, tried)
    except OSError as error:
        words = f"folder {target}: cannot be written ({error.strerror or error})"
        if root is not None:
            raise ValueError(
                f"data {words}, and {source.title} has to be fetched into it; name a folder "
                f"that can be written, or one that already has {_names(source)}"
            ) from error
        tried.append(words)
        fetched = None
    if fetched is None:
        raise DatasetUnavailable(_ways_out(source, target, tried))
    log.info("%s: fetched into %s", source.title, target)
    return target, fetched


def read_verified(folder: Path, specs: Sequence[FileSpec]) -> dict[str, bytes]:
    """The decompressed bytes of all `specs` in `folder`, by name. DamagedFile for one missing or damaged."""
    raw, problems = _look_in(Path(folder), specs, strict=True)
    if problems:
        raise DamagedFile(f"folder {folder}: {'; '.join(problems)}")
    return raw


def mxnet_data_folder(name: str) -> Path:
    """MXNet's usual folder for the data set `name`, by the rule of mxnet.base.data_dir()."""
    if platform.system() == "Windows":
        usual = os.path.join(os.environ.get("APPDATA", "~"), "mxnet")
    else:
        usual = os.path.join("~", ".mxnet")
    return Path(os.environ.get("MXNET_HOME", usual)).expanduser() / "datasets" / name


def _look_for(source: Source, folder: Path, strict: bool) -> tuple[dict[str, bytes], list[str]]:
    """As `_look_in`, for a source's files and, where one or all of them are missing, for its archive."""
    raw, problems = _look_in(folder, source.files, strict)
    archive = source.archive
    if archive is None or not problems or not os.path.isdir(folder):
        return raw, problems
    raw, problems = _look_in(folder / archive.folder, source.files, strict)
    if not problems:
        return raw, []
    path = folder / archive.name
    if not os.path.isfile(path):
        return {}, [_missing_archive(source, folder)]
    try:
        return read_members(_read_archive(path, archive), archive, source.files, str(path)), []
    except DamagedFile as error:
        if strict:
            raise
        log.warning("passing over a damaged file: %s", error)
        return {}, [str(error)]


def _missing_archive(source: Source, folder: Path) -> str:
    """That the archive is not in `folder`, and that pickles in its place are of no use."""
    missing = f"no {source.archive.name}"
    pickles = [name for name in source.pickles if os.path.exists(folder / name)]
    if pickles:
        missing += (
            f", but {', '.join(pickles)}: those are Python's pickles, which can run any program and are not read;"
            f" {source.archive.name} has the same images"
        )
        log.warning("folder %s: %s", folder, missing)
    return missing


def _look_in(folder: Path, specs: Sequence[FileSpec], strict: bool) -> tuple[dict[str, bytes], list[str]]:
    """The good files of `folder` by name, and what is wrong with the others. `strict` raises for damage."""
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
                log.warning("passing over a damaged file: %s", error)
                faults.append(str(error))
        if not paths:
            missing.append(f"{spec.name}.gz")
        elif spec.name not in good:
            damaged += faults
    problems = list(damaged)
    if missing:
        problems.append(f"no {', no '.join(missing)}")
    return good, problems


def _read_archive(path: Path, archive: ArchiveSpec) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(archive.size + 1)
    except OSError as error:
        raise DamagedFile(f"{path}: cannot be read: {error.strerror or error}") from error
    return archive.check(data, str(path))


def _fetch(source: Source, target: Path, have: dict[str, bytes], tried: list[str]) -> dict[str, bytes] | None:
    """All files' bytes after fetching those that `have` lacks into `target`; None, and reasons in `tried`."""
    log.info("%s is not complete on this machine; fetching it into %s", source.title, target)
    if source.archive is not None:
        got, reasons = fetch_files(source.homes, [source.archive], target)
        tried += reasons
        if not got:
            return None
        path = target / source.archive.name
        return read_members(got[source.archive.name], source.archive, source.files, str(path))
    have = dict(have)
    ways = [lambda missing: fetch_files(source.homes, missing, target)]
    if source.debian_package is not None:
        ways.append(
            lambda missing: extract_debian_package(source.debian_package, source.debian_folder, missing, target)
        )
    for way in ways:
        got, reasons = way([spec for spec in source.files if spec.name not in have])
        have.update(got)
        tried += reasons
        if len(have) == len(source.files):
            return have
    return None


def _check_writable(folder: Path) -> None:
    """OSError unless a file can be made in `folder`, which is created where it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".{os.getpid()}-{secrets.token_hex(4)}.part"
    probe.touch(exist_ok=False)
    probe.unlink()


def _names(source: Source) -> str:
    """The files to download, in words."""
    return source.archive.name if source.archive else ", ".join(spec.packed_name for spec in source.files)


def _ways_out(source: Source, target: Path, tried: Sequence[str]) -> str:
    lines = [f"{source.title} is not on this machine and could not be fetched. Tried:"]
    lines += [f"  - {line}" for line in tried]
    ways = []
    if source.debian_package is not None:
        ways.append(f"on Debian and Ubuntu: apt-get install {source.debian_package}")
    ways.append(f"download {_names(source)} by hand from {source.by_hand} into {target}")
    if source.sample is not None:
        ways.append(f"use the sample that comes with this package: --dataset {source.sample}")
    lines += ["What to do:" if len(ways) == 1 else "Ways out:"]
    lines += [f"  {number}. {way}" for number, way in enumerate(ways, 1)]
    return "\n".join(lines)
