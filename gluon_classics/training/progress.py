"""The place in a training, and the results of an epoch."""

from __future__ import annotations

from dataclasses import dataclass


class StopTraining(Exception):
    """Raised by a callback to end the training where it is, without an error."""


@dataclass
class Progress:
    """A place in a training: `batch` batches of `epoch` are done."""

    epoch: int = 0
    batch: int = 0
    sums: dict | None = None  # of Metrics over these batches; None at the start of an epoch
    seconds: float = 0.0  # for these batches


@dataclass(frozen=True)
class EpochRecord:
    """The results of one epoch. Losses and accuracies are means over examples; None for a set that was not read."""

    epoch: int
    train_loss: float
    train_acc: float
    val_loss: float | None
    val_acc: float | None
    test_loss: float | None
    test_acc: float | None
    learning_rate: float  # at the end of the epoch
    gradient_norm: float | None  # the largest one measured, of the mean loss
    seconds: float  # including the evaluation
    images_per_second: float  # of the training part alone
