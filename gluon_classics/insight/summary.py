"""The layer table of a network, read from its symbol graph without initializing or computing anything.

MACs (multiply-accumulates) are those of convolutions and dense layers for one image, without biases, as torchvision
and fvcore count them; FLOPs are twice as many. Parameters are the trainable ones. A shared one counts once.

The receptive field is the window of the input that one output pixel depends on, padding included, so it may be larger
than the image. A kernel k with dilation d adds (k - 1) * d * jump, where jump is the distance between neighbours in
input pixels, which each stride multiplies. Where paths meet, the largest counts. It is None after dense layers and
global pools, which depend on the whole image. So do the gates of squeeze-and-excitation; they are left out, since every
later layer would be None otherwise.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gluon_classics.models.layers import Network

import mxnet as mx
from mxnet.gluon import Block, nn

Pair = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Layer:
    """One operator of the graph."""

    path: tuple[str, ...]  # names of the blocks from the network down to the layer
    kind: str
    output_shape: tuple[int, ...]  # without the batch dimension
    parameters: int
    macs: int
    receptive_field: Pair | None
    kernel: Pair | None = None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    inputs: tuple[int, ...] = ()  # positions of its input layers; -1 is the image
    node: int = -1  # its number in the graph

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def output_channels(self) -> int:
        return self.output_shape[0]

    @property
    def is_depthwise(self) -> bool:
        """Whether it is a convolution that computes each output channel from one input channel."""
        return self.groups > 1 and self.macs == math.prod(self.output_shape) * math.prod(self.kernel or ())

    @property
    def is_main(self) -> bool:
        """Whether papers' tables have a row for it: convolutions, dense layers and pools."""
        return self.kind in ("conv", "dense") or self.kind.endswith(" pool")


