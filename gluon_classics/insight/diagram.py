"""A network's diagram as SVG or PNG, as the illustrated-CNN articles have them: Graphviz places, matplotlib draws."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gluon_classics.insight.architecture import Architecture, Node, Part
from gluon_classics.insight.layout import Layout, Rectangle, lay_out
from gluon_classics.whole_file import whole_file

SUFFIXES = (".svg", ".png")
DPI = 144  # of a PNG

# lengths in points
_MARGIN, _GAP, _PANEL = 16, 14, 10  # around all, between parts, within a part's frame
_TITLE, _HEADING, _NOTE = 15, 9, 7.5  # sizes of letters
_ROW = 220  # what the modules' insides have side by side at least
_WIDEST = 470  # and at most, unless one alone is wider
_LONGEST_PNG = 65_000  # pixels, matplotlib's limit

# From the colour-blind safe palette of Okabe and Ito (2008), light: fill; dark: the same hues, darker.
KINDS = {
    "image": ("image", "#f2f2f2", "#3b4148"),
    "conv": ("convolution", "#bfe0f5", "#1f5a80"),
    "depthwise conv": ("depthwise convolution", "#b3e6d5", "#0c5c47"),
    "grouped conv": ("grouped convolution", "#b3e6d5", "#0c5c47"),
    "pool": ("pool", "#fbd9b0", "#7d5200"),
    "dense": ("dense", "#ecc9de", "#73375a"),
    "normalization": ("normalization", "#faf3b4", "#686215"),
    "activation": ("activation", "#f7c6b3", "#7a3411"),
    "join": ("concat, add, multiply", "#e3e3e3", "#4a5058"),
    "other": ("other", "#ffffff", "#2a2f35"),
    "module": ("module, drawn beside", "#ffffff", "#14171a"),
}


@dataclass(frozen=True)
class _Theme:
    fill: int  # the column of KINDS
    paper: str
    panel: str
    text: str
    faint: str
    line: str


THEMES = {
    "light": _Theme(1, "#ffffff", "#f7f8f9", "#15181b", "#55606b", "#55606b"),
    "dark": _Theme(2, "#14171a", "#1e2226", "#f0f2f4", "#aab3bc", "#aab3bc"),
}


def draw_diagram(architecture: Architecture, title: str, foot: str, path: str | Path, theme: str = "light") -> None:
    """Write the diagram to `path`, as SVG or PNG by its suffix.

    Raises ValueError where Graphviz is missing, for another suffix, and for a PNG of more than 65,000 pixels; OSError.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: a diagram is an .svg or a .png")
    layouts = [_laid_out(part) for part in architecture.parts]
    page = _Page(architecture, layouts, title, foot)
    if path.suffix.lower() == ".png" and max(page.width, page.height) * DPI / 72 > _LONGEST_PNG:
        raise ValueError(f"{path}: as a PNG it would have more than {_LONGEST_PNG:,} pixels; write an .svg")
    figure = page.drawn(THEMES[theme])
    from matplotlib import rc_context

    # Letters stay letters, which can be searched; no date and no random names, so that equal diagrams are equal files.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title}), whole_file(path) as temporary:
        about = {"Title": title, "Date": None} if path.suffix.lower() == ".svg" else {"Title": title}
        figure.savefig(temporary, dpi=DPI, metadata=about)


def _laid_out(part: Part) -> Layout:
    sizes = {node.key: _size(node) for node in part.nodes}
    shapes = {node.key: (_text_width(_typeset(node.shape), _NOTE) + 6, _NOTE + 5) for node in part.nodes if node.shape}
    return lay_out(part, sizes, shapes)


def _size(node: Node) -> tuple[float, float]:
    if not node.lines:  # where an inside begins
        return 8, 8
    widths = [_text_width(line, size, weight) for line, size, weight in _lettering(node)]
    height = sum(1.3 * size for _, size, _ in _lettering(node)) + 6
    repeats = _text_width(_repeats(node), _HEADING, "bold") + 8 if node.repeats > 1 else 0
    return max(widths) + 12 + 2 * repeats, height  # the number stands at the right; the text stays in the middle


