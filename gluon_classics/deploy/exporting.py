"""A trained network as an artifact: files from which any process that has MXNet answers as the training's network did.

====================  ========================================================================================
NAME-symbol.json      the graph
NAME-0000.params      the weights, in MXNet's format
signature.json        name, shape and type of input and output, as Multi Model Server reads them
synset.txt            the classes, a line each
NAME.onnx             where it is asked for: graph and weights for onnxruntime and others
model.json            network, classes, preprocessing, versions, metrics, a test vector, and the SHA-256 of the above:
                      `_model` has its fields
model.json.sha256     SHA-256 of model.json, as `sha256sum -c` reads it
====================  ========================================================================================

`mxnet.gluon.SymbolBlock.imports("NAME-symbol.json", ["data"], "NAME-0000.params")` is the network, without this
package; `artifact.read_artifact` reads all of it.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from gluon_classics import __version__, runtime
from gluon_classics.data import ImageTransform
from gluon_classics.deploy.graph import Exported, Preprocessing
from gluon_classics.deploy.onnx_model import onnx_logits, require_onnx, write_onnx
from gluon_classics.inference.artifact import DATA, FORMAT, MODEL, SEAL, SIGNATURE, SYNSET, Artifact, read_artifact
from gluon_classics.inference.runs import read_json, read_run
from gluon_classics.printable import printable
from gluon_classics.training.durable import on_disk, save_arrays
from gluon_classics.training.loop import heads
from gluon_classics.whole_file import refuse_existing, seal, sha256, whole_folder

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.gluon import HybridBlock

ONNX_TOLERANCE = 1e-5  # of the largest logit
TEST_IMAGES = 2  # of the test vector: a batch that is none of one
METRICS = ("test_acc", "test_loss", "val_acc", "epochs", "seconds")  # of result.json


class Trained(NamedTuple):
    """A network with its weights, and what has to be known to use it."""

    name: str  # of the files: letters, digits, _ and -
    net: HybridBlock
    classes: tuple[str, ...]
    channels: int
    image_size: tuple[int, int]  # height and width of the images as the data set stores them
    transform: ImageTransform  # from these to what the network takes
    about: dict[str, Any]  # more for model.json: where it comes from, and its metrics


class Int8(NamedTuple):
    """For an artifact in int8: where the run's data set is (None: where the run found it), and what int8 may cost."""

    root: Path | None = None
    max_drop: float = 1.0  # points of top-1 accuracy on the test set


def export_run(
    run: str | Path, folder: str | Path, preprocess: bool = False, onnx: bool = False, int8: Int8 | None = None
) -> Artifact:
    """Export the network of a run folder, with the weights that were tested at its end; else as `export`.

    With `int8` it is quantized first, with the run's own training images, and compared on its test set.

    Raises what `runs.read_run`, `quantization.quantize_run` and `export` raise.
    """
    run = read_run(run)
    refuse_existing(Path(folder))  # int8 takes minutes before anything is written
    if onnx and int8:
        raise ValueError("--onnx and --int8: MXNet's converter knows no int8 operators; leave one of them out")
    about = {"network": run.net, "net_args": run.net_args, "run": run.path.resolve().name, "weights": run.weights.name}
    about.update(_told(run.path))
    net = run.load_net(mx.cpu())
    if int8:
        from gluon_classics.deploy.quantization import quantize_run  # it takes a while to import

        net, report = quantize_run(run.path, net, run.transform, int8.root, int8.max_drop)
        about["int8"] = report._asdict()
    trained = Trained(run.net, net, run.classes, run.channels, run.image_size, run.transform, about)
    return export(trained, folder, preprocess, onnx)


def export(trained: Trained, folder: str | Path, preprocess: bool = False, onnx: bool = False) -> Artifact:
    """Write the artifact as `folder`, which must not exist, or be empty; then let a fresh process answer with it.

    The artifact takes float32 (N, C, H, W), as the network does; with `preprocess` raw uint8 (N, H, W, C) of the
    training images' stored size, for the transform is then part of the graph. The folder appears when that fresh
    process has read it and its logits are those of the network here, up to 1e-4 of the largest one; and, with `onnx`,
    those of onnxruntime, up to 1e-5.

    Raises ValueError for a network that is no HybridBlock, or has weights without a shape or not finite, where there is
    something in `folder`, and where the fresh process does not agree; and OSError, naming the file.
    """
    if onnx:
        require_onnx()
    _check(trained)
    images, inputs, logits = _test_vector(trained)
    name = trained.name
    with whole_folder(folder) as part:
        way = Preprocessing(trained.transform, trained.image_size, trained.channels) if preprocess else None
        block = Exported(trained.net, way)
        graph, arrays = _graph(block)
        with on_disk(part / f"{name}-symbol.json") as file:
            file.write_text(graph.tojson())
        save_arrays(part / f"{name}-0000.params", arrays)
        given = images if preprocess else inputs
        if onnx:
            with on_disk(part / f"{name}.onnx") as file:
                write_onnx(file, graph, arrays, given.shape[1:], given.dtype)
            _compare_onnx(part / f"{name}.onnx", given, logits)
        _write_json(part / SIGNATURE, _signature(given.shape[1:], len(trained.classes)))
        with on_disk(part / SYNSET) as file:
            file.write_text("".join(f"{printable(each)}\n" for each in trained.classes), encoding="utf-8")
        _write_json(part / MODEL, _model(trained, preprocess, given, logits, part))
        with on_disk(part / SEAL) as file:
            file.write_text(seal(part / MODEL))
        verify_in_fresh_process(part)
    return read_artifact(folder)


