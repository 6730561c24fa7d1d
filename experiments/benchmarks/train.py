"""Images/s of training and inference: this project, the tutorial's own code, and PyTorch.

Each side runs in a process of its own with the same number of threads. Inference, and PyTorch's training, use one
synthetic batch that stays in memory; this project and the tutorial train on real images through their loaders.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import importlib.util
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator

from gluon_classics import models, runtime

from .onednn_profile import print_profile
from .setting import Setting, Side
from .sides import SideProcess, chosen_networks, csv_rows, take_turns, threads_of, training_mb

# network: batch size, and height and width; for two cores. The tutorial's setting is 64, 224 for all.
NETWORKS = {
    "lenet": (256, 28),
    "alexnet": (32, 224),
    "vgg": (8, 224),
    "nin": (32, 224),
    "googlenet": (32, 224),
    "resnet": (16, 224),
    "resnet50": (16, 224),
}
SIDES = {
    "tutorial": Side("tutorial"),
    "tutorial-default-threads": Side("tutorial", default_threads=True),
    "project": Side("project"),
    "project-bfloat16": Side("project", "bfloat16"),
    "pytorch": Side("pytorch"),
    "pytorch-channels-last": Side("pytorch", channels_last=True),
    "pytorch-bfloat16": Side("pytorch", "bfloat16"),
    "pytorch-bfloat16-channels-last": Side("pytorch", "bfloat16", channels_last=True),
}
DTYPES = ("float32", "bfloat16")
SPEEDS = ["train", "infer", "train_synthetic", "load"]
COLUMNS = ["network", "size", "batch", "side", "threads", "company", *SPEEDS]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("networks", nargs="*", default=list(NETWORKS), help=f"names or patterns (default {' '.join(NETWORKS)})")
    add("--batch-size", type=int, help="for all networks (default: each network's own, for two cores)")
    add("--size", type=int, help="height and width of the images, for all networks")
    add("--tutorial-setting", action="store_true", help="the same as --size 224 --batch-size 64")
    add("--seconds", type=float, default=3, help="approximate length of a turn, at least two batches (default 3)")
    add("--repeats", type=int, default=5, help="turns of each side (default 5)")
    add("--sides", nargs="+", default=["*"], metavar="SIDE", help=f"names or patterns: {', '.join(SIDES)}")
    add("--company", action="store_true", help="also measure while another process keeps one core busy")
    add("--csv", help="also write the rows to this file")
    add("--profile", metavar="NETWORK", help="show where a training step of NETWORK spends time, by oneDNN's record")


def run(args: argparse.Namespace) -> None:
    threads = runtime.describe().threads
    sides = chosen_sides(args.sides)
    if args.profile:
        for name in chosen_networks([args.profile]):
            print_profile(setting_of(name, args), sides, args.seconds, threads)
        return
    names = chosen_networks(args.networks)
    print(f"Images/s on the CPU, median of {args.repeats} turns of about {args.seconds:g} s")
    with csv_rows(args.csv, COLUMNS) as write:
        for name in names:
            setting = setting_of(name, args)
            rows = measure(setting, sides, args, threads)
            if not rows:
                continue
            print(*table(rows), *summary(rows), sep="\n", flush=True)
            write(rows)
            if slower_dtypes(rows):
                print(f"  PyTorch trains faster in {' and '.join(slower_dtypes(rows))}. Time of a step:")
                print_profile(setting, sides, args.seconds, threads)


def chosen_sides(patterns: list[str]) -> dict[str, Side]:
    """Return the sides that match the patterns. Skip PyTorch's with a message if it is not installed."""
    sides = {name: side for name, side in SIDES.items() if any(fnmatch.fnmatch(name, each) for each in patterns)}
    if not sides:
        raise SystemExit(f"no side matches {' '.join(patterns)}; the sides are {', '.join(SIDES)}")
    if any(side.framework == "pytorch" for side in sides.values()) and importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed; its sides are left out (see requirements-reference.txt)")
        sides = {name: side for name, side in sides.items() if side.framework != "pytorch"}
    if not sides:
        raise SystemExit("no side is left to measure")
    return sides


