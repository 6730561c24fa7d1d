"""Find the weights in a state dict or checkpoint of PyTorch, NumPy or MXNet, as float32 NumPy arrays by name."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from gluon_classics.nearest import unknown_name
from gluon_classics.printable import printable

import numpy as np
from mxnet import nd

# First parts of all tensor names, which wrappers add: DataParallel, torch.compile, FSDP, Lightning, moving averages.
# No network of SOURCES has a layer of such a name.
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "model", "net", "network", "student", "teacher",
            "ema", "ema_model", "model_ema", "online_model")  # fmt: skip
COUNTERS = ("num_batches_tracked", "n_averaged")  # of PyTorch's batch norm and AveragedModel; MXNet has none
AVERAGED = re.compile(r"(^|[._-])(ema|swa|avg|average|averaged|polyak)([._-]|$)", re.IGNORECASE)
NOT_WEIGHTS = re.compile(r"optim|sched|scaler|rng|grad", re.IGNORECASE)  # in names of a checkpoint's entries
DEEPEST = 6  # levels of a checkpoint
LISTED = 6  # the most names in an error message

Tensors = dict[str, Any]


class WeightsChosen(UserWarning):
    """A file has more than one set of weights, or other tensors; the message says what was taken."""


def named_arrays(state_dict: Mapping[str, Any], key: str | None = None) -> dict[str, np.ndarray]:
    """Return the weights in a state dict or checkpoint, in its order; see `find_weights` and `float32_arrays`."""
    return float32_arrays(find_weights(state_dict, key))


def find_weights(state_dict: Mapping[str, Any], key: str | None = None) -> Tensors:
    """Return the one mapping of tensors in a state dict or checkpoint, without prefixes that wrappers add to all names.

    `key` chooses among several, as "model_ema", or "ema.state_dict" for a mapping in a mapping. Without it, averaged
    weights are preferred to plain ones if they have all of the same tensors; a warning says which were taken. Other
    sets of weights raise ValueError, which names them.
    """
    if not isinstance(state_dict, Mapping):
        raise ValueError(f"it holds a {type(state_dict).__name__}, not a state dict (tensors by name)")
    found: dict[str, Tensors] = {}
    _search(state_dict, (), set(), found)
    if not found:
        kinds = [f"{printable(name)} is a {type(value).__name__}" for name, value in state_dict.items()]
        raise ValueError(f"it holds no tensors of weights{': ' if kinds else ''}{', '.join(_listed(kinds))}")
    if key is not None and key not in found:
        raise unknown_name("key", key, map(printable, found))
    return found[key if key is not None else _choice(found)]


def float32_arrays(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Convert PyTorch tensors, NumPy arrays and NDArrays of a floating-point type.

    Raises ValueError for other types, NaN, infinity, and numbers too large for float32.
    """
    arrays, problems = {}, []
    for name, tensor in tensors.items():
        given = _array(name, tensor)
        with np.errstate(over="ignore"):
            array = given.astype(np.float32, copy=False)
        if not np.isfinite(array).all():
            problems.append(f"{printable(name)} {_not_finite(given, array)}")
        arrays[name] = array
    if problems:
        raise ValueError("; ".join(_listed(problems)))
    return arrays


def unwrapped(tensors: Mapping[str, Any], names: Iterable[str]) -> Tensors:
    """Remove first parts that all tensor names share as long as none of the names is in `names`."""
    tensors, names = dict(tensors), set(names)
    while names.isdisjoint(tensors):
        firsts = {name.partition(".")[0] for name in tensors}
        if len(firsts) != 1 or not all("." in name for name in tensors):
            break
        tensors = {name.partition(".")[2]: tensor for name, tensor in tensors.items()}
    return tensors


def _search(value: Mapping, path: tuple[str, ...], seen: set[int], found: dict[str, Tensors]) -> None:
    """Enter the mappings of tensors in `value` into `found`, by their path."""
    if id(value) in seen or len(path) > DEEPEST or "param_groups" in value:  # an optimizer's state
        return
    seen.add(id(value))
    before = len(found)
    for name, each in value.items():
        if isinstance(each, Mapping) and not NOT_WEIGHTS.search(str(name)):
            _search(each, (*path, str(name)), seen, found)
    contains_weights = len(found) > before
    own = {str(name): each for name, each in value.items() if _is_tensor(each) and not str(name).endswith(COUNTERS)}
    has_layers = any("." in name for name in own)
    for name in [name for name in own if "." not in name]:  # perhaps a checkpoint's entry: a loss, a random state
        if contains_weights or not _shape(name, own[name]) or (has_layers and NOT_WEIGHTS.search(name)):
            del own[name]
    _split(own, path, found)


