"""Every network's speed and memory, beside gluoncv's and torchvision's: the part ``models`` of benchmark.py.

Each side lives in a process of its own: frameworks neither share threads nor memory, and the peak is one side's alone.
The sides take turns; where they do not fit into memory together, each turn starts its process anew.
"""

from __future__ import annotations

import contextlib
import csv
import multiprocessing
import resource
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from gluon_classics import models
from gluon_classics.convert import SOURCES

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, nd

TORCH_REFERENCE = Path(__file__).resolve().parents[1] / "tests/support"  # builds what the tests compare with, too
GLUONCV = SOURCES["gluoncv"].networks
SIDES = ["hybridized", "imperative", "gluoncv", "PyTorch"]
COLUMNS = ["network", "size", "batch", "side", "forward", "forward_backward", "peak_mb"]


def gluon_side(net, batch: int, shape: tuple, hybridize: bool) -> tuple:
    """Functions that run one batch forward, and forward and backward."""
    net.initialize()
    if hybridize:
        net.hybridize(static_alloc=True, static_shape=True)
    x, y, loss = nd.random.normal(shape=(batch, *shape)), nd.zeros(batch), gluon.loss.SoftmaxCrossEntropyLoss()

    def forward():
        net(x).wait_to_read()

    def forward_backward():
        with autograd.record():
            value = loss(net(x), y)
        value.backward()
        nd.waitall()

    return forward, forward_backward


def gluoncv_net(name: str):
    sys.modules["torch"] = None  # gluoncv refuses to be imported beside a PyTorch of today
    from gluoncv import model_zoo

    kwargs = {"aux_logits": False} if name == "inception_v1_bn" else {}
    return model_zoo.get_model(GLUONCV[name], **kwargs)


def torch_side(name: str, batch: int, shape: tuple, threads: int) -> tuple:
    import torch

    sys.path.insert(0, str(TORCH_REFERENCE))
    from torch_reference import build_reference

    torch.set_num_threads(threads)
    net = build_reference(name)
    x, y = torch.randn(batch, *shape), torch.zeros(batch, dtype=torch.long)

    def forward():
        net.eval()
        with torch.no_grad():
            net(x)

    def forward_backward():
        net.train()
        net.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()

    return forward, forward_backward


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def serve(connection, side: str, name: str, batch: int, shape: tuple, seconds: float, threads: int) -> None:
    """One side's process: a turn at each word received, answered by images/s of both kinds and the peak in MB."""
    if side == "PyTorch":
        runs = torch_side(name, batch, shape, threads)
    else:
        net = gluoncv_net(name) if side == "gluoncv" else models.get_model(name, in_channels=shape[0])
        runs = gluon_side(net, batch, shape, hybridize=side != "imperative")
    for run in runs:
        run()  # not timed: shapes, memory, primitives
    while connection.recv():
        connection.send([*(images_per_second(run, batch, seconds) for run in runs), peak_mb()])


def images_per_second(run, batch: int, seconds: float) -> float:
    start, images = perf_counter(), 0
    while images == 0 or perf_counter() - start < seconds:
        run()
        images += batch
    return images / (perf_counter() - start)


class Worker:
    """A side's process. A turn of one that died raises EOFError."""

    def __init__(self, *args):
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, *args), daemon=True)
        self.process.start()
        theirs.close()

    def turn(self) -> list:
        self.connection.send(True)
        return self.connection.recv()

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def training_mb(name: str, batch: int) -> float:
    """What a training step keeps: the outputs of all layers, the weights and their gradients."""
    shape = models.model_info(name).input_shape
    net = models.get_model(name, in_channels=shape[0])
    internals = net(mx.sym.var("data")).get_internals()
    arguments, outputs, states = internals.infer_shape(data=(batch, *shape))
    values = sum(int(np.prod(s)) for s in outputs) + sum(int(np.prod(s)) for s in arguments)
    return 4 * values / 2**20


