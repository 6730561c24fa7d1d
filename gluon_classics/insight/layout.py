"""Where a diagram's boxes and arrows go: Graphviz's `dot` decides. Lengths are points, 72 to an inch, y upwards."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gluon_classics.insight.architecture import IMAGE, Part

Point = tuple[float, float]
_ROW_GAP, _GAP = 0.2, 0.14  # inches: from row to row, and from neighbour to neighbour
_ROW_GAP_WITH_SHAPES = 0.11  # they stand between the rows


@dataclass(frozen=True)
class Rectangle:
    left: float
    bottom: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    width: float
    height: float
    boxes: dict[str, Rectangle]  # by the nodes' keys
    shapes: dict[str, Point]  # centres of the shapes written behind nodes, by the nodes' keys
    frames: dict[str, Rectangle]
    arrows: list[tuple[list[Point], Point | None]]  # points of a Bezier curve; the tip, where there is one


def lay_out(part: Part, sizes: dict[str, Point], shape_sizes: dict[str, Point]) -> Layout:
    """Places for the part's nodes, whose widths and heights `sizes` has, and for the shapes behind them.

    Raises ValueError where Graphviz is not installed.
    """
    import graphviz

    with_shape = {node.key for node in part.nodes if node.shape}
    row_gap = _ROW_GAP_WITH_SHAPES if with_shape else _ROW_GAP
    graph = graphviz.Digraph(
        graph_attr={"ordering": "out", "ranksep": str(row_gap), "nodesep": str(_GAP), "pad": "0", "margin": "0"},
        node_attr={"shape": "box", "fixedsize": "true", "label": ""},
        edge_attr={"arrowsize": "0.5"},
    )
    frames: dict = {}
    for node in part.nodes:
        frames.setdefault(node.frame, []).append(node)
    for number, (frame, nodes) in enumerate(frames.items()):
        with graph.subgraph(name=f"cluster_{number}" if frame else None) as group:
            group.attr(label=frame, margin="8", fontsize="9") if frame else None
            for node in nodes:
                _add_node(group, node.key, sizes[node.key])
                if node.shape:
                    _add_node(group, _behind(node.key), shape_sizes[node.key])
                    group.edge(node.key, _behind(node.key), arrowhead="none")
    with graph.subgraph() as first_row:  # as the papers' figures have it, whatever the lengths of the paths
        first_row.attr(rank="same")
        for node in part.nodes:
            if node.inputs == (IMAGE,) and IMAGE not in with_shape:
                first_row.node(node.key)
    for node in part.nodes:
        for source in node.inputs:
            graph.edge(_behind(source) if source in with_shape else source, node.key)
    try:
        drawn = json.loads(graph.pipe("json"))
    except graphviz.ExecutableNotFound as error:
        raise ValueError(
            "diagrams need Graphviz, whose program `dot` is not on the PATH: "
            "apt install graphviz, brew install graphviz, or conda install graphviz"
        ) from error
    return _read(drawn, {number: frame for number, frame in enumerate(frames)})


def _add_node(graph: Any, key: str, size: Point) -> None:
    width, height = size
    graph.node(key, width=f"{width / 72:.4f}", height=f"{height / 72:.4f}")


def _behind(key: str) -> str:
    return f"{key} shape"


def _read(drawn: dict, frame_names: dict) -> Layout:
    width, height = (float(number) for number in drawn["bb"].split(",")[2:])
    boxes, shapes, frames = {}, {}, {}
    for item in drawn.get("objects", ()):
        name = item["name"]
        if "pos" not in item:
            if name.startswith("cluster_"):
                left, bottom, right, top = map(float, item["bb"].split(","))
                frame = frame_names[int(name[len("cluster_") :])]
                frames[frame] = Rectangle(left, bottom, right - left, top - bottom)
            continue
        x, y = map(float, item["pos"].split(","))
        w, h = 72 * float(item["width"]), 72 * float(item["height"])
        if name.endswith(" shape"):
            shapes[name[: -len(" shape")]] = x, y
        else:
            boxes[name] = Rectangle(x - w / 2, y - h / 2, w, h)
    return Layout(width, height, boxes, shapes, frames, [_arrow(edge["pos"]) for edge in drawn.get("edges", ())])


def _arrow(text: str) -> tuple[list[Point], Point | None]:
    """The points of Graphviz's "e,x,y x,y x,y ...", of which the one behind e is the tip."""
    tip, points = None, []
    for word in text.split():
        *mark, x, y = word.split(",")
        if mark == ["e"]:
            tip = float(x), float(y)
        else:
            points.append((float(x), float(y)))
    return points, tip
