"""One side of benchmark.py train, in a process of its own: python experiments/train_side.py serve SETTING SECONDS

On standard output it says what its functions are, a JSON list of names; then it answers each line that it reads, such a
list, by their images/s. A function's first runs, which find out how many batches fill a turn, are not timed. It imports
one framework: PyTorch's process holds nothing of MXNet. With `profile SETTING STEPS` it runs training steps, for oneDNN
to write down what it does in them.
"""

from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import dataclass
from time import perf_counter
from typing import Callable


@dataclass(frozen=True)
class Setting:
    """What a side runs: `framework` is project, tutorial or pytorch."""

    framework: str
    network: str
    batch_size: int
    size: int  # height and width of the images
    channels: int
    dtype: str = "float32"
    channels_last: bool = False


def functions(setting: Setting) -> dict[str, Callable[[int], None]]:
    """The side's functions by name: train and infer, and with this project train_synthetic and load."""
    if setting.framework == "pytorch":
        from train_side_pytorch import pytorch

        return pytorch(setting)
    import train_side_mxnet

    return getattr(train_side_mxnet, setting.framework)(setting)


def batches_for(run: Callable[[int], None], seconds: float) -> int:
    """How many batches take so long: at least 2, of which the second need not wait for the first."""
    run(2)  # not timed: shapes, memory, primitives
    start = perf_counter()
    run(2)
    return max(2, math.ceil(2 * seconds / (perf_counter() - start)))


def serve(setting: Setting, seconds: float, questions, answers) -> None:
    """A turn at each line read: {name: images/s} of the functions that the line names."""
    runs, batches = functions(setting), {}
    print(json.dumps(list(runs)), file=answers, flush=True)
    for line in questions:
        speeds = {}
        for name in json.loads(line):
            if name not in batches:
                batches[name] = batches_for(runs[name], seconds)
            start = perf_counter()
            runs[name](batches[name])
            speeds[name] = batches[name] * setting.batch_size / (perf_counter() - start)
        print(json.dumps(speeds), file=answers, flush=True)


def profile(setting: Setting, steps: int) -> None:
    """Training steps, each between two lines on standard output, where oneDNN writes what it does."""
    train = functions(setting).get("train_synthetic") or functions(setting)["train"]
    train(3)
    for _ in range(steps):
        print("step", flush=True)
        train(1)
    print("end", flush=True)


def main() -> None:
    what, setting, amount = sys.argv[1:]
    setting = Setting(**json.loads(setting))
    if what == "profile":
        profile(setting, int(amount))
    else:
        answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what a library prints shall not be taken for an answer
        serve(setting, float(amount), sys.stdin, answers)


if __name__ == "__main__":
    main()
