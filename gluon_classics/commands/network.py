"""The network arguments of `summary` and `draw`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from gluon_classics import insight, models

if TYPE_CHECKING:
    from mxnet.gluon import HybridBlock


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Add NET and the flags that change it."""
    parser.add_argument("net", metavar="NET", help="name of a network; `list` prints them")
    parser.add_argument("--size", type=int, metavar="N", help="height and width of the images (default: the paper's)")
    parser.add_argument("--num-classes", type=int, metavar="N", help="number of classes (default: the paper's)")
    parser.add_argument("--in-channels", type=int, metavar="N", help="channels of the images (default: the paper's)")
    parser.add_argument("--aux", action="store_true", help="include the auxiliary heads")


def build_network(args: argparse.Namespace) -> tuple[HybridBlock, insight.Summary]:
    """Return the network, not initialized, and its summary. Raises ValueError."""
    info = models.model_info(args.net)
    channels, height, width = info.input_shape
    arguments = {"num_classes": args.num_classes, "in_channels": args.in_channels, "aux": args.aux or None}
    try:
        net = models.get_model(args.net, **{name: value for name, value in arguments.items() if value is not None})
    except TypeError as error:  # aux, the only argument that some networks lack
        raise ValueError(f"{args.net} has no auxiliary heads: leave --aux out") from error
    if args.in_channels is not None:
        channels = args.in_channels
    if args.size is not None:
        height = width = args.size
    return net, insight.summarize(net, (channels, height, width))
