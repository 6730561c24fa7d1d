"""State dicts of all makes, as float32 NumPy arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mxnet import nd

NESTED = ("state_dict", "model")  # where a training checkpoint holds the weights
WRAPPERS = ("module.", "_orig_mod.")  # DataParallel and torch.compile put these in front of every name
COUNTER = "num_batches_tracked"  # of PyTorch's batch norm; MXNet's has none


def named_arrays(state_dict: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The tensors of a state dict, or of a checkpoint that holds one, in its order.

    Values may be tensors of PyTorch, NumPy's arrays or NDArrays. Raises ValueError for anything else, and for tensors
    that are not of floating point numbers.
    """
    for key in NESTED:
        if isinstance(state_dict, Mapping) and isinstance(state_dict.get(key), Mapping):
            state_dict = state_dict[key]
    if not isinstance(state_dict, Mapping):
        raise ValueError(f"holds a {type(state_dict).__name__}, not a state dict, which is tensors by name")
    if not state_dict:
        raise ValueError("holds no tensors")
    arrays = {str(name): _float32(name, value) for name, value in state_dict.items() if not _is_counter(name)}
    for wrapper in WRAPPERS:
        if all(name.startswith(wrapper) for name in arrays):
            arrays = {name[len(wrapper) :]: array for name, array in arrays.items()}
    return arrays


def _is_counter(name: Any) -> bool:
    return str(name).endswith(COUNTER)


def _float32(name: Any, value: Any) -> np.ndarray:
    if hasattr(value, "detach"):  # PyTorch's
        if not value.is_floating_point():
            raise ValueError(f"{name} is of {value.dtype}, not of floating point numbers")
        return value.detach().cpu().float().numpy()
    if isinstance(value, nd.NDArray):
        return value.astype("float32").asnumpy()  # here, since NumPy has no bfloat16
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{name} is a {type(value).__name__}, not a tensor: this is no state dict")
    if value.dtype.kind != "f":
        raise ValueError(f"{name} is of {value.dtype}, not of floating point numbers")
    return value.astype(np.float32, copy=False)
