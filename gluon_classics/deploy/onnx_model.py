"""A graph as an ONNX model, opset 13, by MXNet's own converter.

What that leaves to be done: of batch norms with fix_gamma, MXNet takes 1 for gamma and the converter the stored
numbers; and weights are written as inputs of the graph, which keeps onnxruntime from fusing.
"""

from __future__ import annotations

import json
from pathlib import Path

import mxnet as mx
import numpy as np
from mxnet import nd

OPSET, IR = 13, 7  # the newest that the converter knows; the format's version that goes with it
BATCH, OUTPUT = "N", "logits"  # names of the batch's dimension, and of the output
INSTALL = "pip install 'onnx>=1.13.1,<1.19' onnxruntime"


def require_onnx() -> None:
    """ValueError, with what to install, where onnx or onnxruntime is missing, or onnx is too new for MXNet."""
    try:
        import onnx.mapping  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ValueError(f"--onnx needs what is not installed ({error}): {INSTALL}") from error


def write_onnx(
    path: Path, graph: mx.sym.Symbol, arrays: dict[str, nd.NDArray], shape: tuple[int, ...], dtype: np.dtype
) -> None:
    """Write the model with the input `shape` behind a batch of any size, checked by onnx. Raises OSError.

    `arrays` are named as MXNet's files name them, "arg:..." and "aux:...".
    """
    import onnx
    from mxnet.onnx.mx2onnx._export_onnx import MXNetGraph

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
    """What onnxruntime answers, on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def _describe_output(converted, shape: tuple[int, ...]) -> None:
    import onnx

    (output,) = converted.output
    for node in converted.node:
        node.output[:] = [OUTPUT if name == output.name else name for name in node.output]
    kind = output.type.tensor_type.elem_type
    output.CopyFrom(onnx.helper.make_tensor_value_info(OUTPUT, kind, [BATCH, *shape]))


def _fixed_gammas(graph: mx.sym.Symbol) -> list[str]:
    """Of batch norms that take 1 for gamma, whatever is stored."""
    nodes = json.loads(graph.tojson())["nodes"]
    fixed = [n for n in nodes if n["op"] == "BatchNorm" and n.get("attrs", {}).get("fix_gamma", "True") == "True"]
    return [nodes[node["inputs"][1][0]]["name"] for node in fixed]
