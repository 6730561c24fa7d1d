"""Artifacts: a trained network as files that any process with MXNet can load, with the same answers as in training.

    NAME-symbol.json      the graph
    NAME-0000.params      the weights, in MXNet's format
    signature.json        name, shape and type of input and output, for Multi Model Server
    synset.txt            the classes, one per line
    NAME.onnx             with `onnx`: graph and weights for onnxruntime and others
    model.json            classes, preprocessing, versions, metrics, a test vector, and the SHA-256 of the files above
    model.json.sha256     the SHA-256 of model.json, for `sha256sum -c`

`mxnet.gluon.SymbolBlock.imports("NAME-symbol.json", ["data"], "NAME-0000.params")` loads the network without this
package; `inference.read_artifact` verifies and reads everything.
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
from gluon_classics.data import Brightness, ImageTransform
from gluon_classics.deploy.graph import Exported, Preprocessing
from gluon_classics.deploy.onnx_model import onnx_logits, require_onnx, write_onnx
from gluon_classics.inference.artifact import DATA, FORMAT, MODEL, SEAL, SIGNATURE, SYNSET, Artifact, read_artifact
from gluon_classics.inference.runs import Run, read_json, read_run
from gluon_classics.printable import printable
from gluon_classics.training.durable import on_disk, save_arrays
from gluon_classics.training.step import heads
from gluon_classics.whole_file import refuse_existing, seal, sha256, whole_folder

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.gluon import HybridBlock

ONNX_TOLERANCE = 1e-5  # relative to the largest logit
METRICS = ("test_acc", "test_loss", "val_acc", "epochs", "seconds")  # copied from result.json


class Trained(NamedTuple):
    """A network with its weights, and what is needed to use it."""

    name: str  # of the files: letters, digits, _ and -
    net: HybridBlock
    classes: tuple[str, ...]
    channels: int
    image_size: tuple[int, int]  # height and width of the images as the data set stores them
    transform: ImageTransform  # from the stored images to the network's input
    about: dict[str, Any]  # more fields for model.json: origin and metrics
    brightness: Brightness | None = None  # of the training images


class Int8(NamedTuple):
    """Settings of an int8 artifact."""

    root: Path | None = None  # where the data set is; None: where the run found it
    max_drop: float = 1.0  # most points of top-1 accuracy on the test set that int8 may cost


def export_run(
    run: str | Path, folder: str | Path, preprocess: bool = False, onnx: bool = False, int8: Int8 | None = None
) -> Artifact:
    """Export the network of a run folder with the weights that were tested; see `export`.

    With `int8` the network is first quantized with the run's training images, and compared on its test set.
    Raises ValueError as `read_run`, `quantize_run` and `export` do.
    """
    read = read_run(run)
    refuse_existing(Path(folder))  # int8 takes minutes before anything is written
    if onnx and int8:
        raise ValueError("--onnx and --int8: MXNet's converter knows no int8 operators; leave one of them out")
    net, about = read.load_net(mx.cpu()), _about(read)
    if int8:
        from gluon_classics.deploy.quantization import quantize_run  # slow to import

        net, report = quantize_run(read.path, net, read.transform, int8.root, int8.max_drop)
        about["int8"] = report._asdict()
    trained = Trained(
        read.net, net, read.classes, read.channels, read.image_size, read.transform, about, read.brightness
    )
    return export(trained, folder, preprocess, onnx)


def export(trained: Trained, folder: str | Path, preprocess: bool = False, onnx: bool = False) -> Artifact:
    """Write an artifact to `folder`, which must be new or empty, after a fresh process has confirmed its answers.

    The artifact takes the network's input, float32 (N, C, H, W). With `preprocess` the transform is part of the graph,
    which then takes uint8 (N, H, W, C) images of the training set's stored size. The folder appears only when the fresh
    process has read it and its logits equal the network's up to 1e-4 of the largest; with `onnx`, onnxruntime's must
    too, up to 1e-5.

    Raises ValueError if the network is not a HybridBlock, if a weight has no shape or is not finite, if `folder` holds
    anything, or if the logits differ; OSError, naming the file, if writing fails.
    """
    if onnx:
        require_onnx()
    _check(trained)
    images, inputs, logits = _test_vector(trained)
    given = images if preprocess else inputs
    name = trained.name
    with whole_folder(folder) as part:
        way = Preprocessing(trained.transform, trained.image_size, trained.channels) if preprocess else None
        graph, arrays = _graph(Exported(trained.net, way))
        _write(part / f"{name}-symbol.json", graph.tojson())
        save_arrays(part / f"{name}-0000.params", arrays)
        if onnx:
            with on_disk(part / f"{name}.onnx") as file:
                write_onnx(file, graph, arrays, given.shape[1:], given.dtype)
            difference, largest = np.abs(onnx_logits(file, given) - logits).max(), np.abs(logits).max()
            if not difference <= ONNX_TOLERANCE * largest:
                raise ValueError(f"onnxruntime's logits differ by {difference:.2g}, and the largest is {largest:.2g}")
        _write(part / SIGNATURE, _json(_signature(given.shape[1:], len(trained.classes))))
        _write(part / SYNSET, "".join(f"{printable(each)}\n" for each in trained.classes))
        _write(part / MODEL, _json(_model(trained, preprocess, given, logits, part)))
        _write(part / SEAL, seal(part / MODEL))
        verify_in_fresh_process(part)
    return read_artifact(folder)


def verify_in_fresh_process(folder: Path) -> None:
    """Run `python -m gluon_classics verify FOLDER`. Raises ValueError with its message if it fails."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "gluon_classics", "verify", str(folder)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"a fresh process does not confirm the exported network:\n{done.stderr.strip()}")


