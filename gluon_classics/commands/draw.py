"""python -m gluon_classics draw NET: a diagram of a network."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gluon_classics.commands.network import add_network_arguments, build_network

if TYPE_CHECKING:
    from mxnet.gluon import HybridBlock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_network_arguments(parser)
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="an .svg or .png file (default NET.svg)")
    parser.add_argument(
        "--detail",
        choices=("modules", "layers", "shapes"),
        default="modules",
        help="modules, repeats once; every layer; or every layer with shapes, parameters and MACs",
    )
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    parser.add_argument(
        "--netron", action="store_true", help="open the network's graph in Netron instead of writing a file"
    )


def run(args: argparse.Namespace) -> int:
    from gluon_classics.insight.architecture import architecture
    from gluon_classics.insight.diagram import draw_diagram
    from gluon_classics.insight.tables import caption

    net, summary = build_network(args)
    if args.netron:
        return _show_in_netron(net, args.net)
    path = args.out or Path(f"{args.net}.svg")
    try:
        draw_diagram(architecture(net, summary, args.detail), args.net, caption(args.net, summary), path, args.theme)
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror}") from error
    print(path)
    return 0


def _show_in_netron(net: HybridBlock, name: str) -> int:
    """Open the browser, and return after Ctrl-C."""
    try:
        import netron
    except ImportError as error:
        raise ValueError("--netron needs Netron: pip install netron") from error
    import mxnet as mx

    outputs = net(mx.sym.var("data"))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, f"{name}-symbol.json"))
        mx.sym.Group(outputs if isinstance(outputs, (list, tuple)) else [outputs]).save(path)
        netron.start(path)
        netron.wait()
    return 0
