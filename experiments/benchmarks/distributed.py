"""Images/s of two workers on this machine, compared with one, and an estimate for more workers.

Each worker has one thread. Each turn is a separate job, started as a user starts it. "apart" are two independent
workers: what they lose compared with one is lost to the memory and caches that the cores share.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

from gluon_classics.training.distributed import HOROVOD_CYCLE

EXPERIMENTS = Path(__file__).resolve().parents[1]
SIDE = [sys.executable, "-m", "benchmarks.distributed_side"]
# network, batch size per worker, height and width; two workers with 128 are the book's 256 for ResNet
SETTINGS = [("lenet", 256, 28), ("resnet", 32, 96), ("resnet", 128, 96)]
# For the estimate: networks of the papers, with batches that fit two cores.
PREDICTED = {"vgg16": (8, 224), "resnet50": (16, 224)}
WORKERS = (8, 64, 512)
GIGABITS = (10, 100)
FASTER = (1, 100)  # a worker as fast as here, and about as fast as a GPU


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=10, help="approximate length of a turn (default 10)")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side (default 3)")
    parser.add_argument("--predict", action="store_true", help="also estimate 8, 64 and 512 workers")


def launchers() -> dict[str, list[str]]:
    """Return the launchers by side: the words before each worker's command."""
    found = {"dist_sync": [sys.executable, str(EXPERIMENTS / "launch.py"), "-n", "2", "-s", "1", "--"]}
    if importlib.util.find_spec("horovod"):
        horovodrun = str(Path(sys.executable).with_name("horovodrun"))
        found["horovod"] = [horovodrun, "--gloo", "-np", "2", "-H", "localhost:2", "--network-interfaces", "lo"]
    return found


def figures(side: str, network: str, batch_size: int, size: int, seconds: float, **variables: str) -> dict:
    """Run a side with these environment variables. Return what its workers print; "apart" is the sum of two."""
    engine = "alone" if side in ("alone", "apart") else side
    words = [*launchers().get(side, []), *SIDE, engine, network, str(size), str(batch_size), str(seconds)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    jobs = [
        subprocess.Popen(
            words, cwd=EXPERIMENTS, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(2 if side == "apart" else 1)
    ]
    printed = [job.communicate()[0] for job in jobs]
    found = [re.search(r"FIGURES (.*)", text) for text in printed]
    if not all(found):
        raise SystemExit(f"{side} failed: {printed[0]}")
    results = [json.loads(each[1]) for each in found]
    return {**results[0], "rate": sum(each["rate"] for each in results)}


def run(args: argparse.Namespace) -> None:
    sides = ["alone", "apart", *launchers()]
    for network, batch_size, size in SETTINGS:
        turns: dict = {side: [] for side in sides}
        for _ in range(args.repeats):
            for side in sides:
                turns[side].append(figures(side, network, batch_size, size, args.seconds))
        print(f"{network}, {size}x{size}, batches of {batch_size} per worker, one thread each")
        alone = median(turns["alone"], "rate")
        for side in sides:
            rate = median(turns[side], "rate")
            line = f"  {side:10} {1 if side == 'alone' else 2} worker(s) {rate:10,.1f} images/s"
            if side != "alone":
                line += f"   efficiency {rate / (2 * alone):.2f}"
            if side in launchers():
                parts = {name: median(turns[side], name) for name in ("compute", "communication", "update")}
                line += f"   communication {parts['communication'] / sum(parts.values()):.1%} of a step"
            print(line, flush=True)
    sums = {engine: figures(engine, "lenet", 256, 28, 1, HOROVOD_CYCLE_TIME="0")["sums"] for engine in launchers()}
    for engine, (small, large) in sums.items():
        print(f"{engine}: allreduce of 4 bytes {1e3 * small:.2f} ms, of 64 MiB {1e3 * large:.0f} ms")
    if args.predict:
        predict(sums)


def median(turns: list[dict], name: str) -> float:
    return statistics.median(each[name] for each in turns)


def communication(engine: str, workers: int, size: float, bandwidth: float, small: float, large: float) -> float:
    """Estimate the seconds of an allreduce of `size` bytes over a network of `bandwidth` bytes/s.

    `small` and `large` are the seconds of 4 bytes and 64 MiB, measured with two workers on one machine (for Horovod
    without the pause between its cycles).
    """
    work = (large - small) / 2**26  # seconds per byte in the engine itself
    if engine == "horovod":  # a ring: 2 (n - 1) messages one after the other, each 1/n of the bytes
        return HOROVOD_CYCLE / 1e3 + (workers - 1) * small + 2 * (workers - 1) / workers * size * (1 / bandwidth + work)
    # one server on each worker's machine: the worker sends and receives all bytes, and so does its server
    return small + 2 * size * 2 / bandwidth + size * work


def predict(sums: dict) -> None:
    """Print the efficiency, from no overlap of communication with computation to the largest possible."""
    for network, (batch_size, size) in PREDICTED.items():
        alone = figures("alone", network, batch_size, size, 10)
        gradients = 4 * alone["weights"]
        for faster in FASTER:
            step = batch_size / alone["rate"] / faster
            print(f"{network}, {gradients / 1e6:.0f} MB of gradients, {1e3 * step:,.0f} ms a step: efficiency")
            print(f"  {'workers':20}" + "".join(f"{n:>14}" for n in WORKERS))
            for engine, (small, large) in sums.items():
                for gigabits in GIGABITS:
                    line = f"  {engine:10} {gigabits:3} Gbit/s"
                    for n in WORKERS:
                        seconds = communication(engine, n, gradients, gigabits * 1e9 / 8, small, large)
                        line += f"  {step / (step + seconds):.2f} to {step / max(step, seconds):.2f}"
                    print(line, flush=True)
