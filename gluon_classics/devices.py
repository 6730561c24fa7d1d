"""Devices to compute on: the tutorial's `try_gpu`, all GPUs at once, and the meaning of the flag `--gpus`."""

from __future__ import annotations

import os

from gluon_classics import runtime

import mxnet as mx

CHOICES = "all, none, or numbers such as 0 or 0,1"


def try_gpu() -> mx.Context:
    """Return the first GPU, or the CPU where MXNet has no GPU."""
    return try_all_gpus()[0]


def try_all_gpus() -> list[mx.Context]:
    """Return every GPU, or a list of the CPU alone where MXNet has no GPU."""
    return [mx.gpu(index) for index in range(num_gpus())] or [mx.cpu()]


def hybridize(net, devices: list[mx.Context]) -> None:
    """Compile `net` for training on the devices, with memory planned once.

    static_shape, a few percent faster, is for one CPU device alone: with it MXNet takes backward's writes to batch
    norm's running statistics for reads, so that operators of another device, or of another of the CPU's workers, may
    come before them. On two CPU contexts a third of the runs then ended with other weights.
    """
    one_worker = os.environ.get("MXNET_CPU_WORKER_NTHREADS", "1").strip() == "1"
    alone = len(devices) == 1 and devices[0].device_type == "cpu" and one_worker
    net.hybridize(static_alloc=True, static_shape=alone)


def num_gpus() -> int:
    """Return the number of GPUs that MXNet can use; 0, and no message, where there is no driver."""
    try:
        return mx.context.num_gpus()
    except mx.MXNetError:  # a GPU build whose driver does not start
        return 0


def choose(gpus: str | None) -> list[mx.Context]:
    """Return the devices of the flag `--gpus`, or without it the first GPU, or the CPU. Raises as `parse_gpus`."""
    return [try_gpu()] if gpus is None else parse_gpus(gpus)


def parse_gpus(text: str) -> list[mx.Context]:
    """Return the devices that the flag `--gpus` names: "all" (the CPU where there is no GPU), "none", or "0,1".

    Raises ValueError when the text is none of these, names a GPU twice, or names one that is not there.
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
        raise ValueError(f"--gpus {text!r}: there is no GPU {absent[0]}: MXNet has {have}. Choose {CHOICES}")
    return [mx.gpu(number) for number in numbers]
