"""A trained network cut in two at a layer, so that the layer's output can be read.

Both parts are cut from the network's graph and share its parameters. The network may be hybridized and is not changed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from gluon_classics.insight.summary import Layer, Summary, summarize
from gluon_classics.nearest import unknown_name

import mxnet as mx
from mxnet import nd
from mxnet.gluon import HybridBlock, SymbolBlock

_DATA, _FEATURES = "data", "features"  # inputs of the two parts


def summarize_for(net: HybridBlock, images: nd.NDArray) -> Summary:
    """Return the layers that compute `net`'s logits for images (N, C, H, W), without auxiliary heads."""
    summary = summarize(net, images.shape[1:])
    count = len(_graph(_logits(net))["nodes"])  # the nodes of the heads come after them
    return Summary(
        summary.input_shape,
        tuple(layer for layer in summary.layers if layer.node < count),
        tuple(stage for stage in summary.stages if stage.layers[-1].node < count),
    )


def find_layer(summary: Summary, name: str) -> Layer:
    """Return the layer, or the last layer of the stage, with this name. Raises ValueError with the nearest names."""
    layers = {layer.name: layer for layer in summary.layers}
    layers.update((stage.name, stage.layers[-1]) for stage in summary.stages)
    if name not in layers:
        raise unknown_name("layer", name, layers)
    return layers[name]


def last_map(summary: Summary) -> Layer:
    """Return the last layer, other than a pool, with more than one pixel. Raises ValueError if there is none."""
    maps = [layer for layer in summary.layers if is_map(layer) and not layer.kind.endswith("pool")]
    if not maps:
        raise ValueError("no layer of this network has an output of more than one pixel")
    return maps[-1]


def is_map(layer: Layer) -> bool:
    """Whether the layer's output has more than one pixel."""
    return len(layer.output_shape) == 3 and min(layer.output_shape[1:]) > 1


def outputs_of(net: HybridBlock, images: nd.NDArray, layers: Sequence[Layer]) -> list[nd.NDArray]:
    """Return the outputs of the layers for images (N, C, H, W)."""
    internals = _logits(net).get_internals()
    places = {(node, number): place for place, (node, number, _) in enumerate(_graph(internals)["heads"])}
    symbols = [internals[places[layer.node, 0]] for layer in layers]
    block = SymbolBlock(symbols, _input(_DATA), params=net.collect_params())
    outputs = block(images)
    return outputs if isinstance(outputs, list) else [outputs]


def rest_of(net: HybridBlock, layer: Layer) -> SymbolBlock:
    """Return the block that computes the logits from the layer's output.

    It gives the same result in training as in evaluation: nothing is dropped, and batch norm uses its running
    statistics. Its gradients must be computed in training mode: after a forward pass in evaluation mode, oneDNN's max
    pool has not stored where its maxima were, and the gradients are wrong.

    Raises ValueError if another path leads around the layer.
    """
    graph = _graph(_logits(net))
    node = graph["nodes"][layer.node]
    node.update(op="null", name=_FEATURES, inputs=[], attrs={})
    for other in graph["nodes"]:
        if other["op"] == "Dropout":
            other["attrs"]["p"] = "0"
        elif other["op"] == "BatchNorm":
            other["attrs"]["use_global_stats"] = "True"
    graph["arg_nodes"] = [number for number, node in enumerate(graph["nodes"]) if node["op"] == "null"]
    symbol = mx.sym.load_json(json.dumps(graph))
    if _DATA in symbol.list_arguments():
        raise ValueError(f"layer {layer.name} is inside a module, and another path leads around it")
    return SymbolBlock(symbol, _input(_FEATURES), params=net.collect_params())


def _graph(symbol: mx.sym.Symbol) -> dict:
    return json.loads(symbol.tojson())


def _input(name: str) -> mx.sym.Symbol:
    return mx.sym.var(name, dtype="float32")  # without it MXNet warns


def _logits(net: HybridBlock) -> mx.sym.Symbol:
    outputs = net(mx.sym.var(_DATA))
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs
