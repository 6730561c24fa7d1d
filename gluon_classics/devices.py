"""Choose devices: the tutorial's `try_gpu`, `try_all_gpus`, and the flag `--gpus`."""

from __future__ import annotations

import os

from gluon_classics import runtime

import mxnet as mx

CHOICES = "all, none, or numbers such as 0 or 0,1"


def try_gpu() -> mx.Context:
    """Return the first GPU, or the CPU if MXNet has no GPU."""
    return try_all_gpus()[0]


def try_all_gpus() -> list[mx.Context]:
    """Return all GPUs, or only the CPU if MXNet has no GPU."""
    return [mx.gpu(index) for index in range(num_gpus())] or [mx.cpu()]


def hybridize(net: mx.gluon.HybridBlock, devices: list[mx.Context]) -> None:
    """Compile `net` for training on the devices, with static memory allocation.

    static_shape is a few percent faster, but only safe on a single CPU device with a single worker: with it MXNet
    registers backward's writes to batch norm's running statistics as reads, so operators of another device or worker
    may run too early. On two CPU contexts a third of the runs ended with different weights.
    """
    one_worker = os.environ.get("MXNET_CPU_WORKER_NTHREADS", "1").strip() == "1"
    alone = len(devices) == 1 and devices[0].device_type == "cpu" and one_worker
    net.hybridize(static_alloc=True, static_shape=alone)


def num_gpus() -> int:
    """Return the number of GPUs that MXNet can use; 0, without a message, if there is no driver."""
    try:
        return mx.context.num_gpus()
    except mx.MXNetError:  # a GPU build whose driver does not start
        return 0


def choose(gpus: str | None) -> list[mx.Context]:
    """Return the devices for the flag `--gpus`; for None the first GPU, or the CPU. Raises like `parse_gpus`."""
    return [try_gpu()] if gpus is None else parse_gpus(gpus)


def parse_gpus(text: str) -> list[mx.Context]:
    """Return the devices for a value of `--gpus`: "all" (the CPU if there is no GPU), "none" (the CPU), or "0,1".

    Raises ValueError for any other text, for a GPU named twice, and for a GPU that does not exist.
    """
    choice = text.strip().lower()
    if choice == "all":
        return try_all_gpus()
    if choice == "none":
        return [mx.cpu()]
    parts = [part.strip() for part in choice.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"--gpus {text!r} is not understood: choose {CHOICES}")
    numbers = [int(part) for part in parts]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"--gpus {text!r} names a GPU twice: name each once")
    found = num_gpus()
    absent = [number for number in numbers if number >= found]
    if absent and not found:
        raise ValueError(f"--gpus {text!r}: there is no GPU {absent[0]}. {runtime.gpu_reason()}. Use --gpus none")
    if absent:
        have = ",".join(map(str, range(found)))
        raise ValueError(f"--gpus {text!r}: there is no GPU {absent[0]}; MXNet has {have}. Choose {CHOICES}")
    return [mx.gpu(number) for number in numbers]
