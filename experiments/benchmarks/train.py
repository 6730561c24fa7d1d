"""Training and inference, beside the tutorial's own code and PyTorch: the part ``train`` of benchmark.py.

Each side lives in a process of its own (train_side.py), with the same number of threads. The sides take turns; where
they do not fit into memory together, each turn starts its process anew. Inference, and PyTorch's training, run on one
synthetic batch that stays in memory; this project and the tutorial train on real images, through their loaders.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import fnmatch
import importlib.util
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator

from gluon_classics import models
from gluon_classics.nearest import unknown_name

from benchmark_models import available_mb, training_mb
from onednn_profile import print_profile
from sides import SIDES, SideDied, SideProcess, for_side, threads_of
from train_side import Setting

# network: batch size, and height and width; for two cores. The tutorial's own setting is 64, 224 for all.
NETWORKS = {
    "lenet": (256, 28),
    "alexnet": (32, 224),
    "vgg": (8, 224),
    "nin": (32, 224),
    "googlenet": (32, 224),
    "resnet": (16, 224),
    "resnet50": (16, 224),
}
SPEEDS = ["train", "infer", "train_synthetic", "load"]
COLUMNS = ["network", "size", "batch", "side", "threads", "company", *SPEEDS]


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("networks", nargs="*", default=list(NETWORKS), help=f"names, or patterns (default {' '.join(NETWORKS)})")
    add("--batch-size", type=int, help="for all networks (default: each its own, for two cores)")
    add("--size", type=int, help="height and width of the images, for all networks")
    add("--tutorial-setting", action="store_true", help="the tutorial's: --size 224 --batch-size 64")
    add("--seconds", type=float, default=3, help="about so long a turn (default 3), two batches or more")
    add("--repeats", type=int, default=5, help="turns of each side (default 5)")
    add("--sides", nargs="+", default=["*"], metavar="SIDE", help=f"names, or patterns: {', '.join(SIDES)}")
    add("--company", action="store_true", help="measure beside a busy process on one core, too")
    add("--csv", help="write the rows to this file, too")
    add("--profile", metavar="NETWORK", help="where a training step of NETWORK spends its time, by oneDNN's own record")


@contextlib.contextmanager
def company() -> Iterator[None]:
    """Another process keeps one of the cores busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
    try:
        yield
    finally:
        process.kill()
        process.wait()


def setting_of(network: str, args) -> Setting:
    """The network's own batch size and size, where the flags give none. Its number of channels is that of its paper."""
    channels, height, _ = models.model_info(network).input_shape
    batch_size, size = (64, 224) if args.tutorial_setting else NETWORKS.get(network, (16, height))
    return Setting("project", network, args.batch_size or batch_size, args.size or size, channels)


def measure(setting: Setting, sides: list, args, threads: int) -> list[dict]:
    """A row for each side that runs, with and without company. What does not run is printed."""
    scale = (setting.size / models.model_info(setting.network).input_shape[1]) ** 2
    need, there = 2 * scale * training_mb(setting.network, setting.batch_size), available_mb()
    if need > 0.8 * there:
        print(f"{setting.network}: left out, it takes about {need:,.0f} MB, and {there:,.0f} MB are free")
        return []
    together = len(sides) * need < 0.6 * there
    processes, figures = {}, {}
    try:
        for turn in range(args.repeats):
            first = turn % len(sides)
            for name in sides[first:] + sides[:first]:  # none always follows the same other one
                if turn and (name, False) not in figures:
                    continue  # it died
                try:
                    if name not in processes:
                        side = SIDES[name]
                        processes[name] = SideProcess(side, for_side(setting, side), args.seconds, threads)
                    for busy in [False, True] if args.company else [False]:
                        with company() if busy else contextlib.nullcontext():
                            figures.setdefault((name, busy), []).append(processes[name].turn())
                except SideDied as error:
                    print(f"{setting.network}: {name} is left out: {error}", flush=True)
                    for busy in (False, True):
                        figures.pop((name, busy), None)
                    processes.pop(name, None)
                if not together and name in processes:
                    processes.pop(name).close()
    finally:
        for process in processes.values():
            process.close()
    return [
        {
            **dict.fromkeys(COLUMNS, math.nan),
            "network": setting.network,
            "size": setting.size,
            "batch": setting.batch_size,
            "side": name,
            "threads": threads_of(SIDES[name], threads),
            "company": busy,
            **{speed: statistics.median(each[speed] for each in turns) for speed in turns[0]},
        }
        for (name, busy), turns in sorted(figures.items(), key=lambda item: (item[0][1], list(SIDES).index(item[0][0])))
    ]


