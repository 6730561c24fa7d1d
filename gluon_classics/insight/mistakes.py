"""Where a network is wrong and sure: a picture of its most confident errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from gluon_classics.insight.contact_sheet import Line, draw_sheet
from gluon_classics.insight.lettering import lettering

import numpy as np

COLUMNS, MOST = 6, 30
LRM = "\u200e"  # left-to-right mark: a name in Arabic or Hebrew does not turn the line around


def draw_mistakes(
    images: np.ndarray,
    labels: np.ndarray,
    logits: np.ndarray,
    classes: Sequence[str],
    path: str | Path,
    files: Sequence[str] | None = None,
) -> None:
    """Write a PNG of the 30 images whose wrong class has the highest probability: the softmax of the logits.

    Above each: its class, the one it was taken for with the probability, and its file's name. Without an error, the
    picture says so. A class is drawn as its number where no font has its letters.

    Parameters
    ----------
    images : uint8 (N, H, W, C), as stored; C is 1 (grey) or 3 (colour). Only those drawn are read.
    labels, logits : (N,) and (N, classes), as of training.predict.
    files : N names, or None.

    Raises ValueError for other shapes, OSError where the file cannot be written.
    """
    labels, logits = np.asarray(labels).astype(np.int64), np.asarray(logits, "float64")
    if len(images) != len(labels) or logits.shape != (len(labels), len(classes)):
        raise ValueError(
            f"{len(images)} images, labels {labels.shape}, logits {logits.shape} and {len(classes)} classes do not fit:"
            " give N, (N,), (N, classes) and classes"
        )
    guesses = logits.argmax(axis=1)
    with np.errstate(invalid="ignore"):  # infinite logits: NaN, which comes last
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        confidence = 1 / scores.sum(axis=1)
    wrong = np.flatnonzero(guesses != labels)
    shown = wrong[np.argsort(-confidence[wrong], kind="stable")[:MOST]]
    names_of_files = [PurePosixPath(files[i]).name for i in shown] if files else []
    pictures = [np.asarray(images[i]) for i in shown]
    with lettering([*classes, *names_of_files]) as letters:
        names = letters.classes(classes)
        lines = [
            [
                Line(names[labels[i]], weight="bold"),
                Line(f"{LRM}→ {names[guesses[i]]}{LRM} {confidence[i]:.1%}", "#b00020"),
                *([Line(letters.text(names_of_files[n]), "#555555")] if files else []),
            ]
            for n, i in enumerate(shown)
        ]
        draw_sheet(pictures, lines, _title(len(shown), len(wrong), len(labels)), COLUMNS, path)


def _title(shown: int, wrong: int, images: int) -> str:
    if not wrong:
        return f"No mistakes: all {images:,} test images are recognized"
    if shown < wrong:
        return f"The {shown} most confident of {wrong:,} mistakes in {images:,} test images"
    return f"{'The only mistake' if wrong == 1 else f'All {wrong} mistakes'} in {images:,} test images"
