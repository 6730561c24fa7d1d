"""Convert state dicts of PyTorch, NumPy and MXNet to float32 NumPy arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mxnet import nd

NESTED = ("state_dict", "model")  # keys of the weights in a training checkpoint
WRAPPERS = ("module.", "_orig_mod.")  # prefixes that DataParallel and torch.compile add to every name
COUNTER = "num_batches_tracked"  # in PyTorch's batch norm, not in MXNet's


def named_arrays(state_dict: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the tensors of a state dict, or of a checkpoint that contains one, in its order.

    Values may be PyTorch tensors, NumPy arrays or NDArrays of a floating-point type; others raise ValueError.
    """
    for key in NESTED:
        if isinstance(state_dict, Mapping) and isinstance(state_dict.get(key), Mapping):
            state_dict = state_dict[key]
    if not isinstance(state_dict, Mapping):
        raise ValueError(f"it holds a {type(state_dict).__name__}, not a state dict (tensors by name)")
    if not state_dict:
        raise ValueError("it holds no tensors")
    arrays = {str(name): _float32(name, value) for name, value in state_dict.items() if not str(name).endswith(COUNTER)}
    for wrapper in WRAPPERS:
        if all(name.startswith(wrapper) for name in arrays):
            arrays = {name[len(wrapper) :]: array for name, array in arrays.items()}
    return arrays


def _float32(name: str, value: Any) -> np.ndarray:
    if isinstance(value, nd.NDArray):
        kind = np.dtype(value.dtype).kind
        value = value.astype("float32").asnumpy() if kind == "V" else value.asnumpy()  # V: bfloat16, which NumPy lacks
    elif hasattr(value, "detach"):  # a PyTorch tensor
        value = (value.float() if value.is_floating_point() else value).detach().cpu().numpy()
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{name} is a {type(value).__name__}, not a tensor: not a state dict (tensors by name)")
    if value.dtype.kind != "f":
        raise ValueError(f"{name} has the type {value.dtype}, not a floating-point type")
    return value.astype(np.float32, copy=False)
