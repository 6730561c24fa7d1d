"""Learning curves as a picture."""

from __future__ import annotations

from pathlib import Path

from gluon_classics.training.loop import EpochRecord

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def draw_curves(records: list[EpochRecord], path: Path) -> None:
    """Write a picture of loss and accuracy over the epochs, training and test."""
    epochs = [record.epoch for record in records]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    for axes, title, what in ((loss_axes, "Loss (cross-entropy)", "loss"), (accuracy_axes, "Accuracy (top-1)", "acc")):
        axes.plot(epochs, [getattr(r, f"train_{what}") for r in records], "o-", label="training")
        axes.plot(epochs, [getattr(r, f"test_{what}") for r in records], "s--", label="test")
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
