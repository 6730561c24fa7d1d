"""Look up networks by name: ``get_model("googlenet", num_classes=10)``, ``list_models("*net*")``."""

import fnmatch
import importlib
import inspect
import pkgutil
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from gluon_classics.nearest import unknown_name

from mxnet.gluon import HybridBlock


@dataclass(frozen=True)
class ModelInfo:
    """A network's entry in the registry."""

    name: str
    build: Callable[..., HybridBlock]
    input_shape: tuple  # (channels, height, width) in its paper or listing
    paper: str  # its authors
    year: int

    @property
    def file(self) -> str:
        """The name of its file in gluon_classics/models."""
        return inspect.getfile(self.build).rsplit("/", 1)[-1]


_models: dict = {}


def _registered() -> dict:
    """Import every file of this folder, each of which registers its networks, and return all networks."""
    for file in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{__package__}.{file.name}")
    return _models


def register_model(name: str, *, input_shape: tuple, paper: str, year: int):
    """Decorator: register a network's class, or a function that builds it, as `name`."""

    def enter(build):
        assert name not in _models, f"{name} is registered twice"
        _models[name] = ModelInfo(name, build, input_shape, paper, year)
        return build

    return enter


def model_info(name: str) -> ModelInfo:
    """Return the entry for `name`. Raises ValueError with the nearest names if it is unknown."""
    if name not in _registered():
        raise unknown_name("network", name, list_models())
    return _models[name]


def get_model(name: str, **kwargs: Any) -> HybridBlock:
    """Build the network `name`, uninitialized, and pass `kwargs` to its constructor.

    Every network accepts num_classes and in_channels. The defaults are mostly 1000 and 3 for the papers' networks, and
    10 and the first batch's channels for the tutorial's. Networks with auxiliary heads also accept aux=True.

    Raises ValueError for an unknown name, with the nearest names, and for num_classes or in_channels below 1. Raises
    TypeError for an argument that the network does not have.
    """
    info = model_info(name)
    for argument in ("num_classes", "in_channels"):
        value = kwargs.get(argument, 1)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{argument} is {value!r}, but must be an integer of at least 1")
    try:
        return info.build(**kwargs)
    except TypeError as error:
        own = [p.name for p in inspect.signature(info.build).parameters.values() if p.kind is not p.VAR_KEYWORD]
        arguments = dict.fromkeys([*own, "num_classes", "in_channels"])
        raise TypeError(f"network {name!r}: {error}. Its arguments: {', '.join(arguments)}") from error


def list_models(pattern: str = "*") -> list:
    """Return the names that match a shell pattern (``*net``), sorted by year; resnet50 comes before resnet101."""

    def order(name):
        return _models[name].year, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]

    return fnmatch.filter(sorted(_registered(), key=order), pattern)
