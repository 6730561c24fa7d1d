"""Loss and accuracy, summed on the devices and read a few batches late."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from gluon_classics.training.distributed import ALONE, Workers

import numpy as np
from mxnet import nd

# Batches that Python may be ahead of the devices: enough to keep them busy, while the engine's queue, and with it the
# memory, stays bounded.
QUEUE = 4
# Warn if the gradient's norm exceeds this many times the epoch's mean so far.
EXPLODING = 20


class NonFiniteLoss(ArithmeticError):
    """The loss or the gradient is NaN or infinite. The message names epoch and batch."""


class Metrics:
    """Sums of losses and correct answers, computed on the devices and read :data:`QUEUE` batches late.

    By then a result is ready, so that reading it stalls no device; waiting for it bounds the queue. `training` names
    the epoch in which loss and gradient must be finite; None for an evaluation. `sums` continues an epoch.
    """

    def __init__(self, training: str | None = None, workers: Workers = ALONE, sums: dict | None = None):
        self.training, self.workers = training, workers
        zeros = {"loss": 0.0, "correct": 0.0, "examples": 0, "batches": 0, "norms": 0, "norm": 0.0, "max_norm": 0.0}
        self.sums: dict[str, Any] = {**zeros, **(sums or {})}
        self._outstanding: deque = deque()
        self._warnings: list[str] = []

    def add(self, losses: list, outputs: list, labels: list, norm: nd.NDArray | None = None) -> None:
        """Add one batch: loss (n,), logits (n, classes) and labels (n,) of each slice; the gradient's norm (1,)."""
        sums = [
            (nd.concat(loss.sum().astype("float64"), correct(out, y).astype("float64"), dim=0), y.size)
            for loss, out, y in zip(losses, outputs, labels)
        ]
        self._outstanding.append((sums, norm))
        if len(self._outstanding) > QUEUE:
            self._read()

    def finish(self) -> Metrics:
        """Wait for all batches, and return self."""
        while self._outstanding:
            self._read()
        return self

    def total(self) -> Metrics:
        """Wait for all batches, and return the sums over all workers."""
        return Metrics(sums=sums_over(self.workers, self.finish().sums))

    def take_warnings(self) -> list[str]:
        """Return the warnings since the last call, of jumps of the gradient's norm."""
        warnings, self._warnings = self._warnings, []
        return warnings

    @property
    def examples(self) -> int:
        return self.sums["examples"]

    @property
    def batches(self) -> int:
        return self.sums["batches"]

    @property
    def loss(self) -> float:
        return self.sums["loss"] / self.examples if self.examples else math.nan

    @property
    def accuracy(self) -> float:
        return self.sums["correct"] / self.examples if self.examples else math.nan

    @property
    def gradient_norm(self) -> float | None:
        """The largest measured norm of the gradient of the mean loss; None if none was measured."""
        return self.sums["max_norm"] if self.sums["norms"] else None

    def _read(self) -> None:
        sums, norm = self._outstanding.popleft()
        mine = self.sums
        mine["batches"] += 1
        for both, n in sums:
            loss, right = both.asnumpy().tolist()
            self._must_be_finite("loss", loss)
            mine["loss"] += loss
            mine["correct"] += right
            mine["examples"] += n
        if norm is not None:
            self._enter_norm(float(norm.asscalar()))

    def _enter_norm(self, norm: float) -> None:
        mine = self.sums
        self._must_be_finite("gradient's norm", norm)
        mean = mine["norm"] / mine["norms"] if mine["norms"] else norm
        if norm > EXPLODING * max(mean, 1e-12):
            self._warnings.append(
                f"WARNING: the gradient's norm jumped to {norm:.3g} in {self.training}, batch {mine['batches']}: its "
                f"mean so far is {mean:.3g}. A smaller learning rate, warm-up or clipping helps"
            )
        mine["norms"] += 1
        mine["norm"] += norm
        mine["max_norm"] = max(mine["max_norm"], norm)

    def _must_be_finite(self, what: str, value: float) -> None:
        if self.training and not math.isfinite(value):
            raise NonFiniteLoss(f"the {what} is {value} in {self.training}, batch {self.batches}")


def sums_over(workers: Workers, sums: dict) -> dict:
    """Return the sums of a Metrics over all workers. Batches and gradients are the same on all."""
    loss, correct, examples = workers.sum(
        np.array([sums["loss"], sums["correct"], sums["examples"]], np.float64)
    ).tolist()
    return {**sums, "loss": loss, "correct": correct, "examples": int(examples)}


def correct(output: nd.NDArray, label: nd.NDArray) -> nd.NDArray:
    """Return the number of rows of logits (n, classes) with their maximum at the label (n,)."""
    return (output.argmax(axis=1).astype("float32") == label.astype("float32")).sum()
