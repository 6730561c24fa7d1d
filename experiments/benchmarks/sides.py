"""The processes of `train` and `models`, one for each side (train_side.py), and the turns they take.

Separate processes share neither threads nor memory, so that the peak memory of each is its own.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from gluon_classics import models
from gluon_classics.nearest import unknown_name

import mxnet as mx
import numpy as np

from .setting import Setting, Side

Figures = TypeVar("Figures")
EXPERIMENTS = Path(__file__).resolve().parents[1]
# Set by the runtime of this process for its own libraries. Each side sets its own, or keeps its libraries' defaults.
OWN_VARIABLES = ("OMP_NUM_THREADS", "MXNET_OMP_MAX_THREADS", "GOMP_SPINCOUNT", "DNNL_MAX_CPU_ISA")
LIBGOMP_SPIN_COUNT = "300000"  # libgomp's default, which the runtime would lower in the tutorial's process


def command(what: str, side: Side, setting: Setting, amount: float) -> list[str]:
    """Return the command of train_side.py."""
    words = [what, json.dumps(asdict(side)), json.dumps(asdict(setting)), str(amount)]
    return [sys.executable, "-m", "benchmarks.train_side", *words]


def environment(side: Side, threads: int) -> dict[str, str]:
    """Return the environment of a side's process: this one's without what this project sets for itself."""
    variables = {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}
    variables["OMP_NUM_THREADS"] = str(threads_of(side, threads))
    if side.framework == "tutorial" and "OMP_WAIT_POLICY" not in variables:
        variables["GOMP_SPINCOUNT"] = LIBGOMP_SPIN_COUNT
    return variables


def threads_of(side: Side, threads: int) -> int:
    return max(1, len(os.sched_getaffinity(0)) // 2) if side.default_threads else threads


class SideDied(Exception):
    """A side's process ended. The message is the last line of its standard error."""


class SideProcess:
    """A side's process. The constructor and turn() raise SideDied."""

    def __init__(self, side: Side, setting: Setting, seconds: float, threads: int):
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (lives as long as the process)
        self.process = subprocess.Popen(
            command("serve", side, setting, seconds),
            cwd=EXPERIMENTS,  # where Python finds the module
            env=environment(side, threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.functions = self._read()

    def turn(self, functions: list[str]) -> dict[str, float]:
        """Return the images/s of the functions; of "peak_mb" the peak memory in MB."""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(functions), file=self.process.stdin, flush=True)
        return self._read()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def _read(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        status = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().split("\n")
        self.close()
        raise SideDied(next((each for each in reversed(lines) if each.strip()), f"exit status {status}"))


def take_turns(
    sides: dict[str, Side],
    setting: Setting,
    turn: Callable[[SideProcess], Figures],
    args,
    threads: int,
    need_mb: float,
) -> dict[str, list[Figures]]:
    """Return what `turn` returns in `args.repeats` turns of each side. Print why a side, or the network, is left out.

    Processes stay alive between turns if all sides, of `need_mb` each, fit into memory together.
    """
    free = available_mb()
    if need_mb > 0.8 * free:
        print(f"{setting.network} is left out: it takes about {need_mb:,.0f} MB of {free:,.0f} MB free", flush=True)
        return {}
    together = len(sides) * need_mb < 0.6 * free
    names, processes, figures = list(sides), {}, {name: [] for name in sides}
    try:
        for number in range(args.repeats):
            first = number % len(names)
            for name in names[first:] + names[:first]:  # vary which side runs first
                if name not in figures:
                    continue
                try:
                    if name not in processes:
                        processes[name] = SideProcess(sides[name], setting, args.seconds, threads)
                    figures[name].append(turn(processes[name]))
                except SideDied as error:
                    print(f"{setting.network}: {name} is left out: {error}", flush=True)
                    processes.pop(name, None)
                    del figures[name]
                if not together and name in processes:
                    processes.pop(name).close()
    finally:
        for process in processes.values():
            process.close()
    return figures


def training_mb(setting: Setting) -> float:
    """Estimate the memory of a training step: the outputs of all layers, the weights and their gradients."""
    channels, height, width = models.model_info(setting.network).input_shape
    net = models.get_model(setting.network, in_channels=channels)
    internals = net(mx.sym.var("data")).get_internals()
    arguments, outputs, _ = internals.infer_shape(data=(setting.batch_size, channels, height, width))
    values = sum(int(np.prod(shape)) for shape in [*arguments, *outputs])
    return 4 * values / 2**20 * (setting.size / height) ** 2


def available_mb() -> float:
    """Return the memory that new processes can have, in MB (Linux)."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 1024


def chosen_networks(patterns: list[str]) -> list[str]:
    """Return the networks that match names or shell patterns. Exit if a pattern matches none."""
    names: dict[str, None] = {}
    for pattern in patterns:
        found = models.list_models(pattern)
        if not found:
            raise SystemExit(str(unknown_name("network", pattern, models.list_models())))
        names.update(dict.fromkeys(found))
    return list(names)


@contextlib.contextmanager
def csv_rows(path: str | None, columns: list[str]) -> Iterator[Callable[[list[dict]], object]]:
    """Yield a function that writes rows to a CSV file; without a path it writes nothing."""
    if path is None:
        yield lambda rows: None
        return
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        yield writer.writerows
