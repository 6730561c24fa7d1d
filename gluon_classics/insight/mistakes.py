"""A sheet of the most confident mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from gluon_classics.insight.contact_sheet import GREY, LRM, RED, Line, Tile, draw_sheet
from gluon_classics.insight.lettering import lettering

import numpy as np

COLUMNS, MOST = 6, 30


def draw_mistakes(
    images: np.ndarray,
    labels: np.ndarray,
    logits: np.ndarray,
    classes: Sequence[str],
    path: str | Path,
    files: Sequence[str] | None = None,
) -> None:
    """Write a PNG of the 30 images whose wrong prediction has the highest probability, the softmax of the logits.

    Above each image are its class, the predicted class with its probability, and the name of its file. A class is drawn
    as its number if no font has its letters.

    Parameters
    ----------
    images : uint8 (N, H, W, C), as stored; C is 1 (grey) or 3 (colour). Only the drawn ones are read.
    labels, logits : (N,) and (N, classes), as returned by training.predict.
    files : N names, or None.

    Raises ValueError for other shapes, OSError if the file cannot be written.
    """
    labels, logits = np.asarray(labels).astype(np.int64), np.asarray(logits, "float64")
    if len(images) != len(labels) or logits.shape != (len(labels), len(classes)):
        raise ValueError(
            f"{len(images)} images, labels {labels.shape}, logits {logits.shape} and {len(classes)} classes do not fit "
            "together: give N, (N,), (N, classes) and classes"
        )
    guesses = logits.argmax(axis=1)
    with np.errstate(invalid="ignore"):  # infinite logits give NaN, which sorts last
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        confidence = 1 / scores.sum(axis=1)
    wrong = np.flatnonzero(guesses != labels)
    shown = wrong[np.argsort(-confidence[wrong], kind="stable")[:MOST]]
    names_of_files = [PurePosixPath(files[i]).name for i in shown] if files else []
    with lettering([*classes, *names_of_files]) as letters:
        names = letters.classes(classes)
        tiles = []
        for n, i in enumerate(shown):
            predicted = Line(f"{LRM}→ {names[guesses[i]]}{LRM} {confidence[i]:.1%}", RED)
            file = [Line(letters.text(names_of_files[n]), GREY)] if files else []
            tiles.append(Tile(np.asarray(images[i]), [Line(names[labels[i]], weight="bold"), predicted, *file]))
        draw_sheet(tiles, _title(len(shown), len(wrong), len(labels)), COLUMNS, path)


def _title(shown: int, wrong: int, images: int) -> str:
    if not wrong:
        return f"No mistakes: all {images:,} test images are classified correctly"
    if shown < wrong:
        return f"The {shown} most confident of {wrong:,} mistakes in {images:,} test images"
    return f"{'The only mistake' if wrong == 1 else f'All {wrong} mistakes'} in {images:,} test images"
