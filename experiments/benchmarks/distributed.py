"""Two workers on this machine beside one, with one thread each, and what that means for more: the part ``distributed``
of benchmark.py.

Each turn is a job of its own, started as a user starts it. "apart" are two workers that do not know of each other: what
they lose against one, this machine loses, whose cores share their memory and caches.
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

HERE = Path(__file__).resolve().parent
SIDE = [sys.executable, str(HERE / "distributed_side.py")]
# network, batch size of each worker, height and width; 128 for each of two is the book's 256 for ResNet
SETTINGS = [("lenet", 256, 28), ("resnet", 32, 96), ("resnet", 128, 96)]
# For what is computed for more workers: networks of the papers, with batches that a machine of 2 cores computes.
PREDICTED = {"vgg16": (8, 224), "resnet50": (16, 224)}
WORKERS = (8, 64, 512)
GIGABITS = (10, 100)
FASTER = (1, 100)  # a worker as here, and one as fast as a GPU, about


def add_distributed_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=10, help="about so long a turn (default 10)")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side (default 3)")
    parser.add_argument("--predict", action="store_true", help="compute what 8, 64 and 512 workers would do, too")


def launchers() -> dict[str, list[str]]:
    """By side, the words before each worker's command."""
    found = {"dist_sync": [sys.executable, str(HERE / "launch.py"), "-n", "2", "-s", "1", "--"]}
    if importlib.util.find_spec("horovod"):
        horovodrun = str(Path(sys.executable).with_name("horovodrun"))
        found["horovod"] = [horovodrun, "--gloo", "-np", "2", "-H", "localhost:2", "--network-interfaces", "lo"]
    return found


def figures(side: str, network: str, batch_size: int, size: int, seconds: float, **variables: str) -> dict:
    """What the workers of a side print, with these environment variables; of "apart" the sum of both rates."""
    engine = "alone" if side in ("alone", "apart") else side
    words = [*launchers().get(side, []), *SIDE, engine, network, str(size), str(batch_size), str(seconds)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    jobs = [
        subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2 if side == "apart" else 1)
    ]
    printed = [job.communicate()[0] for job in jobs]
    found = [re.search(r"FIGURES (.*)", text) for text in printed]
    if not all(found):
        raise SystemExit(f"{side} failed: {printed[0]}")
    results = [json.loads(each[1]) for each in found]
    return {**results[0], "rate": sum(each["rate"] for each in results)}


def benchmark_distributed(args: argparse.Namespace) -> None:
    sides = ["alone", "apart", *launchers()]
    for network, batch_size, size in SETTINGS:
        turns: dict = {side: [] for side in sides}
        for _ in range(args.repeats):
            for side in sides:
                turns[side].append(figures(side, network, batch_size, size, args.seconds))
        print(f"{network}, {size}x{size}, batches of {batch_size} for each worker, one thread each")
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
        print(f"{engine}: 4 bytes are added up in {1e3 * small:.2f} ms, 64 MiB in {1e3 * large:.0f} ms")
    if args.predict:
        predict(sums)


def median(turns: list[dict], name: str) -> float:
    return statistics.median(each[name] for each in turns)


def communication(engine: str, workers: int, size: float, bandwidth: float, small: float, large: float) -> float:
    """Seconds in which the gradients, of `size` bytes, are added up over a network of so many bytes/s.

    `small` and `large` are the seconds of 4 bytes and 64 MiB, measured with two workers without a network between them
    (and for Horovod without the pause between its cycles).
    """
    work = (large - small) / 2**26  # seconds that the engine itself takes for a byte
    if engine == "horovod":  # a ring: 2 (n - 1) messages one after the other, each of an n-th of the bytes
        return HOROVOD_CYCLE / 1e3 + (workers - 1) * small + 2 * (workers - 1) / workers * size * (1 / bandwidth + work)
    # one server on each worker's machine: each worker sends all bytes and gets all back, and its server as many again
    return small + 2 * size * 2 / bandwidth + size * work


def predict(sums: dict) -> None:
    """Efficiency with nothing of the communication hidden behind computation, to all that can be."""
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
