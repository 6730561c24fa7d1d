"""Mixed precision: the number formats that networks can be trained in.

bfloat16 and float16 come through MXNet's automatic mixed precision (AMP): convolutions and dense layers take their
inputs and weights in 16 bits, what needs more precision is computed in float32, and the weights, their gradients and
the optimizer stay in float32 throughout.
"""

from __future__ import annotations

from gluon_classics import runtime
from gluon_classics.nearest import unknown_name
from gluon_classics.runtime import pointwise
from gluon_classics.training.config import DTYPES

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.contrib.amp import amp

_enabled = "float32"


def check_dtype(dtype: str, devices: list[mx.Context], force: bool = False) -> None:
    """Raises ValueError for a dtype that the devices cannot train in or, without `force`, only slower than float32."""
    if dtype not in (*DTYPES, "auto"):
        raise unknown_name("dtype", dtype, (*DTYPES, "auto"))
    cpu = any(device.device_type.startswith("cpu") for device in devices)
    if dtype == "float16" and cpu:
        raise ValueError("float16 needs a GPU: a CPU has no fast instructions for it; take bfloat16 or auto")
    if dtype == "bfloat16" and not cpu:
        raise ValueError("bfloat16 needs a CPU: MXNet 1.9.1 has no bfloat16 kernels for GPUs; take float16 or auto")
    instructions = runtime.describe().bfloat16
    if dtype == "bfloat16" and not instructions:
        raise ValueError("bfloat16 needs a processor with AVX-512, and oneDNN finds none here; take float32 or auto")
    if dtype == "bfloat16" and instructions == "emulated" and not force:
        raise ValueError(
            "bfloat16 is slower than float32 here, for this processor has neither AMX nor avx512_bf16 and emulates it; "
            "take float32 or auto, or have it all the same with --force"
        )


def enable_dtype(dtype: str) -> None:
    """Let networks compute in `dtype`. Call it before the network is built; float32 changes nothing.

    MXNet's AMP replaces operators of the whole process, and cannot be undone: enabling another dtype later raises
    ValueError. Enabling the same one again does nothing.
    """
    global _enabled
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    if dtype == _enabled and amp._amp_initialized == (dtype != "float32"):
        return
    if amp._amp_initialized:
        before = _enabled if _enabled != "float32" else "a dtype of its own, by amp.init"
        raise ValueError(f"this process already computes in {before}, for good: take {dtype} in a new process")
    if dtype == "bfloat16":  # float16's list has them; without, inception_resnet_v2 joins two formats, and fails
        amp.lists.symbol_bf16.WIDEST_TYPE_CASTS += ["Concat", "concat"]
    amp.init(target_dtype=dtype)
    if dtype == "bfloat16" and runtime.describe().amx:
        pointwise.dilate()
    _enabled = dtype


def widen(array: nd.NDArray) -> nd.NDArray:
    """A 16-bit array in float32, with its gradient; others as they are. NumPy knows no bfloat16.

    MXNet's astype fails on a bfloat16 array in one of oneDNN's layouts.
    """
    return nd.amp_cast(array, dtype="float32") if np.dtype(array.dtype).itemsize == 2 else array
