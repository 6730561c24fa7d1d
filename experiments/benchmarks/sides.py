"""The sides of benchmark.py train: what each computes with, and its process (train_side.py)."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from train_side import Setting

SCRIPT = Path(__file__).with_name("train_side.py")


@dataclass(frozen=True)
class Side:
    framework: str
    dtype: str = "float32"
    channels_last: bool = False
    default_threads: bool = False  # MXNet's own default: half of the visible processors


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
# What the runtime of this process has set for its own libraries; each side's process sets, or leaves, its own.
OWN_VARIABLES = ("OMP_NUM_THREADS", "MXNET_OMP_MAX_THREADS", "GOMP_SPINCOUNT", "DNNL_MAX_CPU_ISA")
LIBGOMP_SPIN_COUNT = "300000"  # its own default, which the runtime would lower in the tutorial's process, too


def environment(side: Side, threads: int) -> dict:
    """The variables of a side's process: as in this one, apart from what this project sets for itself."""
    variables = {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}
    variables["OMP_NUM_THREADS"] = str(threads_of(side, threads))
    if side.framework == "tutorial" and "OMP_WAIT_POLICY" not in variables:
        variables["GOMP_SPINCOUNT"] = LIBGOMP_SPIN_COUNT
    return variables


def threads_of(side: Side, threads: int) -> int:
    return max(1, len(os.sched_getaffinity(0)) // 2) if side.default_threads else threads


class SideDied(Exception):
    """A side's process ended: the text is the last line of what it had to say."""


class SideProcess:
    """A side's process. Raises SideDied, when it is made or later on."""

    def __init__(self, side: Side, setting: Setting, seconds: float, threads: int):
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (lives as long as the process)
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), "serve", json.dumps(asdict(setting)), str(seconds)],
            env=environment(side, threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.functions = self._read()

    def turn(self, functions: list[str] | None = None) -> dict:
        """images/s of the functions, or of all that the side has."""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(functions or self.functions), file=self.process.stdin, flush=True)
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


def for_side(setting: Setting, side: Side) -> Setting:
    return Setting(**{**asdict(setting), **{k: v for k, v in asdict(side).items() if k != "default_threads"}})
