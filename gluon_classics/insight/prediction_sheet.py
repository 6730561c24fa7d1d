"""Many small pictures on one page, each with what a network takes it for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gluon_classics.insight.lettering import Lettering, lettering, literal, shortened
from gluon_classics.whole_file import whole_file

import numpy as np

# in inches
SIDE = 1.55  # of the square that a picture has
LINE = 0.16  # of text
GAP = 0.14
TOP, BOTTOM = 0.45, 0.4
NARROWEST = 4  # of the sheet: its last lines have room
DPI = 120

COLUMNS = 10
RED, GREY = "#c00000", "#666666"
LRM = "\u200e"  # left-to-right mark: a name in Arabic or Hebrew does not turn the line around


@dataclass(frozen=True)
class Tile:
    """One picture: uint8 (H, W, 3), or None where it could not be read; its file, and what is told of it."""

    picture: np.ndarray | None
    file: str
    prediction: int = 0  # number of the class it was taken for
    probability: float = 0.0
    label: int | None = None  # number of its own class, where that is known

    @property
    def wrong(self) -> bool:
        return self.picture is not None and self.label not in (None, self.prediction)


def draw_contact_sheet(
    tiles: Sequence[Tile], classes: Sequence[str], path: str | Path, title: str = "", left_out: int = 0
) -> None:
    """Write a PNG with the pictures in rows. Wrong ones have a thick red frame, a cross, and their own class.

    A class whose name no font here has is written as its number: see `insight.lettering`.

    ``left_out`` is how many more pictures there were; the last line says so. Raises OSError.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # here: it takes longer than a prediction
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    columns = max(1, min(len(tiles), COLUMNS, math.ceil(math.sqrt(1.4 * len(tiles)))))
    rows = math.ceil(len(tiles) / columns)
    step_x, step_y = SIDE + GAP, SIDE + 3.3 * LINE + GAP
    width = max(columns * step_x + GAP, NARROWEST)
    height = TOP + rows * step_y + BOTTOM
    with lettering([title, *classes, *(Path(tile.file).name for tile in tiles)]) as letters:
        names = letters.classes(classes)
        figure = Figure(figsize=(width, height), dpi=DPI)
        axes = figure.add_axes((0, 0, 1, 1))  # one for all: its units are inches, from the top left
        axes.set_axis_off()
        write = _Writer(axes, letters, FigureCanvasAgg(figure).get_renderer())

        write(title, GAP, 0.28, width - 2 * GAP, size=12)
        for i, tile in enumerate(tiles):
            x, y = GAP + i % columns * step_x, TOP + i // columns * step_y
            _draw_picture(axes, tile.picture, x, y)
            color, line = (RED, 4) if tile.wrong else ("#bbbbbb", 0.8)
            axes.add_patch(Rectangle((x, y), SIDE, SIDE, facecolor="none", edgecolor=color, linewidth=line))
            _write_caption(write, tile, names, x, y + SIDE + 0.17)
        if any(tile.wrong for tile in tiles):
            words = "✗ and a red frame: taken for another class than its own"
            write(words, GAP, height - 0.14 - LINE, width - 2 * GAP, size=8, color=GREY)
        if left_out:
            write(f"{left_out:,} more pictures are left out", GAP, height - 0.14, width - 2 * GAP, size=8, color=GREY)
        axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
        with whole_file(path) as temporary:
            figure.savefig(temporary, format="png", dpi=DPI)


def _draw_picture(axes: Any, picture: np.ndarray | None, x: float, y: float) -> None:
    """In the middle of its square, with its own proportions."""
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x, y), SIDE, SIDE, facecolor="#eeeeee", zorder=-1))
    if picture is None:
        axes.text(x + SIDE / 2, y + SIDE / 2, "cannot be read", size=8, color=GREY, ha="center", va="center")
        return
    height, width = picture.shape[:2]
    scale = SIDE / max(height, width)
    h, w = height * scale, width * scale
    x, y = x + (SIDE - w) / 2, y + (SIDE - h) / 2
    axes.imshow(picture, extent=(x, x + w, y + h, y), aspect="auto", vmin=0, vmax=255)


def _write_caption(write: _Writer, tile: Tile, names: Sequence[str], x: float, y: float) -> None:
    lines: list[tuple[str, dict[str, Any]]] = [(Path(tile.file).name, {"color": GREY, "size": 7})]
    if tile.picture is not None:
        percent = f"{tile.probability:.0%}"
        colour = RED if tile.wrong else "black"
        taken = write(percent, x + SIDE, y, SIDE, size=9, color=colour, ha="right")
        name = names[tile.prediction]
        write(f"{LRM}✗ {name}" if tile.wrong else name, x, y, SIDE - taken - 0.06, size=9, color=colour)
        y += LINE
    if tile.wrong and tile.label is not None:
        lines.insert(0, (f"{LRM}is {names[tile.label]}", {"size": 9}))
    for text, style in lines:
        write(text, x, y, SIDE, **style)
        y += LINE


class _Writer:
    """Writes single lines, shortened in the middle where they would be longer than their place."""

    def __init__(self, axes: Any, letters: Lettering, renderer: Any):
        self._axes = axes
        self._letters = letters
        self._renderer = renderer

    def __call__(self, text: str, x: float, y: float, width: float, *, size: float, **style: Any) -> float:
        """Write at x and the baseline y (inches from the top left), at most `width` wide. Returns the width taken."""
        text = self._letters.text(text)
        line = self._axes.text(x, y, literal(text), size=size, **style)
        taken, columns = self._width(line), 2 * len(text)  # a letter takes one column or two
        if taken > width:
            columns = min(columns, int(columns * width / taken) + 2)
        while taken > width and columns > 1:
            columns -= 1
            line.set_text(literal(shortened(text, columns)))
            taken = self._width(line)
        return taken

    def _width(self, line: Any) -> float:
        return line.get_window_extent(self._renderer).width / DPI if line.get_text() else 0.0
