"""Exported networks. Every byte is verified when one is read, and nothing in it is executed.

`deploy.exporting` describes the files.
"""

from __future__ import annotations

import base64
import functools
import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gluon_classics import __version__, devices
from gluon_classics.data import Brightness, ImageTransform
from gluon_classics.inference.runs import are_names, read_brightness, read_size, read_transform
from gluon_classics.params_file import check_params
from gluon_classics.whole_file import reading, verify, verify_seal

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.gluon import SymbolBlock

FORMAT = 1
MODEL, SEAL, SIGNATURE, SYNSET = "model.json", "model.json.sha256", "signature.json", "synset.txt"
DATA = "data"  # name of the graph's input
TOLERANCE = 1e-4  # relative to the largest logit: the order of additions depends on the processor
INT8_TOLERANCE = 0.05  # processors without VNNI saturate


class DamagedArtifact(ValueError):
    """An artifact differs from what was exported. The message names the folder, the file and the difference."""


_reading = functools.partial(reading, damaged=DamagedArtifact)


@dataclass(frozen=True)
class Artifact:
    """A verified artifact."""

    path: Path
    name: str
    classes: tuple[str, ...]
    channels: int  # of an image: 1 grey, 3 colour
    image_size: tuple[int, int]  # height and width of the images as stored by the data set
    transform: ImageTransform | None  # from stored images to the graph's input; None if the graph includes it
    test_input: np.ndarray
    test_logits: np.ndarray
    model: dict[str, Any]  # the content of model.json
    brightness: Brightness | None = None  # of the training images; older artifacts do not record it

    @property
    def int8(self) -> bool:
        return "int8" in self.model

    def describe(self) -> str:
        """Return a line with the name, size, classes and input."""
        shape = ", ".join(map(str, self.test_input.shape[1:]))
        return (
            f"{self.path}: {self.name}, {self.model['parameters']:,} parameters, {len(self.classes)} classes, takes "
            f"{self.model['input']['dtype']} (N, {shape})"
        )

    def choose_device(self) -> mx.Context:
        """Return the first GPU, or the CPU if there is none or the network is int8, which oneDNN computes."""
        return mx.cpu() if self.int8 else devices.try_gpu()

    def load_net(self, device: mx.Context) -> SymbolBlock:
        """Return the network with its weights. Raises DamagedArtifact if MXNet cannot read the graph or the weights."""
        symbol, weights = (self.path / f"{self.name}-{end}" for end in ("symbol.json", "0000.params"))
        with _reading(weights):
            check_params(weights)
        with _reading(symbol), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MXNet warns that it does not know the input's type
            return SymbolBlock.imports(str(symbol), [DATA], str(weights), ctx=device)

    def largest_difference(self, net: SymbolBlock, device: mx.Context) -> float:
        """Return the largest difference between `net`'s logits for the test vector and the exported ones."""
        with _reading(self.path / MODEL):
            logits = net(nd.array(self.test_input, ctx=device, dtype=self.test_input.dtype)).asnumpy()
            if logits.shape != self.test_logits.shape:
                raise ValueError(f"the graph's logits are {logits.shape}, but {self.test_logits.shape} were exported")
        return float(np.abs(logits - self.test_logits).max())

    def verify(self, net: SymbolBlock, device: mx.Context) -> float:
        """Return `largest_difference`. Raises DamagedArtifact if it exceeds TOLERANCE, or INT8_TOLERANCE."""
        difference = self.largest_difference(net, device)
        largest = float(np.abs(self.test_logits).max())
        tolerance = INT8_TOLERANCE if self.int8 else TOLERANCE
        if not difference <= tolerance * largest:  # also true for NaN
            raise DamagedArtifact(
                f"{self.path}: for the test vector in {MODEL}, the logits differ by {difference:.2g} and the largest "
                f"is {largest:.2g}: this network does not compute what the exported one did"
            )
        return difference


def is_artifact(path: str | Path) -> bool:
    """Whether the folder looks like an artifact."""
    return (Path(path) / MODEL).is_file() or (Path(path) / SEAL).is_file()


def read_artifact(path: str | Path) -> Artifact:
    """Read a folder written by `export`, and verify every byte of its files.

    Raises DamagedArtifact, a ValueError, and ValueError for the format of another version of gluon-classics.
    """
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"{path} {'is not a folder' if path.exists() else 'does not exist'}")
    with _reading(path / SEAL) as file:
        sealed = file.read_bytes()
    with _reading(path / MODEL) as file:
        verify_seal(file, sealed)
        model = json.loads(file.read_bytes())
        found = model["format"]
    if found != FORMAT:
        raise ValueError(f"{path} has format {found}, and this gluon-classics, {__version__}, reads format {FORMAT}")
    with _reading(path / MODEL):
        name, files = model["name"], dict(model["files"])
        needed = {f"{name}-symbol.json", f"{name}-0000.params", SIGNATURE, SYNSET}
        if not needed <= set(files):
            raise ValueError(f"does not list {' or '.join(sorted(needed - set(files)))}")
    for each, entry in files.items():
        with _reading(path / each) as file:
            if not re.fullmatch(r"[\w-]+(\.[\w-]+)+", each):
                raise ValueError("is not a file name of an artifact")
            verify(file, entry["bytes"], entry["sha256"])
    with _reading(path / MODEL):
        return _artifact(path, model)


def _artifact(path: Path, model: dict) -> Artifact:
    preprocessing, vector = model["preprocessing"], model["test_vector"]
    channels, classes = preprocessing["channels"], model["classes"]
    if type(channels) is not int or channels not in (1, 3) or not are_names(classes):
        raise ValueError("its channels are not 1 or 3, or its classes are not a list of unique names")
    logits = np.array(vector["logits"], np.float32)
    if logits.shape != (vector["shape"][0], len(classes)):
        raise ValueError(f"its logits are {logits.shape}, but there are {len(classes)} classes")
    transform = read_transform(preprocessing, channels)
    test_input = np.frombuffer(base64.b64decode(vector["input"]), np.dtype(model["input"]["dtype"]))
    return Artifact(
        path=path,
        name=model["name"],
        classes=tuple(classes),
        channels=channels,
        image_size=read_size(preprocessing["stored_size"]),
        transform=None if preprocessing["in_graph"] else transform,
        test_input=test_input.reshape(vector["shape"]),
        test_logits=logits,
        model=model,
        brightness=read_brightness(preprocessing.get("train_brightness")),
    )
