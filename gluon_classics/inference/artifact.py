"""An exported network, read without trust: every byte is verified, and nothing in it is executed.

See `exporting` for the files.
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
from gluon_classics.data import ImageTransform
from gluon_classics.inference.runs import are_names, read_size, read_transform
from gluon_classics.whole_file import reading, verify, verify_seal

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.gluon import SymbolBlock

FORMAT = 1
MODEL, SEAL, SIGNATURE, SYNSET = "model.json", "model.json.sha256", "signature.json", "synset.txt"
DATA = "data"  # name of the input
TOLERANCE = 1e-4  # of the largest logit: processors add up in another order
INT8_TOLERANCE = 0.05  # and those without VNNI saturate


class DamagedArtifact(ValueError):
    """An artifact is not what was exported. The message names the folder, the file, and what is wrong."""


_reading = functools.partial(reading, damaged=DamagedArtifact)


@dataclass(frozen=True)
class Artifact:
    """A verified artifact."""

    path: Path
    name: str
    classes: tuple[str, ...]
    channels: int  # of an image: 1 grey, 3 colour
    image_size: tuple[int, int]  # height and width of the images as the training's data set stored them
    transform: ImageTransform | None  # from these to what the graph takes; None where it is part of the graph
    test_input: np.ndarray
    test_logits: np.ndarray
    model: dict[str, Any]  # all of model.json

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
        """The first GPU, or the CPU; of int8, which oneDNN computes, the CPU."""
        return mx.cpu() if self.int8 else devices.try_gpu()

    def load_net(self, device: mx.Context) -> SymbolBlock:
        """The network with its weights. Raises DamagedArtifact for a graph or weights that MXNet cannot read."""
        symbol, weights = (self.path / f"{self.name}-{end}" for end in ("symbol.json", "0000.params"))
        with _reading(symbol), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MXNet cannot tell the input's type
            return SymbolBlock.imports(str(symbol), [DATA], str(weights), ctx=device)

    def largest_difference(self, net: SymbolBlock, device: mx.Context) -> float:
        """Between the logits that `net` gives for the test vector and those that were exported."""
        with _reading(self.path / MODEL):
            logits = net(nd.array(self.test_input, ctx=device, dtype=self.test_input.dtype)).asnumpy()
            if logits.shape != self.test_logits.shape:
                raise ValueError(f"the graph's logits are {logits.shape}, and {self.test_logits.shape} were exported")
        return float(np.abs(logits - self.test_logits).max())

    def verify(self, net: SymbolBlock, device: mx.Context) -> float:
        """As `largest_difference`. Raises DamagedArtifact where that is more than TOLERANCE, or INT8_TOLERANCE."""
        difference = self.largest_difference(net, device)
        largest = float(np.abs(self.test_logits).max())
        tolerance = INT8_TOLERANCE if self.int8 else TOLERANCE
        if not difference <= tolerance * largest:  # NaN is not
            raise DamagedArtifact(
                f"{self.path}: for the test vector in {MODEL} the logits differ by {difference:.2g}, and the largest "
                f"is {largest:.2g}: this network does not answer as the exported one did"
            )
        return difference


def is_artifact(path: str | Path) -> bool:
    """Whether the folder looks like one."""
    return (Path(path) / MODEL).is_file() or (Path(path) / SEAL).is_file()


def read_artifact(path: str | Path) -> Artifact:
    """Read the folder that `export` wrote, after every byte of its files was verified.

    Raises DamagedArtifact, a ValueError, and ValueError for the format of another version of gluon-classics.
    """
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"{path}: {'is no folder' if path.exists() else 'there is no such folder'}")
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
            raise ValueError(f"names no {' and no '.join(sorted(needed - set(files)))}")
    for each, entry in files.items():
        with _reading(path / each) as file:
            if not re.fullmatch(r"[\w-]+(\.[\w-]+)+", each):
                raise ValueError("this is no name of an artifact's file")
            verify(file, entry["bytes"], entry["sha256"])
    with _reading(path / MODEL):
        return _artifact(path, model)


def _artifact(path: Path, model: dict) -> Artifact:
    preprocessing, vector = model["preprocessing"], model["test_vector"]
    channels, classes = preprocessing["channels"], model["classes"]
    if type(channels) is not int or channels not in (1, 3) or not are_names(classes):
        raise ValueError("its channels are not 1 or 3, or its classes no list of names, each once")
    logits = np.array(vector["logits"], np.float32)
    if logits.shape != (vector["shape"][0], len(classes)):
        raise ValueError(f"its logits are {logits.shape}, for {len(classes)} classes")
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
    )
