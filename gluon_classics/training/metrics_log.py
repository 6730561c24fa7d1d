"""Metrics files of a run: CSV, JSON lines and TensorBoard events."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from time import time
from typing import Any

from gluon_classics.whole_file import whole_file

# TensorBoard groups charts by the first word of the tag
TAGS = {
    "train_loss": "loss/train",
    "val_loss": "loss/val",
    "test_loss": "loss/test",
    "train_acc": "accuracy/train",
    "val_acc": "accuracy/val",
    "test_acc": "accuracy/test",
    "learning_rate": "training/learning_rate",
    "gradient_norm": "training/gradient_norm",
    "images_per_second": "training/images_per_second",
}


class MetricsLog:
    """Writes rows of `fields` to metrics.csv, metrics.jsonl and, with `tensorboard`, to event files in tensorboard/.

    A row is a dict with a value for each field; "epoch" is TensorBoard's step. None gives an empty cell in CSV, null in
    JSON, and no point in TensorBoard; NaN and infinity are null in JSON, too. Raises ValueError for `tensorboard` if
    tensorboardX is not installed.
    """

    def __init__(self, folder: str | Path, fields: list[str], tensorboard: bool = False):
        self.folder, self.fields = Path(folder), list(fields)
        self._events = _Events(self.folder / "tensorboard") if tensorboard else None

    def write(self, rows: list[dict]) -> None:
        """Write all rows of the run, including those written before. Raises OSError."""
        with whole_file(self.folder / "metrics.csv") as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, self.fields, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        with whole_file(self.folder / "metrics.jsonl") as temporary:
            lines = (json.dumps({name: _json_value(row[name]) for name in self.fields}) for row in rows)
            temporary.write_text("".join(line + "\n" for line in lines))
        if self._events:
            self._events.write(rows)


class _Events:
    """The event file of one process. It begins with a START event, which hides the points of earlier processes.

    tensorboardX's SummaryWriter writes in a thread, which does not notice a full disk and makes a later call hang.
    """

    def __init__(self, folder: Path):
        try:
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto import event_pb2, summary_pb2
        except ImportError:
            raise ValueError(
                "--tensorboard needs tensorboardX, which is not installed: pip install tensorboardX"
            ) from None
        self._open, self._proto, self._summary = EventsWriter, event_pb2, summary_pb2
        self._folder = folder
        self._writer: Any = None
        self._written = 0

    def write(self, rows: list[dict]) -> None:
        """Append the rows that this process has not written yet, and flush."""
        if self._writer is None:
            self._folder.mkdir(exist_ok=True)
            self._writer = self._open(str(self._folder / "events"))
            restart = self._proto.SessionLog(status=self._proto.SessionLog.START)
            self._writer.write_event(self._proto.Event(wall_time=time(), step=0, session_log=restart))
        for row in rows[self._written :]:
            values = [
                self._summary.Summary.Value(tag=tag, simple_value=row[name])
                for name, tag in TAGS.items()
                if row.get(name) is not None
            ]
            summary = self._summary.Summary(value=values)
            self._writer.write_event(self._proto.Event(wall_time=time(), step=row["epoch"], summary=summary))
        self._writer.flush()
        self._written = len(rows)


def _json_value(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value
