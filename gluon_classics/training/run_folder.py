"""The folder of a run: settings, log, metrics, curves, weights and checkpoints."""

from __future__ import annotations

import contextlib
import fcntl
import json
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path

from gluon_classics.training.curves import draw_curves
from gluon_classics.training.durable import save_arrays
from gluon_classics.training.metrics_log import MetricsLog
from gluon_classics.training.progress import EpochRecord
from gluon_classics.whole_file import whole_file

from mxnet import gluon, nd


class RunFolder:
    """Writes the results of one run.

    ============================  ============================================================================
    config.json                   all settings of the run, and the versions it ran with
    log.txt                       the lines that were printed
    metrics.csv, metrics.jsonl    a row per epoch, the fields of EpochRecord
    curves.png                    loss and accuracy over the epochs
    last.params                   the weights after the last complete epoch, or at the stop
    best.params                   the weights after the best epoch
    checkpoints                   where a resumed run continues: see `checkpoint_files`
    result.json                   accuracies at the end; it marks a finished run
    tensorboard                   event files, with `tensorboard`
    ============================  ============================================================================

    The best epoch has the highest validation accuracy or, without a validation set, the lowest training loss. It is
    never chosen on the test set, whose accuracy stays an honest estimate.

    A new run needs a folder that is new, or has nothing in it but a log; `resume` takes the folder of a run. Raises
    ValueError for other folders, and for one that cannot be written, or that another process is writing.
    """

    def __init__(self, path: str | Path, resume: bool = False, tensorboard: bool = False):
        self.path = Path(path)
        self._metrics = MetricsLog(self.path, [field.name for field in fields(EpochRecord)], tensorboard)
        if not resume and self.path.exists() and (not self.path.is_dir() or any(map(_is_content, self.path.iterdir()))):
            raise ValueError(f"{self.path} exists already and is left as it is: name another folder")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path / "log.txt", "a", encoding="utf-8")  # noqa: SIM115 the lock lives as long as the run
        except OSError as error:
            raise ValueError(f"the run folder {self.path} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(f"another process is writing the run in {self.path}") from None
        for part in self.path.glob(".*.part*"):  # left by a process that was killed
            part.unlink()
        self.records: list[EpochRecord] = []

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def log(self, line: str) -> None:
        """Print a line, and write it to log.txt unless the disk is full."""
        print(line, flush=True)
        with contextlib.suppress(OSError):
            self._lock.write(line + "\n")
            self._lock.flush()

    def write_json(self, name: str, content: dict) -> None:
        self.write_text(f"{name}.json", json.dumps(content, indent=2) + "\n")

    def write_text(self, name: str, text: str) -> None:
        with whole_file(self.path / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def remove(self, name: str) -> None:
        """Delete a file of an earlier state of the run, if it exists."""
        (self.path / name).unlink(missing_ok=True)

    def restore(self, records: list[dict]) -> None:
        """Replace the records by those of a checkpoint."""
        self.records = [EpochRecord(**record) for record in records]
        self._write_records()

    def enter(self, record: EpochRecord) -> None:
        """Add an epoch, and write metrics and curves."""
        self.records.append(record)
        self._write_records()

    @property
    def best_record(self) -> EpochRecord | None:
        """The record of the best epoch, or of the first of equal ones."""
        if any(record.val_acc is None for record in self.records):
            return min(self.records, key=lambda record: record.train_loss, default=None)
        return max(self.records, key=lambda record: record.val_acc or 0.0, default=None)

    def save_weights(self, net: gluon.Block, name: str) -> None:
        nd.waitall()  # running statistics are written late
        weights = {key: p._reduce() for key, p in net._collect_params_with_prefix().items()}  # as net.save_parameters
        with whole_file(self.path / f"{name}.params") as temporary:
            save_arrays(temporary, weights)

    def _write_records(self) -> None:
        self._metrics.write([asdict(record) for record in self.records])
        if self.records:
            with whole_file(self.path / "curves.png") as temporary:
                draw_curves(self.records, temporary)


class UnwrittenRun(RunFolder):
    """A run on the other workers: it keeps the records, and leaves all writing to the first worker."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.records: list[EpochRecord] = []

    def log(self, line: str) -> None: ...
    def write_text(self, name: str, text: str) -> None: ...
    def remove(self, name: str) -> None: ...
    def save_weights(self, net: gluon.Block, name: str) -> None: ...
    def _write_records(self) -> None: ...


def new_run_folder(root: str | Path, name: str, tensorboard: bool = False) -> RunFolder:
    """Make a folder for a run that starts now, root/name-20170901-120000."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    for suffix in ["", *(f"-{n}" for n in range(1, 100))]:
        path = Path(root) / f"{name}-{stamp}{suffix}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:  # another run began in the same second
            continue
        except OSError as error:
            raise ValueError(f"the run folder {path} cannot be written: {error.strerror}") from error
        try:
            return RunFolder(path, tensorboard=tensorboard)
        except ValueError:
            path.rmdir()
            raise
    raise ValueError(f"{root} already has a hundred runs named {name}-{stamp}")


def unfinished_runs(root: str | Path) -> list[Path]:
    """Return the runs under `root` without a result that no process is writing, the newest first."""
    runs = [path.parent for path in Path(root).glob("*/config.json") if not (path.parent / "result.json").exists()]
    return sorted((run for run in runs if not _is_written(run)), key=lambda run: run.stat().st_mtime, reverse=True)


def _is_content(path: Path) -> bool:
    return path.name != "log.txt" and not path.name.startswith(".")


def _is_written(run: Path) -> bool:
    with contextlib.suppress(FileNotFoundError), open(run / "log.txt") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
