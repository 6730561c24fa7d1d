"""Small pictures in rows, with lines of text above each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gluon_classics.insight.lettering import literal, shortened
from gluon_classics.whole_file import whole_file

import numpy as np

SIDE = 128  # pixels that a picture's longer side comes to, about
DPI = 100
GAP, LINE, MARGIN, TITLE = 14, 16, 16, 34  # pixels: between pictures, of a line of text, around all, of the title
LARGE, SMALL = 11, 8  # points: the title, and the lines


class Line(NamedTuple):
    text: str
    color: str = "black"
    weight: str = "normal"


def draw_sheet(
    pictures: Sequence[np.ndarray], lines: Sequence[Sequence[Line]], title: str, columns: int, path: str | Path
) -> None:
    """Write the pictures, uint8 (H, W, 1) or (H, W, 3), with the lines of each above it, as a PNG. Raises OSError.

    Of a line that is too long the middle is left out. A small picture is enlarged by a whole number, so that its
    pixels stay squares of one size; one larger than SIDE by a quarter is reduced.
    """
    from matplotlib.figure import Figure  # here: its import would keep a training's first batch waiting

    pictures = [_scaled(picture) for picture in pictures]
    height, width = np.max([picture.shape[:2] for picture in pictures] or [(SIDE, SIDE)], axis=0)
    width = max(width, SIDE // 2)  # of a narrow picture, too, the lines have room
    text = LINE * max(map(len, lines), default=0) + 4
    columns = max(1, min(columns, len(pictures)))
    rows = -(-len(pictures) // columns)
    across = max(2 * MARGIN + columns * (width + GAP) - GAP, 480)  # the title has room
    down = 2 * MARGIN + TITLE + rows * (height + text + GAP) - GAP
    canvas = np.full((down, across, 3), 255, np.uint8)
    figure = Figure(figsize=(across / DPI, down / DPI), dpi=DPI)
    figure.text(MARGIN / across, 1 - MARGIN / down, title, size=LARGE, va="top")
    for i, (picture, its_lines) in enumerate(zip(pictures, lines)):
        left = MARGIN + i % columns * (width + GAP)
        top = MARGIN + TITLE + i // columns * (height + text + GAP)
        for j, line in enumerate(its_lines):
            x, y = left / across, 1 - (top + j * LINE) / down
            content = literal(_fitted(line, width))
            figure.text(x, y, content, size=SMALL, va="top", color=line.color, weight=line.weight)
        canvas[top + text : top + text + len(picture), left : left + picture.shape[1]] = picture
    figure.figimage(canvas)
    with whole_file(Path(path)) as temporary:
        figure.savefig(temporary, dpi=DPI)


def _fitted(line: Line, width: int) -> str:
    """The text, shortened to so many pixels."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=SMALL, weight=line.weight)
    text, columns = line.text, width // 3  # the narrowest letter takes 3 pixels
    while columns > 1 and text_to_path.get_text_width_height_descent(text, font, False)[0] * DPI / 72 > width:
        text, columns = shortened(line.text, columns - 1), columns - 1
    return text


def _scaled_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    height, width = shape[:2]
    longer = max(height, width)
    if longer > SIDE * 5 / 4:
        return max(1, round(height * SIDE / longer)), max(1, round(width * SIDE / longer))
    factor = max(1, round(SIDE / longer))
    return height * factor, width * factor


def _scaled(picture: np.ndarray) -> np.ndarray:
    from PIL import Image

    height, width = _scaled_shape(picture.shape)
    image = Image.fromarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))
    larger = height >= picture.shape[0]
    return np.asarray(image.resize((width, height), Image.Resampling.NEAREST if larger else Image.Resampling.BOX))
