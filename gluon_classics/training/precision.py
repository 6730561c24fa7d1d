"""Mixed precision: training in float32, bfloat16 or float16.

bfloat16 and float16 use MXNet's automatic mixed precision (AMP): convolutions and dense layers take inputs and weights
in 16 bits; operators that need more precision, weights, gradients and the optimizer stay in float32.
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
    """Raise ValueError if the devices cannot train in `dtype` or, without `force`, only more slowly than in float32."""
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
            "bfloat16 is slower than float32 here: this processor has neither AMX nor avx512_bf16 and emulates it; "
            "take float32 or auto, or add --force to use it anyway"
        )


def enable_dtype(dtype: str) -> None:
    """Make networks compute in `dtype`. Call it before the network is built; float32 changes nothing.

    MXNet's AMP replaces operators of the process for good, so a later call with another dtype raises ValueError.
    """
    global _enabled
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    if dtype == _enabled and amp._amp_initialized == (dtype != "float32"):
        return
    if amp._amp_initialized:
        before = _enabled if _enabled != "float32" else "a dtype set by amp.init"
        raise ValueError(f"this process already computes in {before}, for good: use {dtype} in a new process")
    if dtype == "bfloat16":  # as in float16's list; otherwise inception_resnet_v2 fails as it joins two formats
        amp.lists.symbol_bf16.WIDEST_TYPE_CASTS += ["Concat", "concat"]
    amp.init(target_dtype=dtype)
    if dtype == "bfloat16" and runtime.describe().amx:
        pointwise.dilate()
    _enabled = dtype


def widen(array: nd.NDArray) -> nd.NDArray:
    """Return a 16-bit array as float32, differentiably, and other arrays unchanged. NumPy has no bfloat16.

    MXNet 1.9.1's astype fails for bfloat16 arrays in oneDNN's layouts.
    """
    return nd.amp_cast(array, dtype="float32") if np.dtype(array.dtype).itemsize == 2 else array
