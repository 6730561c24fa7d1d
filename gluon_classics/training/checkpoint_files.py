"""Checkpoints: folders written completely or not at all, and read only if every byte is intact.

====================  ========================================================================================
weights.params        the parameters in MXNet's format, like all arrays
optimizer.params      the optimizer's arrays, if it has any
average.params        the averaged weights, if the run has them
state.json            all other state, as plain values
manifest.json         format, versions, and SHA-256 and size of each file above
manifest.json.sha256  SHA-256 of the manifest, for `sha256sum -c`
====================  ========================================================================================

A checkpoint is named after its place in the run, epoch-0003-batch-000120; the later place is the newer checkpoint.
While it replaces one of the same name, that one is called .old, and is still valid. Folders whose names begin with a
dot are being written or deleted. A checkpoint contains no pickle, and nothing in it is executed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Callable, NamedTuple

from gluon_classics.params_file import check_params
from gluon_classics.training.durable import on_disk, save_arrays
from gluon_classics.training.manifest import DamagedCheckpoint, reading, verified_files, write_manifest
from gluon_classics.whole_file import sync_folder

import numpy as np
from mxnet import nd


class Checkpoint(NamedTuple):
    """arrays: file stem -> name -> array, at least "weights". state: JSON values, among them "epoch" and "batch"."""

    arrays: dict[str, dict[str, nd.NDArray]]
    state: dict


class NonFiniteWeights(ArithmeticError):
    """An array to be written contains NaN or infinity. The message names it."""


def write_checkpoint(folder: str | Path, checkpoint: Checkpoint) -> Path:
    """Write the checkpoint into `folder` and return its path, folder/epoch-0003-batch-000120.

    A reader always finds the old checkpoints or the complete new one, even after a power failure. Checkpoints of later
    places are deleted: they were damaged, and the run has gone back to an earlier one.

    Raises NonFiniteWeights before anything is written, and OSError, naming the file, if it cannot be written
    completely, for instance because the disk is full.
    """
    nd.waitall()  # running statistics of a net hybridized with static_shape are written late
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
    return f"epoch-{epoch:04}-batch-{batch:06}"


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Verify every byte of a checkpoint, and read it. A missing optional file has no entry in `arrays`.

    Raises DamagedCheckpoint, and ValueError for the format of another version of gluon-classics.
    """
    path = Path(path)
    arrays = {file.stem: _load(file) for file in verified_files(path) if file.suffix == ".params"}
    if "weights" not in arrays:
        raise DamagedCheckpoint(f"{path}: weights.params: not in the manifest")
    with reading(path / "state.json") as file:
        state = json.loads(file.read_bytes())
        if not isinstance(state["epoch"], int) or not isinstance(state["batch"], int):
            raise ValueError("epoch and batch are not whole numbers")
    return Checkpoint(arrays, state)


def newest_checkpoint(folder: str | Path, log: Callable[[str], None]) -> Checkpoint | None:
    """Return the newest intact checkpoint; `log` receives a line for each damaged newer one.

    Returns None if the folder is missing or empty. Raises DamagedCheckpoint, with all reasons, if every checkpoint is
    damaged, and ValueError as `read_checkpoint` does.
    """
    reasons = []
    for path in _newest_first(Path(folder)):
        try:
            checkpoint = read_checkpoint(path)
        except DamagedCheckpoint as error:
            reasons.append(str(error))
            continue
        for reason in reasons:
            log(f"WARNING: skipping a damaged checkpoint: {reason}")
        return checkpoint
    if reasons:
        raise DamagedCheckpoint(
            f"every checkpoint is damaged; delete the folder {folder} to start anew:\n" + "\n".join(reasons)
        )
    return None


def prune(folder: str | Path, keep: int = 2, best: Path | None = None) -> None:
    """Delete all checkpoints in `folder` except the newest `keep` and `best`."""
    for path in _newest_first(Path(folder))[keep:]:
        if best is None or path.name not in (best.name, f"{best.name}.old"):
            _delete(path)


def _place(path: Path) -> tuple[int, ...]:
    """Return the sort key of a checkpoint: epoch, batch, and False for .old; () for another name."""
    match = re.fullmatch(r"epoch-(\d+)-batch-(\d+)(\.old)?", path.name)
    return (int(match[1]), int(match[2]), match[3] is None) if match else ()


def _newest_first(folder: Path) -> list[Path]:
    paths = folder.iterdir() if folder.is_dir() else []
    return sorted((path for path in paths if _place(path)), key=_place, reverse=True)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")


def _take_place(part: Path, final: Path) -> None:
    """Rename `part` to `final`. Not every file system can exchange two folders, so an old `final` is renamed first."""
    old = final.with_name(f"{final.name}.old")
    if final.exists():
        if old.exists():  # left by a writer that was killed after the second rename
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
    """Delete a checkpoint. Rename it first: a half-deleted folder must not look like a checkpoint."""
    part = _part(path)
    os.replace(path, part)
    shutil.rmtree(part)


def _remove_leftovers(folder: Path) -> None:
    """Remove the folders of writers that were killed."""
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
        pass  # it is another user's
    return True


def _must_be_finite(arrays: dict[str, dict[str, nd.NDArray]]) -> None:
    floats = [
        (f"{name} of {stem}", array)
        for stem, named in arrays.items()
        for name, array in named.items()
        if np.issubdtype(array.dtype, np.floating)
    ]
    flags = [nd.all_finite(array) for _, array in floats]  # start all, then read
    for (what, _), finite in zip(floats, flags):
        if not finite.asscalar():
            raise NonFiniteWeights(f"{what} is not finite: no checkpoint is written")


def _load(file: Path) -> dict[str, nd.NDArray]:
    with reading(file):
        check_params(file)
        arrays = nd.load(str(file))
        if not isinstance(arrays, dict):
            raise ValueError("its arrays have no names")
    return arrays
