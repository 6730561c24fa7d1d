"""A network's layers as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gluon_classics.insight.summary import Layer, Stage, Summary
from gluon_classics.models import model_info

_HEADER = ("name", "kind", "output", "kernel/stride", "parameters", "MACs", "receptive field")
_ALIGNMENT = "<<><>>>"


def stage_table(summary: Summary) -> str:
    """Return a row for each stage, as in the papers, and the totals."""
    return _with_totals(summary, [_row(stage, windows(stage.layers)) for stage in summary.stages])


def layer_table(summary: Summary) -> str:
    """Return a row for each layer, and the totals."""
    return _with_totals(summary, [_row(layer, _window_in_full(layer)) for layer in summary.layers])


def aligned(rows: Iterable[Sequence[str]], alignment: str) -> str:
    """Pad columns to their widest cell, aligned left (<) or right (>)."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ("  ".join(f"{cell:{a}{w}}" for cell, a, w in zip(row, alignment, widths)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def short(number: int) -> str:
    """Format 4,089,184,256 as 4.09 G, and 416,520 as 416.5 k."""
    for unit, size, digits in (("G", 10**9, 2), ("M", 10**6, 1), ("k", 10**3, 1)):
        if number >= size:
            return f"{number / size:.{digits}f} {unit}"
    return str(number)


def caption(name: str, summary: Summary) -> str:
    """Return the authors, the year, and the size of the network `name`."""
    info = model_info(name)
    numbers = f"{summary.parameters:,} parameters, {short(summary.macs)} MACs"
    return f"{info.paper} {info.year}; {numbers}, input {times(summary.input_shape)}"


def times(numbers: Iterable[int]) -> str:
    """Format a shape: 3x224x224."""
    return "x".join(map(str, numbers))


def _with_totals(summary: Summary, rows: list) -> str:
    return (
        f"{aligned([_HEADER, *rows], _ALIGNMENT)}\n"
        f"Total: {summary.parameters:,} trainable parameters, {summary.macs:,} MACs "
        "(of convolutions and dense layers; FLOPs are twice as many)"
    )


def _row(row: Layer | Stage, window: str) -> tuple:
    field = row.receptive_field
    seen = "whole image" if field is None else times(field)
    return row.name, row.kind, times(row.output_shape), window, f"{row.parameters:,}", f"{row.macs:,}", seen


def windows(layers: Iterable[Layer]) -> str:
    """Format the windows of convolutions and pools, each once: 1x1, 3x3/2."""
    windowed = [layer for layer in layers if layer.kernel]
    if len(windowed) == 1:
        return _window_in_full(windowed[0])
    return ", ".join(dict.fromkeys(_window(layer) + _groups(layer) for layer in windowed))


def _window_in_full(layer: Layer) -> str:
    """Format a window without trivial parts: 3x3/2 pad 1 dilation 2 groups 32."""
    text = _window(layer)
    for word, pair, trivial in (("pad", layer.padding, (0, 0)), ("dilation", layer.dilation, (1, 1))):
        if pair != trivial:
            text += f" {word} {side(pair)}"
    return text + _groups(layer)


def _window(layer: Layer) -> str:
    """Format kernel and stride, without a stride of 1: 3x3/2."""
    if layer.kernel is None:
        return ""
    return times(layer.kernel) + (f"/{side(layer.stride)}" if layer.stride != (1, 1) else "")


def side(pair: tuple[int, int]) -> str:
    """Format a pair: 3 or 1x7."""
    return str(pair[0]) if pair[0] == pair[1] else times(pair)


def _groups(layer: Layer) -> str:
    if layer.groups == 1:
        return ""
    return " depthwise" if layer.is_depthwise else f" groups {layer.groups}"
