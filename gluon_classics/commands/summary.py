"""python -m gluon_classics summary NET: the layers of a network."""

from __future__ import annotations

import argparse

from gluon_classics import insight, models
from gluon_classics.commands.network import add_network_arguments, build_network


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_network_arguments(parser)
    parser.add_argument("--layers", action="store_true", help="print a row for each layer instead of each stage")


def run(args: argparse.Namespace) -> int:
    _, summary = build_network(args)
    info = models.model_info(args.net)
    print(f"{args.net}: {info.paper} {info.year}, input {insight.times(summary.input_shape)}")
    print(insight.layer_table(summary) if args.layers else insight.stage_table(summary))
    return 0
