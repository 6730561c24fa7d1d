"""Confusion matrices, and the scores of each class."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gluon_classics.insight.lettering import lettering, literal, shortened
from gluon_classics.insight.tables import aligned
from gluon_classics.printable import csv_cell, csv_text, printable
from gluon_classics.whole_file import whole_file

import numpy as np

CLASSES_WITH_NUMBERS = 20  # with more classes, the picture has colours only
LONGEST_NAME = 24  # columns; a longer name loses its middle


# the name of a folder, and so of a class, need not be valid UTF-8
_ENCODING: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}


class ClassScores(NamedTuple):
    """The scores of one class; 0 / 0 is NaN."""

    accuracy: float  # recall: share of the class's images that were predicted as it
    precision: float  # share of the images predicted as the class that belong to it
    f1: float  # their harmonic mean
    count: int  # type: ignore[assignment]  # images of the class; a tuple has a method of this name


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Return int64 (classes, classes): the number of images of the row's class predicted as the column's.

    labels, predictions : integers (N,), 0 to classes - 1. Raises ValueError for others.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise ValueError(f"labels {labels.shape} and predictions {predictions.shape} are not two arrays (N,)")
    for name, values in (("labels", labels), ("predictions", predictions)):
        strange = values[(values < 0) | (values >= classes) | (values != values.astype(np.int64))]
        if strange.size:
            raise ValueError(f"{name} hold {strange[0]}, but {classes} classes are numbered 0 to {classes - 1}")
    pairs = labels.astype(np.int64) * classes + predictions.astype(np.int64)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def per_class(matrix: np.ndarray) -> list[ClassScores]:
    """Return the scores of each class of a confusion matrix (rows true, columns predicted)."""
    right, count, taken = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    with np.errstate(invalid="ignore"):
        columns = right / count, right / taken, 2 * right / (count + taken)
    return [ClassScores(float(a), float(p), float(f), int(n)) for a, p, f, n in zip(*columns, count)]


def format_per_class(matrix: np.ndarray, names: Sequence[str]) -> str:
    """Return a table with the scores of each class, and the class that it was most often confused with."""
    _check_names(matrix, names)
    names = [printable(name) for name in names]
    rows: list[tuple[str, ...]] = [("class", "images", "accuracy", "precision", "F1", "most often confused with")]
    for i, scores in enumerate(per_class(matrix)):
        shares = (_share(value) for value in scores[:3])
        rows.append((names[i], f"{scores.count:,}", *shares, most_frequent_confusion(matrix[i], i, names)))
    return aligned(rows, "<>>>><")


def most_frequent_confusion(row: np.ndarray, own: int, names: Sequence[str]) -> str:
    """Return the most frequent wrong prediction of a row of the matrix and its count, or "" if there is none."""
    wrong = row.copy()
    wrong[own] = 0
    return f"{names[int(wrong.argmax())]} ({wrong.max():,})" if wrong.any() else ""


def write_confusion(matrix: np.ndarray, names: Sequence[str], folder: str | Path) -> None:
    """Write confusion.csv, in UTF-8 with the names in the first row and column, and confusion.png. Raises OSError."""
    _check_names(matrix, names)
    path = Path(folder) / "confusion.csv"
    with whole_file(path) as temporary, open(temporary, "w", newline="", **_ENCODING) as file:
        writer = csv.writer(file, lineterminator="\n")
        cells = [csv_cell(name) for name in names]
        writer.writerow(["true \\ predicted", *cells])
        writer.writerows([cell, *row] for cell, row in zip(cells, matrix.tolist()))
    with whole_file(Path(folder) / "confusion.png") as temporary, lettering(names) as letters:
        labels = [literal(shortened(name, LONGEST_NAME)) for name in letters.classes(names)]
        # tight: longer names enlarge the picture instead of shrinking the matrix
        _draw(matrix, labels).savefig(temporary, dpi=120, bbox_inches="tight")


def read_confusion(path: str | Path) -> tuple[np.ndarray, list[str]]:
    """Read the matrix and the names. Raises ValueError for another file, OSError if it cannot be read."""
    try:
        with open(path, newline="", **_ENCODING) as file:
            (_, *names), *rows = csv.reader(file)
        matrix = np.array([[int(cell) for cell in cells] for _, *cells in rows], np.int64).reshape(len(rows), -1)
    except (ValueError, csv.Error):
        raise ValueError(f"{path} is not a confusion matrix: name the confusion.csv of a run") from None
    if matrix.shape != (len(names), len(names)) or [row[0] for row in rows] != names:
        raise ValueError(f"{path} is not a confusion matrix: its first row and first column name different classes")
    return matrix, [csv_text(name) for name in names]


def _draw(matrix: np.ndarray, names: Sequence[str]) -> Any:
    """Return the matrix as a matplotlib Figure.

    Colours are shares of the row, so that small and large classes are equally visible. The colour scale is the square
    root of the share, so that a confusion of a few percent is visible next to the diagonal.
    """
    from matplotlib.colors import PowerNorm  # here: its import would delay the first batch of a training
    from matplotlib.figure import Figure

    n = len(names)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = min(2 + 0.4 * n, 17)  # inches: a square fits a number, and the axis 100 names
    figure = Figure(figsize=(side + 0.6, side))
    axes = figure.add_axes((0, 0, side / (side + 0.6), 1))
    bar = figure.add_axes((1 - 0.2 / (side + 0.6), 0.1, 0.2 / (side + 0.6), 0.8))
    darkness = PowerNorm(0.5, vmin=0, vmax=1)
    image = axes.imshow(shares, cmap="Blues", norm=darkness)
    label, ticks = "share of the images of the true class", [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]
    figure.colorbar(image, cax=bar, label=label, ticks=ticks, format="%g")
    if n <= CLASSES_WITH_NUMBERS:
        for i, j in np.argwhere(matrix > 0):
            axes.text(
                j,
                i,
                str(matrix[i, j]),
                ha="center",
                va="center",
                size=9,
                weight="bold" if i == j else "normal",
                color="white" if darkness(shares[i, j]) > 0.6 else "black",
            )
    named = range(0, n, 1 + (n - 1) // 100)  # 100 names fit
    size, rotation, end = (9, 45, "right") if n <= CLASSES_WITH_NUMBERS else (6, 90, "center")
    axes.set_xticks(named, [names[i] for i in named], size=size, rotation=rotation, ha=end)
    axes.set_yticks(named, [names[i] for i in named], size=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(f"{np.trace(matrix):,} of {matrix.sum():,} images correct")
    return figure


def _share(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _check_names(matrix: np.ndarray, names: Sequence[str]) -> None:
    if matrix.shape != (len(names), len(names)):
        raise ValueError(f"the confusion matrix is {matrix.shape}, but there are {len(names)} class names")
