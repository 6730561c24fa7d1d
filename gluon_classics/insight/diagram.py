"""A network's diagram as SVG or PNG, laid out and drawn by Graphviz's `dot`.

The network is a column of boxes at the left. The inside of each kind of module has a frame of its own; the
frames are stacked in columns at the right.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gluon_classics.insight.architecture import IMAGE, Architecture, Node, Part
from gluon_classics.whole_file import whole_file

SUFFIXES = (".svg", ".png")
_TITLE, _HEADING, _NOTE = 15, 9, 7.5  # font sizes in points
_LEGEND_COLUMNS = 4

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
    "module": ("module, see right", "#ffffff", "#14171a"),
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

    `dot` reduces the resolution of a PNG of more than 32,767 pixels. Raises ValueError for another suffix or if
    Graphviz is missing, OSError if the file cannot be written.
    """
    import graphviz

    path = Path(path)
    format = path.suffix.lower()[1:]
    if f".{format}" not in SUFFIXES:
        raise ValueError(f"{path}: the file of a diagram ends in .svg or .png")
    graph = _graph(architecture, title, foot, THEMES[theme])
    graph.graph_attr["dpi"] = "144" if format == "png" else "72"
    try:
        drawn = graph.pipe(format)
    except graphviz.ExecutableNotFound as error:
        raise ValueError(
            "diagrams need Graphviz, whose program `dot` is not on the PATH: "
            "apt install graphviz, brew install graphviz, or conda install graphviz"
        ) from error
    with whole_file(path) as temporary:
        temporary.write_bytes(drawn)


def _graph(architecture: Architecture, title: str, foot: str, theme: _Theme) -> Any:
    import graphviz

    font = {"fontname": "DejaVu Sans,sans-serif", "color": theme.line}
    graph = graphviz.Digraph(
        title,
        # packed as an array: the columns next to each other in the order of their creation, aligned at the top
        graph_attr={
            **font, "label": _head(architecture, title, foot, theme), "labelloc": "t", "labeljust": "l", "pad": "0.2",
            "bgcolor": theme.paper, "fontcolor": theme.faint, "fontsize": str(_NOTE), "ordering": "out",
            "ranksep": "0.15", "nodesep": "0.14", "pack": "18", "packmode": "array_it99",
        },
        node_attr={
            **font, "shape": "box", "style": "filled", "fontcolor": theme.text, "height": "0", "width": "0",
            "margin": "0.07,0.03",
        },
        edge_attr={**font, "arrowsize": "0.5", "penwidth": "0.8"},
    )  # fmt: skip
    network, *insides = architecture.parts
    with graph.subgraph(name="cluster network") as column:  # a cluster, since clusters are packed before plain nodes
        column.attr(peripheries="0", margin="0", label="")
        _add_part(column, network, title, theme)
    for column in _columns(insides, _depth(network)):
        for above, part in zip([None, *column], column):
            with graph.subgraph(name=f"cluster {part.title}") as panel:
                panel.attr(label=f"<<b>{part.title}</b>>", labeljust="c", fontsize=str(_HEADING), fontcolor=theme.text)
                panel.attr(style="filled", fillcolor=theme.panel, penwidth="0.5", margin="12")
                _add_part(panel, part, part.title, theme)
            if above:  # an invisible edge from frame to frame stacks them
                ends = f"{above.title} {above.nodes[-1].key}", f"{part.title} {IMAGE}"
                graph.edge(*ends, style="invis", weight="0", minlen="2")
    return graph


def _add_part(graph: Any, part: Part, prefix: str, theme: _Theme) -> None:
    """Boxes, the shapes on the arrows out of them, and arrows; `prefix` begins the names of the nodes."""
    frames: dict[str, list[Node]] = {}
    for node in part.nodes:
        frames.setdefault(node.frame, []).append(node)
    for frame, nodes in frames.items():
        with graph.subgraph(name=f"cluster {frame}" if frame else None) as group:
            if frame:
                group.attr(label=frame, labeljust="l", fontsize=str(_NOTE), fontcolor=theme.faint, peripheries="1")
                group.attr(style="filled", fillcolor=theme.panel, penwidth="0.5", margin="8")
            for node in nodes:
                _add_node(group, node, f"{prefix} {node.key}", theme)
    if not part.nodes[0].lines:  # the first boxes in one row, as in the papers' figures, whatever the paths' lengths
        with graph.subgraph() as first_row:
            first_row.attr(rank="same")
            for node in part.nodes:
                if node.inputs == (IMAGE,):
                    first_row.node(f"{prefix} {node.key}")
    shapes = {node.key: " shape" if node.shape else "" for node in part.nodes}
    for node in part.nodes:
        for source in node.inputs:
            graph.edge(f"{prefix} {source}{shapes[source]}", f"{prefix} {node.key}")


