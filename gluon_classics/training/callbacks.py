"""Callbacks of the training loop: the interface, lines and progress bar, and records.

Others are in `checkpointer`, `early_stopping` and `weight_average`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sized
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from gluon_classics.training.metrics import Metrics
from gluon_classics.training.progress import EpochRecord, Progress

from tqdm import tqdm


class Callback:
    """Called by `train`, in the order of the list. Any method may raise StopTraining to end the training."""

    def on_batch_end(self, progress: Progress, metrics: Metrics) -> None:
        """Called after each step. metrics.sums lag a few batches; metrics.total() waits for them."""

    def evaluating(self) -> AbstractContextManager:
        """Return the context for the evaluation after an epoch. The last callback's context is the outermost."""
        return nullcontext()

    def on_evaluation_batch(self) -> None:
        """Called after each batch of an evaluation."""

    def on_epoch_end(self, record: EpochRecord) -> bool | None:
        """Called after each epoch and its evaluation. If it returns True, the training ends as after its last epoch."""


class Log(Callback):
    """Writes the tutorial's line for each epoch, and a line every `print_batches` batches, by calling `log`.

    With the training loader as `data`, draws a progress bar on stderr if that is a terminal, or if `bar` is True.
    """

    def __init__(
        self,
        print_batches: int | None = None,
        log: Callable[[str], None] = print,
        data: Iterable[Any] | None = None,
        bar: bool | None = None,
    ):
        self.print_batches, self.log, self.data = print_batches, log, data
        self.shown = sys.stderr.isatty() if bar is None else bar
        self._bar: tqdm | None = None
        self._metrics = Metrics()

    def on_batch_end(self, progress: Progress, metrics: Metrics) -> None:
        self._metrics = metrics
        self._warn()
        if self.shown and isinstance(self.data, Sized):
            self._draw(progress, len(self.data))
        if self.print_batches and progress.batch % self.print_batches == 0:
            total = metrics.total()
            self._write(f"Batch {total.examples}. Loss: {total.loss:f}, Train acc {total.accuracy:f}")

    def evaluating(self) -> AbstractContextManager:
        self._warn()  # the epoch's last batches have been read now
        self.close()
        return nullcontext()

    def on_epoch_end(self, record: EpochRecord) -> None:
        self.log(epoch_line(record))

    def _warn(self) -> None:
        for line in self._metrics.take_warnings():
            self._write(line)

    def _write(self, line: str) -> None:
        if self._bar is not None:
            self._bar.clear()
        self.log(line)

    def _draw(self, progress: Progress, batches: int) -> None:
        if self._bar is None:
            self._bar = tqdm(
                initial=progress.batch - 1,
                total=batches,
                desc=f"Epoch {progress.epoch}",
                unit=" images",
                unit_scale=getattr(self.data, "batch_size", 1),
                leave=False,
            )
        self._bar.update()

    def close(self) -> None:
        """Remove the progress bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class History(Callback):
    """Keeps the EpochRecord of each epoch in the list `records`."""

    def __init__(self) -> None:
        self.records: list[EpochRecord] = []

    def on_epoch_end(self, record: EpochRecord) -> None:
        self.records.append(record)


def epoch_line(record: EpochRecord) -> str:
    """Return the tutorial's line."""
    accuracies = {"Train": record.train_acc, "Val": record.val_acc, "Test": record.test_acc}
    words = [f"{name} acc {value:.2f}" for name, value in accuracies.items() if value is not None]
    return f"Epoch {record.epoch}. Loss: {record.train_loss:.3f}, {', '.join(words)}, Time {record.seconds:.1f} sec"