@dataclass(frozen=True)
class Stage:
    """A row of the paper's table: a block with its batch norm, activation or dropout."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    receptive_field: Pair | None
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)


@dataclass(frozen=True)
class Summary:
    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    stages: tuple[Stage, ...]

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)


def summarize(net: Block, input_shape: tuple[int, int, int]) -> Summary:
    """Return the layers and stages of `net` for images of `input_shape` (C, H, W), auxiliary heads included.

    `net` is not changed: unknown parameter shapes stay unknown. Raises ValueError if it does not take such images.
    """
    channels, height, width = input_shape
    layers = tuple(_layers(net, (channels, height, width)))
    return Summary((channels, height, width), layers, tuple(_stages(net, layers)))


def _layers(net: Block, input_shape: tuple) -> Iterator[Layer]:
    nodes, shapes = _graph(net, input_shape)
    blocks = list(_blocks(net))
    paths = {block.prefix: path for path, block in reversed(blocks)}  # an empty prefix is replaced by the parent
    trainable = {p.name for _, block in blocks for p in block.params.values() if p.grad_req != "null"}
    fields: dict = {}  # the receptive field after each node that has one
    places: dict = {}  # positions of the nodes that are layers
    for i, node in enumerate(nodes):
        if node["name"] == "data":
            fields[i], places[i] = _Field((1, 1), (1, 1)), -1
        if node["op"] == "null":
            continue
        attrs, output_shape, macs = node.get("attrs", {}), shapes[i, 0], 0
        inputs = [(source, number) for source, number, _ in node["inputs"]]
        own = [entry for entry in inputs if nodes[entry[0]]["name"] in trainable]
        trainable -= {nodes[source]["name"] for source, _ in own}
        if node["op"] in ("Convolution", "FullyConnected"):
            macs = math.prod(output_shape) * math.prod(shapes[inputs[1]][1:])
        window = _window(node["op"], attrs)
        fields[i] = _field(node["op"], window, inputs, fields, shapes, output_shape)
        places[i] = len(places) - 1
        yield Layer(
            path=_path(node["name"], paths),
            kind=_kind(node["op"], attrs),
            output_shape=output_shape[1:],
            parameters=sum(math.prod(shapes[entry]) for entry in own),
            macs=macs,
            receptive_field=fields[i] and fields[i].size,
            groups=int(attrs.get("num_group", 1)),
            inputs=tuple(places[source] for source, _ in inputs if source in places),
            node=i,
            **window,
        )


def _graph(net: Block, input_shape: tuple) -> tuple[list, dict]:
    """Return the nodes of the graph, each after its inputs, and the shape of each output (node, number)."""
    batch = (1, *input_shape)
    if isinstance(net, Network):
        net.check_input(batch)  # names the smallest size
    outputs = net(mx.sym.var("data"))
    outputs = mx.sym.Group(list(outputs)) if isinstance(outputs, (list, tuple)) else outputs
    internals = outputs.get_internals()
    try:
        shapes = internals.infer_shape(data=batch)[1]
    except mx.MXNetError as error:
        reason = str(error).splitlines()[-1]
        raise ValueError(f"{type(net).__name__} does not take images of shape {input_shape}: {reason}") from error
    graph = json.loads(internals.tojson())
    return graph["nodes"], {(node, number): shape for (node, number, _), shape in zip(graph["heads"], shapes)}


def _blocks(block: Block, path: tuple = ()) -> Iterator[tuple[tuple, Block]]:
    """Yield all blocks with their paths, from the network down."""
    yield path, block
    for name, child in block._children.items():
        yield from _blocks(child, (*path, name))


def _path(node_name: str, paths: dict) -> tuple:
    """Return the path of the innermost block: layer1, 0, conv1 for resnet0_hybridsequential0_conv0_fwd."""
    end = next((end for end in range(len(node_name), 0, -1) if node_name[:end] in paths), 0)
    path, operator = paths.get(node_name[:end], ()), node_name[end:].strip("_")
    if path and operator in ("fwd", "flatten0"):  # the operator of a layer of gluon.nn
        return path
    return (*path, operator.replace("contrib_", ""))


_KINDS = {
    "Convolution": "conv",
    "FullyConnected": "dense",
    "BatchNorm": "batch norm",
    "elemwise_add": "add",
    "broadcast_add": "add",
    "elemwise_mul": "multiply",
    "broadcast_mul": "multiply",
    "_mul_scalar": "scale",
    "_contrib_AdaptiveAvgPooling2D": "adaptive average pool",
    "LRN": "LRN",
}


def _kind(op: str, attrs: dict) -> str:
    if op == "Activation":
        return attrs["act_type"]
    if op == "Dropout" and attrs.get("axes", "()") != "()":
        return "stochastic depth"
    if op == "Pooling":
        whole = "global " if attrs.get("global_pool") == "True" else ""
        return whole + {"avg": "average"}.get(attrs["pool_type"], attrs["pool_type"]) + " pool"
    return _KINDS.get(op, op.strip("_").lower())


def _window(op: str, attrs: dict) -> dict:
    """Return kernel, stride, padding and dilation of a convolution or a pool."""
    if op not in ("Convolution", "Pooling") or attrs.get("global_pool") == "True":
        return {}

    def pair(key, otherwise):
        numbers = attrs.get(key, "()").strip("()")
        return tuple(map(int, numbers.split(","))) if numbers else otherwise

    return {
        "kernel": pair("kernel", None),
        "stride": pair("stride", (1, 1)),
        "padding": pair("pad", (0, 0)),
        "dilation": pair("dilate", (1, 1)),
    }


@dataclass(frozen=True)
class _Field:
    size: Pair
    jump: Pair

    def through(self, kernel: Pair, stride: Pair, dilation: Pair) -> _Field:
        size = (s + (k - 1) * d * j for s, k, d, j in zip(self.size, kernel, dilation, self.jump))
        return _Field(_pair(size), _pair(j * s for j, s in zip(self.jump, stride)))


def _field(op: str, window: dict, inputs: list, fields: dict, shapes: dict, output_shape: tuple) -> _Field | None:
    """Return the receptive field after an operator; None for the whole image."""
    entries = [entry for entry in inputs if entry[0] in fields]  # weights have none
    before = [fields[source] for source, _ in entries]
    if op == "FullyConnected" or (op == "Pooling" and not window) or before == [None]:
        return None
    if window:
        return before[0].through(window["kernel"], window["stride"], window["dilation"])
    if op == "_contrib_AdaptiveAvgPooling2D":
        return _adaptive_field(before[0], shapes[entries[0]][2:], output_shape[2:])
    without_gates = [fields[entry[0]] for entry in entries if shapes[entry][2:] == output_shape[2:]]
    met = without_gates or before
    if None in met:
        return None
    return _Field(_largest(field.size for field in met), _largest(field.jump for field in met))


def _pair(numbers: Iterable[int]) -> Pair:
    height, width = numbers
    return height, width


def _largest(pairs: Iterable[Pair]) -> Pair:
    return _pair(map(max, zip(*pairs)))


def _adaptive_field(before: _Field, size: Pair, pooled: Pair) -> _Field | None:
    """Return the field after an adaptive pool, whose windows are [floor(i n / m), ceil((i + 1) n / m))."""
    if pooled == (1, 1):
        return None
    kernel = _pair(max(-(-(i + 1) * n // m) - i * n // m for i in range(m)) for n, m in zip(size, pooled))
    return before.through(kernel, _pair(max(1, n // m) for n, m in zip(size, pooled)), (1, 1))


def _stages(net: Block, layers: tuple) -> Iterator[Stage]:
    """Yield the top-level blocks in the order of the graph, each with the following layers that have no row.

    The blocks of a top-level stack (`features`) are stages themselves, but a stack that repeats one of the network's
    own blocks (`layer1` of a ResNet) is one stage.
    """
    opened = {name for name, child in net._children.items() if _is_opened(child)}
    groups: dict = {}
    for layer in layers:
        groups.setdefault(layer.path[: 2 if layer.path[0] in opened else 1], []).append(layer)
    rows: list = []
    for path, members in groups.items():
        if rows and not any(layer.is_main for layer in members):
            rows[-1][2].extend(members)
        else:
            rows.append((path, members[-1], list(members)))
    for path, last, members in rows:
        kind = _stage_kind(_block_at(net, path), members)
        yield Stage(".".join(path), kind, last.output_shape, last.receptive_field, tuple(members))


_STACKS = (nn.HybridSequential, nn.Sequential)


def _is_opened(block: Block) -> bool:
    types = {type(child) for child in block._children.values()}
    repeats = len(types) == 1 and not types.pop().__module__.startswith("mxnet.")
    return isinstance(block, _STACKS) and not repeats


def _block_at(net: Block, path: tuple) -> Block | None:
    block = net
    for name in path:
        block = block._children.get(name)
        if block is None:  # an operator of the network itself
            return None
    return block


def _stage_kind(block: Block | None, members: list) -> str:
    main = [layer.kind for layer in members if layer.is_main]
    if block is None or len(main) == 1:
        return (main or [members[0].kind])[0]
    if not isinstance(block, _STACKS):
        return type(block).__name__
    counts = Counter(type(child).__name__ for child in block._children.values())
    return ", ".join(name if count == 1 else f"{count} x {name}" for name, count in counts.items())