def _check(trained: Trained) -> None:
    net = trained.net
    if not isinstance(net, HybridBlock):
        raise ValueError(f"{type(net).__name__} is an imperative Block: only a HybridBlock has a graph to export")
    height, width = trained.image_size
    if trained.transform.resize is None and height != width:
        raise ValueError(f"images of {height}x{width} need a transform with a resize: artifacts take square images")
    for name, parameter in net.collect_params().items():
        try:
            finite = np.isfinite(parameter.data().asnumpy()).all()
        except RuntimeError as error:
            raise ValueError(
                f"{name} has no values yet: initialize the network, and send a batch through it, which fixes its shapes"
            ) from error
        if not finite:  # the logits may hide it: oneDNN's relu turns NaN into 0
            raise ValueError(f"{name} holds numbers that are not finite: the file is damaged, or the training diverged")


def _test_vector(trained: Trained) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return two uint8 images, the network's inputs for them, and its logits, computed without a graph."""
    shape = (2, *trained.image_size, trained.channels)  # more than one image
    images = np.random.RandomState(0).randint(0, 256, shape, dtype=np.uint8)
    inputs, _ = trained.transform(nd.array(images, dtype=np.uint8), nd.zeros(len(images)))
    trained.net.hybridize(False)
    logits = heads(trained.net(inputs))[0].asnumpy()
    if not np.isfinite(logits).all():
        raise ValueError("the network's logits for noise are not finite: its training diverged")
    if logits.shape != (len(images), len(trained.classes)):
        raise ValueError(f"the network gives {logits.shape[-1]} logits, but there are {len(trained.classes)} classes")
    return images, inputs.asnumpy(), logits


def _graph(block: HybridBlock) -> tuple[mx.sym.Symbol, dict[str, nd.NDArray]]:
    """Return the graph, and the weights under the names that HybridBlock.export gives them."""
    graph = block(mx.sym.var(DATA))
    nd.waitall()  # after inference oneDNN is still reordering weights
    values = {key: parameter.data() for key, parameter in block.collect_params().items()}
    arrays = {f"arg:{key}": values[key] for key in graph.list_arguments() if key != DATA}
    arrays.update({f"aux:{key}": values[key] for key in graph.list_auxiliary_states()})
    return graph, arrays


def _about(run: Run) -> dict[str, Any]:
    """Return where a network comes from, for model.json: its run, data set and results."""
    finished = (run.path / "result.json").is_file()
    result = read_json(run.path / "result.json") if finished else {}
    return {
        "network": run.net,
        "net_args": run.net_args,
        "run": run.path.resolve().name,
        "weights": run.weights.name,
        "dataset": read_json(run.path / "config.json").get("dataset"),
        "finished": finished,
        "metrics": {key: result[key] for key in METRICS if key in result},
    }


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
            "in_graph": preprocess,  # the steps from "resize" on
            "channels": trained.channels,
            "color": {1: "grey", 3: "RGB"}[trained.channels],
            "stored_size": trained.image_size,  # first resize the picture to this height and width
            "resize": inputs.shape[2] if transform.resize is None else transform.resize,
            "interpolation": "bilinear",
            "scale": 255,  # divide by this,
            "mean": transform.mean,  # subtract this,
            "std": transform.std,  # and divide by this
            **({"train_brightness": trained.brightness._asdict()} if trained.brightness else {}),
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
            "logits": logits.tolist(),
        },
    }


def _json(content: dict) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> None:
    with on_disk(path) as file:
        file.write_text(text, encoding="utf-8")
