"""A trained network in two parts: up to a layer, whose output one can look at, and from there on.

Both parts share the network's parameters, and are cut out of its graph: it may be hybridized, and stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from gluon_classics.insight.summary import Layer, Summary, summarize
from gluon_classics.nearest import unknown_name

import mxnet as mx
from mxnet import nd
from mxnet.gluon import HybridBlock, SymbolBlock

_DATA, _FEATURES = "data", "features"  # the parts' inputs


def summarize_for(net: HybridBlock, images: nd.NDArray) -> Summary:
    """The layers that `net`'s logits come from, for images like these (N, C, H, W); auxiliary heads are left out."""
    summary = summarize(net, images.shape[1:])
    count = len(_graph(_logits(net))["nodes"])  # the heads' nodes come behind them
    return Summary(
        summary.input_shape,
        tuple(layer for layer in summary.layers if layer.node < count),
        tuple(stage for stage in summary.stages if stage.layers[-1].node < count),
    )


def find_layer(summary: Summary, name: str) -> Layer:
    """The layer, or a stage's last one, of this name. Raises ValueError with the nearest names."""
    layers = {layer.name: layer for layer in summary.layers}
    layers.update((stage.name, stage.layers[-1]) for stage in summary.stages)
    if name not in layers:
        raise unknown_name("layer", name, layers)
    return layers[name]


def last_map(summary: Summary) -> Layer:
    """The last layer that still has a picture of more than one pixel, and is no pool. Raises ValueError."""
    maps = [layer for layer in summary.layers if is_map(layer) and not layer.kind.endswith("pool")]
    if not maps:
        raise ValueError("no layer of this network has an output of more than one pixel")
    return maps[-1]


def is_map(layer: Layer) -> bool:
    """Whether its output has more than one pixel."""
    return len(layer.output_shape) == 3 and min(layer.output_shape[1:]) > 1


def outputs_of(net: HybridBlock, images: nd.NDArray, layers: Sequence[Layer]) -> list[nd.NDArray]:
    """The layers' outputs for images (N, C, H, W)."""
    internals = _logits(net).get_internals()
    places = {(node, number): place for place, (node, number, _) in enumerate(_graph(internals)["heads"])}
    symbols = [internals[places[layer.node, 0]] for layer in layers]
    block = SymbolBlock(symbols, _input(_DATA), params=net.collect_params())
    outputs = block(images)
    return outputs if isinstance(outputs, list) else [outputs]


def rest_of(net: HybridBlock, layer: Layer) -> SymbolBlock:
    """From the layer's output to the logits: `rest_of(net, layer)(output)`.

    In training it computes what it does in evaluation: nothing is dropped, and batch norm takes its running statistics.
    So its gradients can be had in training mode. They have to: a max pool that has computed in evaluation does not know
    where its maxima were, and oneDNN then sends the gradients anywhere.

    Raises ValueError where another path leads around the layer.
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
        raise ValueError(f"layer {layer.name} is a part of a module, and other paths lead around it")
    return SymbolBlock(symbol, _input(_FEATURES), params=net.collect_params())


def _graph(symbol: mx.sym.Symbol) -> dict:
    return json.loads(symbol.tojson())


def _input(name: str) -> mx.sym.Symbol:
    return mx.sym.var(name, dtype="float32")  # without it MXNet warns


def _logits(net: HybridBlock) -> mx.sym.Symbol:
    outputs = net(mx.sym.var(_DATA))
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs
