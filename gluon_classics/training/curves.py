"""Learning curves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gluon_classics.training.progress import EpochRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = ("train", "training", "C0o-"), ("val", "validation", "C1^:"), ("test", "test", "C2s--")


def draw_curves(records: list[EpochRecord], path: Path) -> None:
    """Draw loss and accuracy over the epochs, of the training set and of each set that was evaluated."""
    curves_figure(records).savefig(path, dpi=120)


def curves_figure(records: list[EpochRecord]) -> Figure:
    """Return the curves as a matplotlib Figure."""
    from matplotlib.figure import Figure  # imported late: it would delay the first batch
    from matplotlib.ticker import MaxNLocator

    size = 5 if len(records) <= 30 else 2 if len(records) <= 100 else 0  # large markers would hide a long line
    epochs = [record.epoch for record in records]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    for axes, title, what in ((loss_axes, "Loss (cross-entropy)", "loss"), (accuracy_axes, "Accuracy (top-1)", "acc")):
        for part, name, style in PARTS:
            values = [getattr(record, f"{part}_{what}") for record in records]
            if None not in values:
                axes.plot(epochs, values, style, label=name, markersize=size, linewidth=1.5)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.legend()
    return figure