def _lettering(node: Node) -> Iterator[tuple[str, float, str]]:
    """Each line with its size and weight."""
    for number, line in enumerate(node.lines):
        weight = "bold" if number == 0 and node.kind == "module" else "normal"
        yield _typeset(line), _HEADING if number == 0 else _NOTE, weight


def _repeats(node: Node) -> str:
    return f"×{node.repeats}"


def _typeset(text: str) -> str:
    """3x3 is 3×3, kxk is k×k."""
    return re.sub(r"(?<=[0-9k])x(?=[0-9k])", "×", text)


def _text_width(text: str, size: float, weight: str = "normal") -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    return text_to_path.get_text_width_height_descent(text, FontProperties(size=size, weight=weight), False)[0]


class _Page:
    """The network at the left, the insides of its modules in rows beside it, legend and numbers below."""

    def __init__(self, architecture: Architecture, layouts: list[Layout], title: str, foot: str):
        self.architecture, self.layouts, self.title, self.foot = architecture, layouts, title, _typeset(foot)
        trunk, *insides = layouts
        self.places = _packed(architecture.parts[1:], insides, trunk.height)
        present = {node.kind for part in architecture.parts for node in part.nodes}
        self.legend = {name: kind for kind, (name, *_) in KINDS.items() if kind in present - {"image"}}
        right = max((x + w for x, _, w, _ in self.places), default=0)
        down = max((y + h for _, y, _, h in self.places), default=0)
        beside = trunk.width + 2 * _GAP + right if insides else trunk.width
        self.content_width = max(beside, _text_width(foot, _NOTE), _text_width(title, _TITLE, "bold"), _ROW)
        self.content_height = max(trunk.height, down)
        self.rows = self._legend_rows()
        self.below = 16 * len(self.rows) + 2 * _GAP
        self.width = self.content_width + 2 * _MARGIN
        self.height = _MARGIN + _TITLE + _GAP + self.content_height + self.below + _MARGIN

    def _legend_rows(self) -> list[list[tuple[float, str]]]:
        """Names with their places in a row, in as many rows as they need."""
        rows: list[list[tuple[float, str]]] = [[]]
        x = 0.0
        for name in self.legend:
            width = 18 + _text_width(name, _NOTE) + 14
            if rows[-1] and x + width > self.content_width:
                rows.append([])
                x = 0.0
            rows[-1].append((x, name))
            x += width
        return rows

    def drawn(self, theme: _Theme) -> Any:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(self.width / 72, self.height / 72), facecolor=theme.paper)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, self.width)
        axes.set_ylim(0, self.height)
        pen = _Pen(axes, theme)
        top = self.height - _MARGIN
        pen.text(_MARGIN, top - _TITLE / 2, self.title, _TITLE, "bold", "left")
        top -= _TITLE + _GAP
        trunk, *insides = self.layouts
        pen.part(self.architecture.parts[0], trunk, _MARGIN, top - trunk.height)
        left = _MARGIN + trunk.width + 2 * _GAP
        for part, layout, (x, y, w, h) in zip(self.architecture.parts[1:], insides, self.places):
            panel = Rectangle(left + x, top - y - h, w, h)
            pen.rectangle(panel, theme.panel, 0.5)
            pen.text(panel.left + w / 2, panel.bottom + h - _PANEL - _HEADING / 2, part.title, _HEADING, "bold")
            pen.part(part, layout, panel.left + (w - layout.width) / 2, panel.bottom + _PANEL)
        top -= self.content_height + _GAP
        for row in self.rows:
            for x, name in row:
                pen.rectangle(Rectangle(_MARGIN + x, top - 11, 12, 10), pen.fill(self.legend[name]), 0.75)
                pen.text(_MARGIN + x + 18, top - 6, name, _NOTE, align="left", faint=True)
            top -= 16
        pen.text(_MARGIN, _MARGIN + _NOTE / 2, self.foot, _NOTE, align="left", faint=True)
        return figure