def _split(tensors: Tensors, path: tuple[str, ...], found: dict[str, Tensors]) -> None:
    """Enter flat tensors into `found`, or each wrapper's share of them."""
    tensors = _strip(tensors)
    wrappers = [each for each in WRAPPERS if any(name.startswith(f"{each}.") for name in tensors)]
    if not wrappers:
        if tensors:
            key = ".".join(path)
            while key in found:  # "model" holds tensors, and others are named "model."
                key += "'"
            found[key] = tensors
        return
    rest = [name for name in tensors if name.partition(".")[0] not in wrappers]
    for wrapper in wrappers:
        _split(_with_prefix(tensors, wrapper), (*path, wrapper), found)
    if rest:
        names = ", ".join(_listed([printable(name) for name in rest]))
        _warn(f"left out {len(rest)} tensors without the prefix {' or '.join(wrappers)}: {names}")


def _strip(tensors: Tensors) -> Tensors:
    """Remove wrappers that are part of all names, in any number and order."""
    firsts = {name.partition(".")[0] for name in tensors}
    if len(firsts) == 1 and firsts <= set(WRAPPERS) and all("." in name for name in tensors):
        return _strip(_with_prefix(tensors, firsts.pop()))
    return tensors


def _with_prefix(tensors: Tensors, prefix: str) -> Tensors:
    start = len(prefix) + 1
    return {name[start:]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}


def _choice(found: dict[str, Tensors]) -> str:
    if len(found) == 1:
        return next(iter(found))
    averaged = [key for key in found if AVERAGED.search(key)]
    plain = [key for key in found if key not in averaged]
    if len(averaged) != 1 or len(plain) != 1:
        sets = (f"{printable(key) or repr('')} ({len(tensors)} tensors)" for key, tensors in found.items())
        raise ValueError(f"it holds several sets of weights: {', '.join(sets)}; choose one by its key")
    missing = [printable(name) for name in found[plain[0]] if name not in found[averaged[0]]]
    taken, other = (plain[0], averaged[0]) if missing else (averaged[0], plain[0])
    kind = f"plain weights {taken!r}: {other!r} lacks {missing[0]}" if missing else f"averaged weights {taken!r}"
    _warn(f"took the {kind}; the key {other!r} chooses the {'averaged' if missing else 'plain'} ones")
    return taken


def _warn(message: str) -> None:
    warnings.warn(message, WeightsChosen, stacklevel=6)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (np.ndarray, nd.NDArray)) or hasattr(value, "detach")  # PyTorch's


def _shape(name: str, tensor: Any) -> tuple[int, ...]:
    try:
        return tuple(tensor.shape)
    except RuntimeError as error:  # of a lazy module's parameter
        raise ValueError(f"{printable(name)} has no shape yet: run the model once before saving it") from error


def refuse_without_values(name: str, tensor: Any) -> None:
    """Raise ValueError for a tensor that is not a plain array of numbers."""
    name = printable(name)
    if isinstance(tensor, np.ndarray):
        return
    if isinstance(tensor, nd.NDArray):
        if tensor.stype != "default":
            raise ValueError(f"{name} is sparse ({tensor.stype}): save it after tostype('default')")
        return
    if tensor.device.type == "meta":
        raise ValueError(f"{name} is a meta tensor: it has a shape, but no values were saved")
    if str(tensor.layout) != "torch.strided":
        raise ValueError(f"{name} is sparse ({tensor.layout}): save it after tensor.to_dense()")
    if tensor.is_quantized:
        raise ValueError(f"{name} is quantized ({tensor.dtype}): save it after tensor.dequantize()")


def _array(name: str, value: Any) -> np.ndarray:
    """Return a tensor as a NumPy array of a floating-point type."""
    refuse_without_values(name, value)
    name = printable(name)
    if isinstance(value, nd.NDArray):
        kind = np.dtype(value.dtype).kind
        value = value.astype("float32").asnumpy() if kind == "V" else value.asnumpy()  # V: bfloat16, which NumPy lacks
    elif not isinstance(value, np.ndarray):
        value = _from_torch(name, value)
    if value.dtype.kind != "f":
        raise ValueError(f"{name} has the type {value.dtype}, not a floating-point type")
    return value


def _from_torch(name: str, tensor: Any) -> np.ndarray:
    known = ("torch.float16", "torch.float32", "torch.float64")  # to NumPy, which lacks bfloat16 and float8
    if tensor.is_floating_point() and str(tensor.dtype) not in known:
        tensor = tensor.float()
    try:
        return tensor.detach().cpu().numpy()
    except (TypeError, RuntimeError) as error:
        raise ValueError(f"{name} cannot be read: {str(error).partition(chr(10))[0]}") from error


def _not_finite(given: np.ndarray, array: np.ndarray) -> str:
    bad = ~np.isfinite(array)
    overflow = given[bad][np.isfinite(given[bad])]
    if overflow.size:
        return f"has {overflow[0]:.3g}, which is too large for float32 ({bad.sum():,} of {array.size:,} values)"
    kinds = [word for word, test in (("NaN", np.isnan), ("infinite", np.isinf)) if test(array).any()]
    return f"has {' and '.join(kinds)} values ({bad.sum():,} of {array.size:,})"


def _listed(words: list[str]) -> list[str]:
    return [*words[:LISTED], *([f"and {len(words) - LISTED} more"] if len(words) > LISTED else [])]
