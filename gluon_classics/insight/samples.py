"""A sheet of training images after augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gluon_classics.insight.contact_sheet import Line, Tile, draw_sheet
from gluon_classics.insight.lettering import lettering

import numpy as np

COLUMNS, MOST = 8, 64


def draw_samples(
    images: np.ndarray,
    labels: Sequence,
    classes: Sequence[str],
    path: str | Path,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> None:
    """Write a PNG of the first 64 images as the network gets them, with the class above each.

    A class is drawn as its number if no font has its letters.

    Parameters
    ----------
    images : float (N, C, H, W), as returned by the training's transform; C is 1 (grey) or 3 (colour).
    labels : (N,), numbers of `classes`.
    mean, std : those of the transform, one number or one for each channel: pixels * std + mean is in 0..1 and clipped
        there. None if the pixels are in 0..1 already.

    Raises ValueError for other shapes, OSError if the file cannot be written.
    """
    images, labels = np.asarray(images[:MOST], "float32"), [int(label) for label in labels[:MOST]]
    if images.ndim != 4 or images.shape[1] not in (1, 3) or len(labels) != len(images):
        raise ValueError(f"{len(labels)} labels and images {images.shape} are not (N,) and (N, 1 or 3, H, W)")
    for factor, operation in ((std, np.multiply), (mean, np.add)):
        if factor is not None:
            images = operation(images, np.reshape(np.asarray(factor, "float32"), (-1, 1, 1)))
    pixels = np.rint(np.nan_to_num(images).clip(0, 1) * 255).astype("uint8").transpose(0, 2, 3, 1)
    with lettering(classes) as letters:
        names = letters.classes(classes)
        tiles = [Tile(image, [Line(names[label])]) for image, label in zip(pixels, labels)]
        title = f"{len(pixels)} training images as the network gets them, {images.shape[3]}x{images.shape[2]}"
        draw_sheet(tiles, title, COLUMNS, path)