def setting_of(network: str, args) -> Setting:
    """Return the setting from the flags, or the network's own, with the number of channels of its paper."""
    channels, height, _ = models.model_info(network).input_shape
    batch_size, size = (64, 224) if args.tutorial_setting else NETWORKS.get(network, (16, height))
    return Setting(network, args.batch_size or batch_size, args.size or size, channels)


@contextlib.contextmanager
def company() -> Iterator[None]:
    """Keep one of the cores busy with another process."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(setting: Setting, sides: dict[str, Side], args, threads: int) -> list[dict]:
    """Return a row for each side that runs, without company and, with --company, also with it."""

    def turn(process: SideProcess) -> dict[bool, dict[str, float]]:
        speeds = {}
        for busy in [False, True] if args.company else [False]:
            with company() if busy else contextlib.nullcontext():
                speeds[busy] = process.turn([name for name in process.functions if name in SPEEDS])
        return speeds

    figures = take_turns(sides, setting, turn, args, threads, need_mb=2 * training_mb(setting))
    return [
        {
            **dict.fromkeys(COLUMNS, math.nan),
            "network": setting.network,
            "size": setting.size,
            "batch": setting.batch_size,
            "side": name,
            "threads": threads_of(sides[name], threads),
            "company": busy,
            **{speed: statistics.median(each[busy][speed] for each in turns) for speed in turns[0][busy]},
        }
        for busy in ([False, True] if args.company else [False])
        for name, turns in figures.items()
    ]


def table(rows: list[dict]) -> list[str]:
    """Format the images/s of each side."""
    first = rows[0]
    title = f"{first['network']}, batches of {first['batch']}, {first['size']}x{first['size']}"
    lines = [f"{title:40} {'threads':>8} {'train':>10} {'infer':>10}"]
    for row in rows:
        name = row["side"] + (", in company" if row["company"] else "")
        lines.append(f"  {name:38} {row['threads']:8} {row['train']:10,.1f} {row['infer']:10,.1f}")
    return lines


def best_pytorch(rows: list[dict], dtype: str, speed: str) -> dict | None:
    """Return the row of the faster layout, without company. None if PyTorch did not run."""
    return max(_rows_of(rows, "pytorch", dtype), key=lambda row: row[speed], default=None)


def project_row(rows: list[dict], dtype: str) -> dict | None:
    return next(iter(_rows_of(rows, "project", dtype)), None)


def _rows_of(rows: list[dict], framework: str, dtype: str) -> list[dict]:
    found = [(SIDES[row["side"]], row) for row in rows if not row["company"]]
    return [row for side, row in found if (side.framework, side.dtype) == (framework, dtype)]


def summary(rows: list[dict]) -> list[str]:
    """Format the ratios between the sides that ran."""
    lines, quiet = [], {row["side"]: row for row in rows if not row["company"]}
    for dtype in DTYPES:
        ours = project_row(rows, dtype)
        if ours is None:
            continue
        for speed in ("train", "infer"):
            best = best_pytorch(rows, dtype, speed)
            if best:
                layout = "channels last" if SIDES[best["side"]].channels_last else "contiguous"
                ratio = ours[speed] / best[speed]
                lines.append(f"  {dtype} {speed}: {ratio:.2f} of PyTorch's best ({layout}, {best[speed]:,.1f})")
            for name in ("tutorial", "tutorial-default-threads") if speed == "train" else ():
                if name in quiet:
                    lines.append(f"  {dtype} {speed}: {ours[speed] / quiet[name][speed]:.2f} times the {name}")
        if not math.isnan(ours["load"]):
            share, less = ours["train"] / ours["load"], 1 - ours["train"] / ours["train_synthetic"]
            lines.append(f"  {dtype} input pipeline: {share:.1%} of a step by itself; without it {less:.1%} less time")
    for row in rows:
        if row["company"]:
            shares = [f"{speed} {row[speed] / quiet[row['side']][speed]:.2f}" for speed in ("train", "infer")]
            lines.append(f"  {row['side']} in company, relative to without: {', '.join(shares)}")
    return lines


def slower_dtypes(rows: list[dict]) -> list[str]:
    """Return the precisions in which PyTorch trains faster than this project."""
    pairs = [(dtype, project_row(rows, dtype), best_pytorch(rows, dtype, "train")) for dtype in DTYPES]
    return [dtype for dtype, ours, best in pairs if ours and best and best["train"] > ours["train"]]