def available_mb() -> float:
    """Memory that processes can have, caches given up (Linux)."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 1024


def sides_of(name: str) -> list:
    """Those that hold the network and are installed."""
    return [
        side for side in SIDES if (side != "gluoncv" or name in GLUONCV) and (side != "PyTorch" or _has_reference(name))
    ]


def _has_reference(name: str) -> bool:
    try:
        import torch  # noqa: F401
    except ImportError:
        return False
    sys.path.insert(0, str(TORCH_REFERENCE))
    from torch_reference import REFERENCES

    return name in REFERENCES


def measure(name: str, batch: int, repeats: int, seconds: float, threads: int) -> Iterator[dict]:
    """A row for each side of one network. Raises MemoryError where not even one side fits."""
    shape, sides = models.model_info(name).input_shape, sides_of(name)
    need, there = training_mb(name, batch), available_mb()
    if need > 0.8 * there:
        raise MemoryError(f"training takes about {need:,.0f} MB, and {there:,.0f} MB are free")
    together = len(sides) * need < 0.6 * there
    workers, figures = {}, {side: [] for side in sides}
    try:
        for turn in range(repeats):
            first = turn % len(sides)
            for side in sides[first:] + sides[:first]:  # none always follows the same other one
                if side not in workers:
                    workers[side] = Worker(side, name, batch, shape, seconds, threads)
                figures[side].append(workers[side].turn())
                if not together:
                    workers.pop(side).close()
    finally:
        for worker in workers.values():
            worker.close()
    for side in sides:
        forward, both, _ = (statistics.median(each) for each in zip(*figures[side]))
        peak = max(each[2] for each in figures[side])
        yield dict(zip(COLUMNS, [name, shape[1], batch, side, forward, both, peak]))


def shapes_seconds(name: str) -> float:
    """Time to build a network and to infer the shapes of all its parameters."""
    start = perf_counter()
    models.get_model(name).infer_shape(nd.zeros((1, *models.model_info(name).input_shape)))
    return perf_counter() - start


def benchmark_models(args, threads: int) -> None:
    names = list(dict.fromkeys(name for pattern in args.networks for name in models.list_models(pattern)))
    if not names:
        raise SystemExit(f"no network's name matches {' '.join(args.networks)}: python -m gluon_classics list")
    seconds = {name: shapes_seconds(name) for name in names}
    slowest = max(seconds, key=seconds.get)
    print(f"Build and infer shapes: {sum(seconds.values()):.2f} s for {len(names)} networks,", end=" ")
    print(f"at most {seconds[slowest]:.2f} s ({slowest})")
    print(f"Images/s, float32, on the CPU, median of {args.repeats} turns; in brackets hybridized / that side")
    print(
        f"{'network':20} {'size':>5} {'batch':>5} {'side':12} {'forward':>18} {'forward+backward':>18} {'peak MB':>8}"
    )
    with contextlib.ExitStack() as stack:
        writer = csv.DictWriter(stack.enter_context(open(args.csv, "w", newline="")), COLUMNS) if args.csv else None
        if writer:
            writer.writeheader()
        for name in names:
            for batch in args.batch_sizes:
                try:
                    rows = list(measure(name, batch, args.repeats, args.seconds, threads))
                except (MemoryError, EOFError) as error:
                    print(f"{name:20} {'':5} {batch:5} left out: {error or 'its process died'}", flush=True)
                    continue
                for row in rows:
                    print(line(row, rows[0]), flush=True)
                if writer:
                    writer.writerows(rows)


def line(row: dict, first: dict) -> str:
    speeds = "".join(f"{row[kind]:10.1f} ({first[kind] / row[kind]:4.2f})" for kind in COLUMNS[4:6])
    return f"{row['network']:20} {row['size']:5} {row['batch']:5} {row['side']:12} {speeds} {row['peak_mb']:8,.0f}"