def _packed(parts: Sequence[Part], insides: list[Layout], height: float) -> list[tuple[float, float, float, float]]:
    """Left, top, width and height of the panels, in rows: as few columns as keep them no taller than the network."""
    sizes = [
        (
            max(inside.width, _text_width(part.title, _HEADING, "bold")) + 2 * _PANEL,
            inside.height + 2 * _PANEL + _HEADING + 6,
        )
        for part, inside in zip(parts, insides)
    ]
    if not sizes:
        return []
    widest = max(_ROW, *(width for width, _ in sizes))
    for limit in range(int(widest) + 1, max(_WIDEST, int(widest) + 2), 10):
        places, x, y, row = [], 0.0, 0.0, 0.0
        for w, h in sizes:
            if x and x + w > limit:
                x, y, row = 0.0, y + row + _GAP, 0.0
            places.append((x, y, w, h))
            x, row = x + w + _GAP, max(row, h)
        if y + row <= height:
            break
    return places


class _Pen:
    def __init__(self, axes: Any, theme: _Theme):
        self.axes, self.theme = axes, theme

    def fill(self, kind: str) -> str:
        return KINDS[kind][self.theme.fill]

    def part(self, part: Part, layout: Layout, left: float, bottom: float) -> None:
        def moved(place: Rectangle) -> Rectangle:
            return Rectangle(place.left + left, place.bottom + bottom, place.width, place.height)

        for frame in layout.frames.values():
            self.rectangle(moved(frame), self.theme.panel, 0.5)
        for points, tip in layout.arrows:
            self.arrow([(x + left, y + bottom) for x, y in points], tip and (tip[0] + left, tip[1] + bottom))
        for name, frame in layout.frames.items():
            frame = moved(frame)
            title = self.text(frame.left + 6, frame.bottom + frame.height - 8, name, _NOTE, align="left", faint=True)
            title.set_bbox({"facecolor": self.theme.panel, "linewidth": 0, "pad": 1})  # on top of arrows
        for node in part.nodes:
            self.node(node, moved(layout.boxes[node.key]))
            if node.shape:
                x, y = layout.shapes[node.key]
                self.text(x + left, y + bottom, _typeset(node.shape), _NOTE, faint=True)

    def node(self, node: Node, place: Rectangle) -> None:
        from matplotlib.patches import Circle

        x = place.left + place.width / 2
        if not node.lines:
            self.axes.add_patch(Circle((x, place.bottom + place.height / 2), 3, facecolor=self.theme.line, linewidth=0))
            return
        self.rectangle(place, self.fill(node.kind), 1.5 if node.kind == "module" else 0.75)
        y = place.bottom + place.height - 3
        for line, size, weight in _lettering(node):
            self.text(x, y - 0.65 * size, line, size, weight)
            y -= 1.3 * size
        if node.repeats > 1:
            middle = place.bottom + place.height / 2
            self.text(place.left + place.width - 6, middle, _repeats(node), _HEADING, "bold", "right")

    def rectangle(self, place: Rectangle, fill: str, line: float) -> None:
        from matplotlib.patches import FancyBboxPatch

        corner = (place.left, place.bottom)
        self.axes.add_patch(
            FancyBboxPatch(
                corner,
                place.width,
                place.height,
                boxstyle="round,pad=0,rounding_size=2.5",
                facecolor=fill,
                edgecolor=self.theme.line,
                linewidth=line,
            )
        )

    def arrow(self, points: list, tip: Any) -> None:
        from matplotlib.patches import PathPatch, Polygon
        from matplotlib.path import Path as Curve

        codes = [Curve.MOVETO] + [Curve.CURVE4] * (len(points) - 1)
        line = self.theme.line
        self.axes.add_patch(PathPatch(Curve(points, codes), fill=False, edgecolor=line, linewidth=0.8))
        if tip:
            (x, y), (end_x, end_y) = points[-1], tip
            aside_x, aside_y = (end_y - y) * 0.4, (x - end_x) * 0.4
            corners = [tip, (x + aside_x, y + aside_y), (x - aside_x, y - aside_y)]
            self.axes.add_patch(Polygon(corners, closed=True, facecolor=line, linewidth=0))

    def text(self, x, y, text, size, weight="normal", align="center", faint=False):
        color = self.theme.faint if faint else self.theme.text
        font = {"size": size, "weight": weight, "color": color, "ha": align, "va": "center_baseline"}
        return self.axes.text(x, y, text, parse_math=False, **font)