def table(rows: list[dict]) -> list[str]:
    """Images/s of each side."""
    first = rows[0]
    title = f"{first['network']}, batches of {first['batch']}, {first['size']}x{first['size']}"
    lines = [f"{title:40} {'threads':>8} {'train':>10} {'infer':>10}"]
    for row in rows:
        name = row["side"] + (", in company" if row["company"] else "")
        lines.append(f"  {name:38} {row['threads']:8} {row['train']:10,.1f} {row['infer']:10,.1f}")
    return lines


def best_pytorch(rows: list[dict], dtype: str, speed: str) -> dict | None:
    """The faster layout's row, without company; None where PyTorch did not run."""
    there = [r for r in rows if _is(r, "pytorch", dtype) and not r["company"]]
    return max(there, key=lambda row: row[speed], default=None)


def project_row(rows: list[dict], dtype: str) -> dict | None:
    return next((row for row in rows if _is(row, "project", dtype) and not row["company"]), None)


def _is(row: dict, framework: str, dtype: str) -> bool:
    side = SIDES[row["side"]]
    return (side.framework, side.dtype) == (framework, dtype)


def summary(rows: list[dict]) -> list[str]:
    """The ratios, as lines; only of what was measured."""
    lines, quiet = [], {row["side"]: row for row in rows if not row["company"]}
    for dtype in ("float32", "bfloat16"):
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
            by_itself, less = ours["train"] / ours["load"], 1 - ours["train"] / ours["train_synthetic"]
            lines.append(
                f"  {dtype} input pipeline: {by_itself:.1%} of a step by itself; "
                f"training takes {less:.1%} less time without it"
            )
    for row in rows:
        if row["company"]:
            shares = [f"{speed} {row[speed] / quiet[row['side']][speed]:.2f}" for speed in ("train", "infer")]
            lines.append(f"  {row['side']} in company, of its quiet figure: {', '.join(shares)}")
    return lines


def behind(rows: list[dict]) -> list[str]:
    """The precisions in which PyTorch trains faster."""
    pairs = [(dtype, project_row(rows, dtype), best_pytorch(rows, dtype, "train")) for dtype in ("float32", "bfloat16")]
    return [dtype for dtype, ours, best in pairs if ours and best and best["train"] > ours["train"]]


def chosen_sides(patterns: list) -> list[str]:
    """The names that match, without those of a framework that is not installed, which is said."""
    sides = [name for name in SIDES if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    if not sides:
        raise SystemExit(f"no side's name matches {' '.join(patterns)}: the sides are {', '.join(SIDES)}")
    if any(SIDES[name].framework == "pytorch" for name in sides) and importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed here, and its sides are left out: see requirements-reference.txt")
        sides = [name for name in sides if SIDES[name].framework != "pytorch"]
    if not sides:
        raise SystemExit("no side is left to measure")
    return sides


def benchmark_train(args, threads: int) -> None:
    sides = chosen_sides(args.sides)
    if args.profile:
        if args.profile not in models.list_models():
            raise SystemExit(str(unknown_name("network", args.profile, models.list_models())))
        print_profile(setting_of(args.profile, args), sides, args, threads)
        return
    names = list(dict.fromkeys(name for pattern in args.networks for name in models.list_models(pattern)))
    if not names:
        raise SystemExit(f"no network's name matches {' '.join(args.networks)}: python -m gluon_classics list")
    print(f"Images/s on the CPU, median of {args.repeats} turns of about {args.seconds:g} s")
    with contextlib.ExitStack() as stack:
        writer = csv.DictWriter(stack.enter_context(open(args.csv, "w", newline="")), COLUMNS) if args.csv else None
        if writer:
            writer.writeheader()
        for name in names:
            setting = setting_of(name, args)
            rows = measure(setting, sides, args, threads)
            if not rows:
                continue
            print(*table(rows), *summary(rows), sep="\n", flush=True)
            if writer:
                writer.writerows(rows)
            if behind(rows):
                print(f"  PyTorch trains faster in {' and '.join(behind(rows))}; where the time goes:")
                print_profile(setting, sides, args, threads)
