"""A graph as an ONNX model, opset 13, by MXNet 1.9.1's own converter, with three corrections.

For a batch norm with fix_gamma, MXNet takes 1 for gamma; the converter takes the stored numbers. The converter lists
the weights as inputs of the graph, which keeps onnxruntime from fusing. And it converts adaptive pooling, which
torchvision's AlexNet and VGG have, only for an output of 1x1.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import mxnet as mx
import numpy as np
from mxnet import nd

OPSET, IR = 13, 7  # the newest opset that the converter knows, and the format version that belongs to it
BATCH, OUTPUT = "N", "logits"  # names of the batch dimension and of the output
ADAPTIVE_POOLING = "_contrib_AdaptiveAvgPooling2D"
INSTALL = "pip install 'onnx>=1.13.1,<1.19' onnxruntime"


def require_onnx() -> None:
    """Raise ValueError, with what to install, if onnx or onnxruntime is missing, or onnx is too new for MXNet."""
    try:
        import onnx.mapping  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ValueError(f"--onnx needs packages that are not installed ({error}): {INSTALL}") from error


def write_onnx(
    path: Path, graph: mx.sym.Symbol, arrays: dict[str, nd.NDArray], shape: tuple[int, ...], dtype: np.dtype
) -> None:
    """Write a model that takes batches of any size of inputs of `shape`, after onnx has checked it. Raises OSError.

    `arrays` are named as in MXNet's files, "arg:..." and "aux:...".
    """
    import onnx
    from mxnet.onnx.mx2onnx._export_onnx import MXNetGraph

    MXNetGraph.register(ADAPTIVE_POOLING, OPSET)(_adaptive_pooling(_shapes(graph, shape)))
    arrays = {name.split(":", 1)[1]: array for name, array in arrays.items()}
    for name in _fixed_gammas(graph):
        arrays[name] = nd.ones_like(arrays[name])
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    converted = MXNetGraph().create_onnx_graph_proto(
        graph, arrays, [(1, *shape)], [kind], opset_version=OPSET, dynamic=True, dynamic_input_shapes=[(BATCH, *shape)]
    )
    weights = {each.name for each in converted.initializer}
    inputs = [each for each in converted.input if each.name not in weights]
    del converted.input[:]
    converted.input.extend(inputs)
    _, (found,), _ = graph.infer_shape(data=(1, *shape))
    _describe_output(converted, found[1:])
    opset = onnx.helper.make_opsetid("", OPSET)
    model = onnx.helper.make_model(converted, opset_imports=[opset], ir_version=IR, producer_name="gluon_classics")
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def onnx_logits(path: Path, images: np.ndarray) -> np.ndarray:
    """Return onnxruntime's logits, computed on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def _shapes(graph: mx.sym.Symbol, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Return the output shape of each node by name."""
    inside = graph.get_internals()
    _, found, _ = inside.infer_shape(data=(1, *shape))
    return {name.rpartition("_output")[0] or name: each for name, each in zip(inside.list_outputs(), found)}


def _adaptive_pooling(shapes: dict[str, tuple[int, ...]]) -> Callable[..., list]:
    """Return a converter. The mean over each window is a matrix product along the height, and one along the width."""
    from mxnet.onnx.mx2onnx._op_translations._op_translations_opset12 import create_tensor, get_inputs
    from onnx.helper import make_node

    def convert(node, **kwargs):
        name, (pooled,), _ = get_inputs(node, kwargs)
        (height, new_height), (width, new_width) = zip(shapes[pooled][2:], shapes[name][2:])
        if (height, width) == (new_height, new_width):
            return [make_node("Identity", [pooled], [name], name=name)]
        for axis, matrix in (("down", _mean_matrix(height, new_height)), ("across", _mean_matrix(width, new_width).T)):
            create_tensor(matrix.tolist(), f"{name}_{axis}", kwargs["initializer"], dtype="float32")
        return [
            make_node("MatMul", [f"{name}_down", pooled], [f"{name}_rows"]),
            make_node("MatMul", [f"{name}_rows", f"{name}_across"], [name], name=name),
        ]

    return convert


def _mean_matrix(before: int, after: int) -> np.ndarray:
    """(after, before): output i is the mean of inputs floor(i before / after) to ceil((i + 1) before / after) - 1."""
    matrix = np.zeros((after, before))
    for i in range(after):
        window = slice(i * before // after, -(-(i + 1) * before // after))
        matrix[i, window] = 1 / (window.stop - window.start)
    return matrix


def _describe_output(converted: Any, shape: tuple[int, ...]) -> None:
    import onnx

    (output,) = converted.output
    for node in converted.node:
        node.output[:] = [OUTPUT if name == output.name else name for name in node.output]
    kind = output.type.tensor_type.elem_type
    output.CopyFrom(onnx.helper.make_tensor_value_info(OUTPUT, kind, [BATCH, *shape]))


def _fixed_gammas(graph: mx.sym.Symbol) -> list[str]:
    """Return the names of gammas for which MXNet takes 1, whatever is stored."""
    nodes = json.loads(graph.tojson())["nodes"]
    fixed = [n for n in nodes if n["op"] == "BatchNorm" and n.get("attrs", {}).get("fix_gamma", "True") == "True"]
    return [nodes[node["inputs"][1][0]]["name"] for node in fixed]