def verify_in_fresh_process(folder: Path) -> None:
    """`python -m gluon_classics verify FOLDER`. Raises ValueError with what it says unless it agrees."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "gluon_classics", "verify", str(folder)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"a fresh process does not answer with what was exported:\n{done.stderr.strip()}")


def _check(trained: Trained) -> None:
    net = trained.net
    if not isinstance(net, HybridBlock):
        raise ValueError(f"{type(net).__name__} is an imperative Block: only a HybridBlock has a graph to export")
    height, width = trained.image_size
    if trained.transform.resize is None and height != width:
        raise ValueError(f"images of {height}x{width} need a transform with a resize: artifacts take square ones")
    for name, parameter in net.collect_params().items():
        try:
            finite = np.isfinite(parameter.data().asnumpy()).all()
        except (RuntimeError, mx.gluon.parameter.DeferredInitializationError) as error:
            raise ValueError(
                f"{name} has no values yet: initialize the network, and send a batch through it, which fixes its shapes"
            ) from error
        if not finite:  # the answer may hide it: oneDNN's relu makes 0 of NaN
            raise ValueError(f"{name} holds numbers that are not finite: the file is damaged, or the training diverged")


def _test_vector(trained: Trained) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images uint8, the network's inputs for them, and its logits, computed layer by layer and not by the graph."""
    shape = (TEST_IMAGES, *trained.image_size, trained.channels)
    images = np.random.RandomState(0).randint(0, 256, shape, dtype=np.uint8)
    inputs, _ = trained.transform(nd.array(images, dtype=np.uint8), nd.zeros(TEST_IMAGES))
    trained.net.hybridize(False)
    logits = heads(trained.net(inputs))[0].asnumpy()
    if not np.isfinite(logits).all():
        raise ValueError("the network gives no finite numbers for noise: its training diverged")
    if logits.shape != (TEST_IMAGES, len(trained.classes)):
        raise ValueError(f"the network gives {logits.shape[-1]} logits, but there are {len(trained.classes)} classes")
    return images, inputs.asnumpy(), logits


def _graph(block: HybridBlock) -> tuple[mx.sym.Symbol, dict[str, nd.NDArray]]:
    """The graph, and its weights by the names that HybridBlock.export gives them."""
    graph = block(mx.sym.var(DATA))
    nd.waitall()  # after an inference oneDNN still brings weights into another order
    values = {key: parameter.data() for key, parameter in block.collect_params().items()}
    arrays = {f"arg:{key}": values[key] for key in graph.list_arguments() if key != DATA}
    arrays.update({f"aux:{key}": values[key] for key in graph.list_auxiliary_states()})
    return graph, arrays


def _compare_onnx(path: Path, images: np.ndarray, logits: np.ndarray) -> None:
    difference, largest = np.abs(onnx_logits(path, images) - logits).max(), np.abs(logits).max()
    if not difference <= ONNX_TOLERANCE * largest:
        raise ValueError(f"onnxruntime's logits differ by {difference:.2g}, and the largest is {largest:.2g}")


def _signature(shape: tuple[int, ...], classes: int) -> dict:
    return {
        "inputs": [{"data_name": DATA, "data_shape": [0, *shape]}],
        "input_type": "image/jpeg",
        "outputs": [{"data_name": "logits", "data_shape": [0, classes]}],
        "output_type": "application/json",
    }


def _model(trained: Trained, preprocess: bool, inputs: np.ndarray, logits: np.ndarray, folder: Path) -> dict:
    transform = trained.transform
    return {
        "format": FORMAT,
        "name": trained.name,
        **trained.about,
        "parameters": sum(p.data().size for p in trained.net.collect_params().values() if p.grad_req != "null"),
        "classes": trained.classes,
        "input": {"name": DATA, "dtype": str(inputs.dtype), "layout": "NHWC" if preprocess else "NCHW"},
        "preprocessing": {
            "in_graph": preprocess,  # from "resize" on
            "channels": trained.channels,
            "color": {1: "grey", 3: "RGB"}[trained.channels],
            "stored_size": trained.image_size,  # height and width that a picture is brought to first
            "resize": inputs.shape[2] if transform.resize is None else transform.resize,
            "interpolation": "bilinear",
            "scale": 255,  # what is divided by
            "mean": transform.mean,  # subtracted after that
            "std": transform.std,  # and divided by in the end
        },
        "versions": {**asdict(runtime.describe()), "gluon_classics": __version__},
        "files": {
            file.name: {"sha256": sha256(file), "bytes": file.stat().st_size} for file in sorted(folder.iterdir())
        },
        "test_vector": {
            "shape": inputs.shape,
            "dtype": str(inputs.dtype),
            "encoding": "base64 of the array in C order, little-endian",
            "input": base64.b64encode(inputs.tobytes()).decode(),
            "logits": [[float(value) for value in row] for row in logits],
        },
    }


def _told(run: Path) -> dict[str, Any]:
    """What the run's files tell of its data and its results."""
    result = read_json(run / "result.json") if (run / "result.json").is_file() else {}
    return {
        "dataset": read_json(run / "config.json").get("dataset"),
        "finished": (run / "result.json").is_file(),
        "metrics": {key: result[key] for key in METRICS if key in result},
    }


def _write_json(path: Path, content: dict) -> None:
    with on_disk(path) as file:
        file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
