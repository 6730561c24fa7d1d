"""python -m gluon_classics list: the networks of this package."""

from __future__ import annotations

import argparse
import csv
import gc
import io

from gluon_classics import insight, models
from gluon_classics.nearest import unknown_name

_HEADER = ("name", "paper", "year", "input", "parameters", "MACs", "file")
_FOLDER = "gluon_classics/models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="a shell pattern such as '*net*'")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")
    form.add_argument("--csv", action="store_true", help="print CSV with exact numbers")


def run(args: argparse.Namespace) -> int:
    names = models.list_models(args.pattern)
    if not names:
        raise unknown_name("network or pattern", args.pattern, models.list_models())
    gc.disable()  # the networks are millions of objects, all of which stay: collecting takes a third of the time
    try:
        print(_markdown(names) if args.markdown else _csv(names) if args.csv else _text(names))
    finally:
        gc.enable()
    return 0


def _rows(names: list) -> list:
    """Return the columns of _HEADER, each network with its paper's input and classes."""
    rows = []
    for name in names:
        info = models.model_info(name)
        summary = insight.summarize(models.get_model(name), info.input_shape)
        shape = insight.times(info.input_shape)
        rows.append((name, info.paper, info.year, shape, summary.parameters, summary.macs, f"{_FOLDER}/{info.file}"))
    return rows


def _text(names: list) -> str:
    cells = [(name, *more, f"{n:,}", insight.short(macs), file) for name, *more, n, macs, file in _rows(names)]
    return insight.aligned([_HEADER, *(tuple(map(str, row)) for row in cells)], "<<<<>><")


def _markdown(names: list) -> str:
    lines = ["| " + " | ".join(_HEADER) + " |", "| --- | --- | --- | --- | ---: | ---: | --- |"]
    for name, paper, year, shape, parameters, macs, file in _rows(names):
        link = f"[{file.rsplit('/', 1)[-1]}]({file})"
        lines.append(f"| `{name}` | {paper} | {year} | {shape} | {parameters:,} | {insight.short(macs)} | {link} |")
    return "\n".join(lines)


def _csv(names: list) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([map(str.lower, _HEADER), *_rows(names)])
    return text.getvalue().rstrip("\n")
