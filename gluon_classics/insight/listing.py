"""The commands `list` and `summary` of ``python -m gluon_classics``."""

from __future__ import annotations

import argparse
import csv
import io

from gluon_classics.insight.summary import Summary, summarize
from gluon_classics.insight.tables import aligned, layer_table, stage_table, times
from gluon_classics.models import get_model, list_models, model_info
from gluon_classics.nearest import unknown_name

from mxnet.gluon import HybridBlock

_HEADER = ("name", "paper", "year", "input", "parameters", "MACs", "file")
_FOLDER = "gluon_classics/models"


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="a shell pattern, as '*net*'")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="a Markdown table")
    form.add_argument("--csv", action="store_true", help="comma-separated values, with exact numbers")


def run_list(args: argparse.Namespace) -> int:
    names = list_models(args.pattern)
    if not names:
        raise unknown_name("network or pattern", args.pattern, list_models())
    print(_markdown(names) if args.markdown else _csv(names) if args.csv else _text(names))
    return 0


def _rows(names: list) -> list:
    """The columns of _HEADER, each network as its paper or listing has it."""
    rows = []
    for name in names:
        info = model_info(name)
        summary = summarize(get_model(name), info.input_shape)
        shape = times(info.input_shape)
        rows.append((name, info.paper, info.year, shape, summary.parameters, summary.macs, f"{_FOLDER}/{info.file}"))
    return rows


def _text(names: list) -> str:
    cells = [(name, *more, f"{n:,}", short(macs), file) for name, *more, n, macs, file in _rows(names)]
    return aligned([_HEADER, *(tuple(map(str, row)) for row in cells)], "<<<<>><")


def _markdown(names: list) -> str:
    lines = ["| " + " | ".join(_HEADER) + " |", "| --- | --- | --- | --- | ---: | ---: | --- |"]
    for name, paper, year, shape, parameters, macs, file in _rows(names):
        link = f"[{file.rsplit('/', 1)[-1]}]({file})"
        lines.append(f"| `{name}` | {paper} | {year} | {shape} | {parameters:,} | {short(macs)} | {link} |")
    return "\n".join(lines)


def _csv(names: list) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([map(str.lower, _HEADER), *_rows(names)])
    return text.getvalue().rstrip("\n")


def short(number: int) -> str:
    """4,089,184,256 is 4.09 G, and 416,520 is 416.5 k."""
    for unit, size, digits in (("G", 10**9, 2), ("M", 10**6, 1), ("k", 10**3, 1)):
        if number >= size:
            return f"{number / size:.{digits}f} {unit}"
    return str(number)


def add_summary_arguments(parser: argparse.ArgumentParser) -> None:
    add_network_arguments(parser)
    parser.add_argument("--layers", action="store_true", help="a row for each layer in place of one for each stage")


def run_summary(args: argparse.Namespace) -> int:
    _, summary = build_network(args)
    info = model_info(args.net)
    print(f"{args.net}: {info.paper} {info.year}, input {times(summary.input_shape)}")
    print(layer_table(summary) if args.layers else stage_table(summary))
    return 0


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """NET, and what differs from its paper."""
    parser.add_argument("net", metavar="NET", help="a network's name; `list` shows them")
    parser.add_argument("--size", type=int, metavar="N", help="height and width of the images (the paper's)")
    parser.add_argument("--num-classes", type=int, metavar="N", help="classes (the paper's)")
    parser.add_argument("--in-channels", type=int, metavar="N", help="channels of the images (the paper's)")
    parser.add_argument("--aux", action="store_true", help="with the auxiliary heads")


def build_network(args: argparse.Namespace) -> tuple[HybridBlock, Summary]:
    """The network that the arguments ask for, not initialized, and its summary. Raises ValueError."""
    info = model_info(args.net)
    channels, height, width = info.input_shape
    arguments = {"num_classes": args.num_classes, "in_channels": args.in_channels, "aux": args.aux or None}
    try:
        net = get_model(args.net, **{name: value for name, value in arguments.items() if value is not None})
    except TypeError as error:  # the one argument that not every network takes
        raise ValueError(f"{args.net} has no auxiliary heads: leave --aux out") from error
    if args.in_channels is not None:
        channels = args.in_channels
    if args.size is not None:
        height = width = args.size
    return net, summarize(net, (channels, height, width))
