"""The folder a run leaves: its configuration, log, metrics, curves and weights."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path

from gluon_classics.training.curves import draw_curves
from gluon_classics.training.loop import EpochRecord
from gluon_classics.whole_file import whole_file

from mxnet import nd


class RunFolder:
    """Writes one run's results as they come.

    ====================  ====================================================================
    config.json           every setting of the run, and the versions it ran with
    log.txt               the lines that were printed
    metrics.csv           one row an epoch, the fields of EpochRecord
    curves.png            loss and accuracy over the epochs
    last.params           the weights after the last whole epoch, or where the run was stopped
    best.params           the weights after the epoch with the lowest training loss
    ====================  ====================================================================

    The best weights are chosen on the training loss, not on the test set, so that the test accuracy of an epoch
    stays an honest estimate. Raises ValueError for a folder that holds files already, or cannot be written.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise ValueError(f"{self.path} exists already and is left as it is: name another folder for this run")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "log.txt").touch()
        except OSError as error:
            raise ValueError(f"the run folder {self.path} cannot be written: {error.strerror}") from error
        self.records: list[EpochRecord] = []

    def log(self, line: str) -> None:
        """Print a line, and keep it."""
        print(line, flush=True)
        with open(self.path / "log.txt", "a") as file:
            file.write(line + "\n")

    def write_config(self, config: dict) -> None:
        with whole_file(self.path / "config.json") as temporary:
            temporary.write_text(json.dumps(config, indent=2) + "\n")

    def end_of_epoch(self, record: EpochRecord, net) -> None:
        """Enter an epoch: its row, the curves, the weights."""
        best_before = min((r.train_loss for r in self.records), default=math.inf)
        self.records.append(record)
        self._write_metrics()
        with whole_file(self.path / "curves.png") as temporary:
            draw_curves(self.records, temporary)
        self.save_weights(net, "last")
        if record.train_loss < best_before:
            self.save_weights(net, "best")

    def save_weights(self, net, name: str) -> None:
        nd.waitall()  # batch norm's running statistics may lag behind
        with whole_file(self.path / f"{name}.params") as temporary:
            net.save_parameters(str(temporary))

    def _write_metrics(self) -> None:
        with whole_file(self.path / "metrics.csv") as temporary, open(temporary, "w", newline="") as file:
            rows = csv.DictWriter(file, [field.name for field in fields(EpochRecord)])
            rows.writeheader()
            rows.writerows(asdict(record) for record in self.records)


def new_run_folder(root: str | Path, name: str) -> RunFolder:
    """A folder of its own for a run started now: root/name-20170901-120000."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    for suffix in ["", *(f"-{n}" for n in range(1, 100))]:
        path = Path(root) / f"{name}-{stamp}{suffix}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:  # another run of the same second
            continue
        except OSError as error:
            raise ValueError(f"the run folder {path} cannot be written: {error.strerror}") from error
        return RunFolder(path)
    raise ValueError(f"a hundred runs named {name}-{stamp} are in {root} already")
