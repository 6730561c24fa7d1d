"""A sheet of pictures with their predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from gluon_classics.data.files.image_files import BadImage, read_image
from gluon_classics.inference.prediction import Prediction
from gluon_classics.insight.contact_sheet import GREY, LRM, RED, Line, Tile, draw_sheet
from gluon_classics.insight.lettering import Lettering, lettering

import numpy as np
from PIL import Image

SIDE, COLUMNS = 186, 10


def draw_predictions(
    predictions: Sequence[Prediction], classes: Sequence[str], path: str | Path, title: str = "", left_out: int = 0
) -> None:
    """Write a PNG of the pictures. A wrong one has a red frame, a cross, and its own class.

    `left_out` is the number of pictures that are not shown. A class is drawn as its number if no font has its letters.
    Raises OSError.
    """
    columns = max(1, min(len(predictions), COLUMNS, math.ceil(math.sqrt(1.4 * len(predictions)))))
    with lettering([title, *classes, *(Path(each.file).name for each in predictions)]) as letters:
        names = dict(zip(classes, letters.classes(classes)))
        tiles = [_tile(each, names, letters) for each in predictions]
        notes = ["✗ and a red frame: the prediction is wrong"] if any(tile.framed for tile in tiles) else []
        notes += [f"{left_out:,} more pictures are not shown"] if left_out else []
        draw_sheet(tiles, letters.text(title), columns, path, SIDE, notes)


def _tile(prediction: Prediction, names: dict[str, str], letters: Lettering) -> Tile:
    file = Line(letters.text(Path(prediction.file).name), GREY)
    try:
        picture = None if prediction.error else Image.fromarray(read_image(prediction.file, 3))
    except BadImage:  # readable a moment ago
        picture = None
    if picture is None:
        return Tile(np.full((SIDE, SIDE, 1), 238, np.uint8), [Line("cannot be read"), file])
    picture.thumbnail((SIDE, SIDE))
    (name, probability), *_ = prediction.best
    percent = f"{names[name]}{LRM} {probability:.0%}"
    if prediction.label is None or prediction.right:
        return Tile(np.asarray(picture), [Line(percent), file])
    wrong = [Line(f"{LRM}✗ {percent}", RED), Line(f"{LRM}is {names[prediction.label]}")]
    return Tile(np.asarray(picture), [*wrong, file], framed=True)
