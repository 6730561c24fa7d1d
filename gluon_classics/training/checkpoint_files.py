"""Checkpoints: folders that are written whole or not at all, and read only if every byte is what was written.

====================  ========================================================================================
weights.params        the parameters, in MXNet's format, as are the other arrays
optimizer.params      the optimizer's arrays; where it has none, the file is left out
average.params        the averaged weights, in a run that has them
state.json            all other state: plain values
manifest.json         format, versions, SHA-256 and size of each file above
manifest.json.sha256  SHA-256 of the manifest, as `sha256sum -c` reads it
====================  ========================================================================================

A checkpoint's name tells its place in the run, epoch-0003-batch-000120, and the place tells its age. While one takes
the place of another with the same name, the other is called .old, and is as good. Names that begin with a dot belong
to folders that are being written or deleted. Nothing in a checkpoint is a pickle, and nothing is executed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Callable, NamedTuple

from gluon_classics.training.durable import on_disk, save_arrays
from gluon_classics.training.manifest import DamagedCheckpoint, reading, verified_files, write_manifest
from gluon_classics.whole_file import sync_folder

import numpy as np
from mxnet import nd


class Checkpoint(NamedTuple):
    """arrays: a file's stem -> name -> array; at least "weights". state: fit for JSON, with "epoch" and "batch"."""

    arrays: dict[str, dict[str, nd.NDArray]]
    state: dict


class NonFiniteWeights(ArithmeticError):
    """An array to be written holds NaN or infinity; the message names it."""


def write_checkpoint(folder: str | Path, checkpoint: Checkpoint) -> Path:
    """Write the checkpoint into `folder`, and return its path, folder/epoch-0003-batch-000120.

    Whatever happens, a reader finds the old checkpoints or the new one, whole, even after a power failure. Later
    ones than the new one are deleted: the run has gone back before them, because they were damaged.

    Raises NonFiniteWeights before anything is written, and OSError, naming the file, where one cannot be written
    whole, as on a full disk.
    """
    nd.waitall()  # batch norm's running statistics may lag behind
    _must_be_finite(checkpoint.arrays)
    state = json.dumps(checkpoint.state, indent=2) + "\n"
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    final = folder / checkpoint_name(checkpoint.state["epoch"], checkpoint.state["batch"])
    part = _part(final)
    try:
        part.mkdir()
        for stem, arrays in checkpoint.arrays.items():
            if arrays:
                save_arrays(part / f"{stem}.params", arrays)
        with on_disk(part / "state.json") as file:
            file.write_text(state)
        write_manifest(part)
        sync_folder(part)
        _take_place(part, final)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    for path in _newest_first(folder):
        if _place(path)[:2] > _place(final)[:2]:
            _delete(path)
    return final


def checkpoint_name(epoch: int, batch: int) -> str:
    """By the place in the run."""
    return f"epoch-{epoch:04}-batch-{batch:06}"


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint, after every byte of it was verified. A file that was left out has no entry in `arrays`.

    Raises DamagedCheckpoint, and ValueError for the format of another version of gluon-classics.
    """
    path = Path(path)
    arrays = {file.stem: _load(file) for file in verified_files(path) if file.suffix == ".params"}
    if "weights" not in arrays:
        raise DamagedCheckpoint(f"{path}: weights.params: not in the manifest")
    with reading(path / "state.json") as file:
        state = json.loads(file.read_bytes())
        if not isinstance(state["epoch"], int) or not isinstance(state["batch"], int):
            raise ValueError("epoch and batch are no whole numbers")
    return Checkpoint(arrays, state)


def newest_checkpoint(folder: str | Path, log: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is whole; `log` receives a line for each newer one that is not.

    None for a folder that is missing, or holds no checkpoint. Raises DamagedCheckpoint, with all reasons, where every
    one is damaged, and ValueError as `read_checkpoint` does.
    """
    reasons = []
    for path in _newest_first(Path(folder)):
        try:
            checkpoint = read_checkpoint(path)
        except DamagedCheckpoint as error:
            reasons.append(str(error))
            continue
        for reason in reasons:
            log(f"WARNING: a damaged checkpoint is passed over: {reason}")
        return checkpoint
    if reasons:
        raise DamagedCheckpoint(
            f"every checkpoint is damaged; without the folder {folder} the run would begin anew:\n" + "\n".join(reasons)
        )
    return None


def prune(folder: str | Path, keep: int = 2, best: Path | None = None) -> None:
    """Delete all checkpoints in `folder` but the newest `keep` and `best`."""
    for path in _newest_first(Path(folder))[keep:]:
        if best is None or path.name not in (best.name, f"{best.name}.old"):
            _delete(path)


def _place(path: Path) -> tuple | None:
    """What checkpoints are sorted by: epoch, batch, and, of two in the same place, the new one after the .old."""
    match = re.fullmatch(r"epoch-(\d+)-batch-(\d+)(\.old)?", path.name)
    return match and (int(match[1]), int(match[2]), match[3] is None)


def _newest_first(folder: Path) -> list[Path]:
    paths = folder.iterdir() if folder.is_dir() else []
    return sorted((path for path in paths if _place(path)), key=_place, reverse=True)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")


def _take_place(part: Path, final: Path) -> None:
    """Rename `part` to `final`. Not every file system can exchange two folders: an old one is set aside first."""
    old = final.with_name(f"{final.name}.old")
    if final.exists():
        if old.exists():  # left by a writer that was killed when `final` stood
            _delete(old)
        os.replace(final, old)
    try:
        os.replace(part, final)
    except BaseException:
        if old.exists():
            os.replace(old, final)
        raise
    sync_folder(final.parent)
    sync_folder(final.parent.parent)  # the folder of checkpoints may be new
    if old.exists():
        _delete(old)


def _delete(path: Path) -> None:
    """Rename first: a folder that is half deleted must not look like a checkpoint."""
    part = _part(path)
    os.replace(path, part)
    shutil.rmtree(part)


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left."""
    for path in folder.iterdir():
        match = re.fullmatch(r"\..+\.(\d{1,9})-[0-9a-f]+\.part", path.name)
        if match and (int(match[1]) == os.getpid() or not _runs(int(match[1]))):
            shutil.rmtree(path, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def _must_be_finite(arrays: dict[str, dict[str, nd.NDArray]]) -> None:
    floats = [
        (f"{name} of {stem}", array)
        for stem, named in arrays.items()
        for name, array in named.items()
        if np.issubdtype(array.dtype, np.floating)
    ]
    flags = [nd.all_finite(array) for _, array in floats]  # all at once, then read
    for (what, _), finite in zip(floats, flags):
        if not finite.asscalar():
            raise NonFiniteWeights(f"{what} is not finite: no checkpoint is written")


def _load(file: Path) -> dict[str, nd.NDArray]:
    with reading(file):
        arrays = nd.load(str(file))
        if not isinstance(arrays, dict):
            raise ValueError("its arrays have no names")
    return arrays
