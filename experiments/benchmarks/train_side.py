"""One side of `train` or `models`, in a process of its own: python -m benchmarks.train_side serve SIDE SETTING SECONDS

It writes the names of its functions to standard output, as a JSON list. Then it reads such lists, one per line, and
answers each with the functions' images/s. Warm-up, and the runs that find how many batches fill a turn, are not timed.
The process imports one framework only. `profile SIDE SETTING STEPS` runs training steps for oneDNN to record.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from time import perf_counter

from .setting import Setting, Side
from .turns import peak_mb

ONE_AT_A_TIME = ("infer", "forward_backward")  # wait for each batch; the others need a second batch to overlap


def functions(side: Side, setting: Setting) -> dict[str, Callable[[int], None]]:
    """Return the side's functions by name. Each runs a number of batches."""
    if side.framework == "pytorch":
        from .train_side_pytorch import pytorch

        return pytorch(side, setting)
    from . import train_side_mxnet

    return getattr(train_side_mxnet, side.framework)(side, setting)


def batches_for(run: Callable[[int], None], seconds: float, least: int) -> int:
    """Return how many batches take `seconds`, at least `least`."""
    run(least)  # not timed: shapes, memory, primitives
    start = perf_counter()
    run(least)
    return max(least, math.ceil(least * seconds / (perf_counter() - start)))


def serve(side: Side, setting: Setting, seconds: float, questions, answers) -> None:
    """Answer each line, a JSON list of functions, with {name: images/s}; "peak_mb" is the peak memory."""
    runs, batches = functions(side, setting), {}
    print(json.dumps(list(runs)), file=answers, flush=True)
    for line in questions:
        figures = {}
        for name in json.loads(line):
            if name == "peak_mb":
                figures[name] = peak_mb()
                continue
            if name not in batches:
                batches[name] = batches_for(runs[name], seconds, 1 if name in ONE_AT_A_TIME else 2)
            start = perf_counter()
            runs[name](batches[name])
            figures[name] = batches[name] * setting.batch_size / (perf_counter() - start)
        print(json.dumps(figures), file=answers, flush=True)


def profile(side: Side, setting: Setting, steps: int) -> None:
    """Run training steps. Print a line before each; oneDNN's record follows it on standard output."""
    runs = functions(side, setting)
    train = runs.get("train_synthetic") or runs["train"]
    train(3)
    for _ in range(steps):
        print("step", flush=True)
        train(1)
    print("end", flush=True)


def main() -> None:
    what, side, setting, amount = sys.argv[1:]
    side, setting = Side(**json.loads(side)), Setting(**json.loads(setting))
    if what == "profile":
        profile(side, setting, int(amount))
    else:
        answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what a library prints must not be read as an answer
        serve(side, setting, float(amount), sys.stdin, answers)


if __name__ == "__main__":
    main()