def _add_node(graph: Any, node: Node, name: str, theme: _Theme) -> None:
    if not node.lines:  # the input of a module
        graph.node(name, label="", shape="circle", width="0.08", height="0.08", fixedsize="true", fillcolor=theme.line)
        return
    width = "1.5" if node.kind == "module" else "0.75"
    graph.node(name, label=_label(node), fillcolor=KINDS[node.kind][theme.fill], penwidth=width)
    if node.shape:
        style = {"shape": "plaintext", "style": "", "fontsize": str(_NOTE), "fontcolor": theme.faint}
        graph.node(f"{name} shape", _typeset(node.shape), margin="0.03,0", **style)
        graph.edge(name, f"{name} shape", arrowhead="none")


def _label(node: Node) -> str:
    """The lines as a table. The number of repeats is at the right, and an equal space at the left centres the lines."""
    span = f'rowspan="{len(node.lines)}" width="22" fixedsize="true"'
    repeats = f'<td {span}><font point-size="{_HEADING}"><b>×{node.repeats}</b></font></td>' if node.repeats > 1 else ""
    space = f"<td {span}></td>" if repeats else ""
    rows = ['<tr><td height="2" width="1" fixedsize="true"></td></tr>']  # dot sets text too high
    for number, line in enumerate(node.lines):
        text = f'<font point-size="{_NOTE if number else _HEADING}">{_typeset(line)}</font>'
        text = f"<b>{text}</b>" if node.kind == "module" and not number else text
        rows.append(f"<tr>{'' if number else space}<td>{text}</td>{'' if number else repeats}</tr>")
    return f'<<table border="0" cellborder="0" cellspacing="0" cellpadding="1">{"".join(rows)}</table>>'


def _head(architecture: Architecture, title: str, foot: str, theme: _Theme) -> str:
    """Title, numbers and legend."""
    present = {node.kind for part in architecture.parts for node in part.nodes} - {"image"}
    cells = [
        f'<td bgcolor="{row[theme.fill]}" border="1" color="{theme.line}" width="12" height="10" fixedsize="true"></td>'
        f'<td align="left">{row[0]}  </td>'
        for kind, row in KINDS.items()
        if kind in present
    ]
    rows = ("".join(cells[i : i + _LEGEND_COLUMNS]) for i in range(0, len(cells), _LEGEND_COLUMNS))
    legend = "".join(f"<tr>{row}</tr>" for row in rows)
    lines = [
        f'<font point-size="{_TITLE}" color="{theme.text}"><b>{_typeset(title)}</b></font>',
        _typeset(foot),
        f'<table border="0" cellspacing="2" cellpadding="0">{legend}</table>',
    ]
    table = "".join(f'<tr><td align="left">{line}</td></tr>' for line in lines)
    return f'<<table border="0" cellspacing="0" cellpadding="2">{table}</table>>'


def _typeset(text: str) -> str:
    """3x3 becomes 3×3, kxk becomes k×k; escaped for dot's HTML-like labels."""
    return html.escape(re.sub(r"(?<=[0-9k])x(?=[0-9k])", "×", text))


def _columns(insides: list[Part], depth: int) -> Iterator[list[Part]]:
    """One column, or about two if one were longer than the network and no module is wide."""
    total = sum(map(_depth, insides))
    wide = any(sum(node.inputs == (IMAGE,) for node in part.nodes) > 3 for part in insides)
    limit = total if wide or total <= depth else total / 2 + 1
    column: list[Part] = []
    for part in insides:
        if column and sum(map(_depth, [*column, part])) > limit:
            yield column
            column = []
        column.append(part)
    if column:
        yield column


def _depth(part: Part) -> int:
    """The number of rows: boxes on the longest path, and the shapes on it."""
    depth: dict[str, int] = {}
    for node in part.nodes:
        depth[node.key] = (2 if node.shape else 1) + max((depth[source] for source in node.inputs), default=0)
    return max(depth.values())
