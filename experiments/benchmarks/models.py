"""Speed and memory of every network, forward and backward: this project, gluoncv and PyTorch.

Each side runs in a process of its own, on one synthetic batch that stays in memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import statistics
from time import perf_counter

from gluon_classics import models, runtime
from gluon_classics.convert import SOURCES

from mxnet import nd

from .setting import Setting, Side
from .sides import chosen_networks, csv_rows, take_turns, training_mb

SIDES = {
    "hybridized": Side("project"),
    "imperative": Side("imperative"),
    "gluoncv": Side("gluoncv"),
    "PyTorch": Side("pytorch"),
}
FUNCTIONS = {"forward": "infer", "forward_backward": "forward_backward"}  # column: function of train_side.py
COLUMNS = ["network", "size", "batch", "side", *FUNCTIONS, "peak_mb"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("networks", nargs="*", default=["*"], help="names, or patterns such as 'resnet*' (default all)")
    add("--batch-sizes", type=int, nargs="+", default=[1, 16], metavar="N", help="default 1 16")
    add("--seconds", type=float, default=1, help="approximate length of a turn, at least one batch (default 1)")
    add("--repeats", type=int, default=3, help="turns of each side (default 3)")
    add("--csv", help="also write the rows to this file")


def run(args: argparse.Namespace) -> None:
    names = chosen_networks(args.networks)
    seconds = {name: shapes_seconds(name) for name in names}
    slowest = max(seconds, key=seconds.get)
    print(f"Build and infer shapes: {sum(seconds.values()):.2f} s for {len(names)} networks,", end=" ")
    print(f"at most {seconds[slowest]:.2f} s ({slowest})")
    print(f"Images/s, float32, on the CPU, median of {args.repeats} turns; in brackets hybridized / that side")
    print(
        f"{'network':20} {'size':>5} {'batch':>5} {'side':12} {'forward':>18} {'forward+backward':>18} {'peak MB':>8}"
    )
    with csv_rows(args.csv, COLUMNS) as write:
        for name in names:
            for batch in args.batch_sizes:
                rows = measure(name, batch, args)
                for row in rows:
                    print(line(row, rows), flush=True)
                write(rows)


def sides_of(network: str) -> dict[str, Side]:
    """Return the sides that are installed and, for gluoncv, have the network."""
    missing = {"gluoncv"} if network not in SOURCES["gluoncv"].networks else set()
    missing |= {name for name, module in {"gluoncv": "gluoncv", "PyTorch": "torch"}.items() if not _installed(module)}
    return {name: side for name, side in SIDES.items() if name not in missing}


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def measure(network: str, batch_size: int, args) -> list[dict]:
    """Return a row for each side that runs."""
    channels, size, _ = models.model_info(network).input_shape
    setting = Setting(network, batch_size, size, channels)
    figures = take_turns(
        sides_of(network),
        setting,
        lambda process: process.turn([*FUNCTIONS.values(), "peak_mb"]),
        args,
        runtime.describe().threads,
        need_mb=training_mb(setting),
    )
    return [
        {
            "network": network,
            "size": size,
            "batch": batch_size,
            "side": side,
            **{column: statistics.median(each[name] for each in turns) for column, name in FUNCTIONS.items()},
            "peak_mb": max(each["peak_mb"] for each in turns),
        }
        for side, turns in figures.items()
    ]


def shapes_seconds(network: str) -> float:
    """Return the time to build a network and to infer the shapes of all its parameters."""
    start = perf_counter()
    models.get_model(network).infer_shape(nd.zeros((1, *models.model_info(network).input_shape)))
    return perf_counter() - start


def line(row: dict, rows: list[dict]) -> str:
    hybridized = {row["side"]: row for row in rows}.get("hybridized", dict.fromkeys(FUNCTIONS, math.nan))
    speeds = "".join(f"{row[kind]:10.1f} ({hybridized[kind] / row[kind]:4.2f})" for kind in FUNCTIONS)
    return f"{row['network']:20} {row['size']:5} {row['batch']:5} {row['side']:12} {speeds} {row['peak_mb']:8,.0f}"
