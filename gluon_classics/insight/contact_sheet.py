"""Small pictures in rows, with lines of text above each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gluon_classics.insight.lettering import literal, shortened
from gluon_classics.whole_file import whole_file

import numpy as np

SIDE = 128  # approximate pixels of a picture's longer side
DPI = 100
GAP, LINE, MARGIN, TITLE = 14, 16, 16, 34  # pixels: between pictures, of a text line, around the sheet, of the title
LARGE, SMALL = 11, 8  # points: the title, and the lines
FRAME = 4  # pixels
NARROWEST = 480  # pixels of the sheet, so that the title fits
RED, GREY = "#b00020", "#555555"
LRM = "\u200e"  # left-to-right mark: keeps a name in Arabic or Hebrew from reversing the line


class Line(NamedTuple):
    text: str
    color: str = "black"
    weight: str = "normal"


class Tile(NamedTuple):
    picture: np.ndarray  # uint8 (H, W, 1) or (H, W, 3)
    lines: Sequence[Line]
    framed: bool = False  # in red


def draw_sheet(
    tiles: Sequence[Tile], title: str, columns: int, path: str | Path, side: int = SIDE, notes: Sequence[str] = ()
) -> None:
    """Write a PNG of the tiles, with the title above and the notes below. Raises OSError.

    A line that is too long loses its middle. A small picture is enlarged by a whole factor, so that its pixels stay
    squares of one size. A picture more than a quarter larger than `side` is reduced.
    """
    from matplotlib.figure import Figure  # here: its import would delay the first batch of a training

    pictures = [_scaled(tile.picture, side) for tile in tiles]
    height, width = np.max([picture.shape[:2] for picture in pictures] or [(side, side)], axis=0)
    width = max(width, side // 2)  # room for the lines of a narrow picture
    most_lines = max((len(tile.lines) for tile in tiles), default=0)
    text = LINE * most_lines + 4
    columns = max(1, min(columns, len(tiles)))
    rows = -(-len(tiles) // columns)
    across = max(2 * MARGIN + columns * (width + GAP) - GAP, NARROWEST)
    down = 2 * MARGIN + TITLE + rows * (height + text + GAP) - GAP + (LINE * len(notes) + GAP if notes else 0)
    canvas = np.full((down, across, 3), 255, np.uint8)
    figure = Figure(figsize=(across / DPI, down / DPI), dpi=DPI)

    def write(line: Line, left: int, top: int, room: int, size: int = SMALL) -> None:
        content = literal(_fitted(line, room, size))
        figure.text(left / across, 1 - top / down, content, size=size, va="top", color=line.color, weight=line.weight)

    write(Line(title), MARGIN, MARGIN, across - 2 * MARGIN, LARGE)
    for i, (picture, tile) in enumerate(zip(pictures, tiles)):
        left = MARGIN + i % columns * (width + GAP)
        top = MARGIN + TITLE + i // columns * (height + text + GAP)
        for j, line in enumerate(tile.lines, most_lines - len(tile.lines)):
            write(line, left, top + j * LINE, width)
        bottom, right = top + text + len(picture), left + picture.shape[1]
        if tile.framed:
            canvas[top + text - FRAME : bottom + FRAME, left - FRAME : right + FRAME] = tuple(bytes.fromhex(RED[1:]))
        canvas[top + text : bottom, left:right] = picture
    for i, note in enumerate(notes, -len(notes)):
        write(Line(note, GREY), MARGIN, down - MARGIN + i * LINE, across - 2 * MARGIN)
    figure.figimage(canvas)
    with whole_file(Path(path)) as temporary:
        figure.savefig(temporary, dpi=DPI)


def _fitted(line: Line, width: int, size: int) -> str:
    """The text, shortened to a width in pixels."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size, weight=line.weight)
    text, columns = line.text, width // 3  # the narrowest letter takes 3 pixels
    while columns > 1 and text_to_path.get_text_width_height_descent(text, font, False)[0] * DPI / 72 > width:
        text, columns = shortened(line.text, columns - 1), columns - 1
    return text


def _scaled(picture: np.ndarray, side: int) -> np.ndarray:
    from PIL import Image

    height, width = picture.shape[:2]
    longer = max(height, width)
    factor = side / longer if longer > side * 5 / 4 else max(1, round(side / longer))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    image = Image.fromarray(np.broadcast_to(picture, (height, width, 3)))
    return np.asarray(image.resize(size, Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BOX))
