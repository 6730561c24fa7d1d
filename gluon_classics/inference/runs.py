"""What a run folder tells of its network. It may come from elsewhere: nothing in it is executed, all is checked."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gluon_classics import models
from gluon_classics.data import ImageTransform
from gluon_classics.models.layers import Network
from gluon_classics.printable import printable
from gluon_classics.whole_file import require_regular

import mxnet as mx

# Height and width of the images that each data set stores, for runs whose config.json does not say.
IMAGE_SIZES = {
    "fashion-mnist": 28,
    "fashion-mnist-sample": 28,
    "mnist": 28,
    "cifar10": 32,
    "cifar100": 32,
    "coil20": 128,
}
LARGEST_SIZE = 4096  # what is larger is a mistake, and would fill the memory
WEIGHTS = ("best.params", "last.params")


@dataclass(frozen=True)
class Run:
    """A run's network, and how it is fed."""

    path: Path
    net: str  # its name in the registry
    net_args: dict[str, Any]
    classes: tuple[str, ...]
    channels: int  # of an image: 1 grey, 3 colour
    image_size: tuple[int, int]  # height and width of the images as the data set stores them
    transform: ImageTransform  # from these to what the network takes
    weights: Path  # those that were tested

    def load_net(self, device: mx.Context) -> Network:
        """The network with its weights. Raises ValueError for weights that are damaged or of another network."""
        try:
            net = models.get_model(self.net, **self.net_args)
        except Exception as error:  # net_args may be anything
            raise ValueError(f"{self.path / 'config.json'}: {self.net} cannot be built so: {error}") from error
        try:
            net.load_parameters(str(self.weights), ctx=device)
        except (AssertionError, ValueError, OSError, mx.MXNetError) as error:
            raise ValueError(
                f"{self.weights}: is damaged, or not of the {self.net} that config.json describes: {last_line(error)}"
            ) from error
        return net


def last_line(error: Exception) -> str:
    """What MXNet's errors have to say; before it is a list of C++ functions."""
    return str(error).strip().rpartition("\n")[2]


def say_if_unfinished(path: str | Path) -> None:
    """A note on the terminal where the run has not come to its end."""
    if Path(path, "config.json").is_file() and not Path(path, "result.json").is_file():
        note = f"note: {path} has no result.json: the run is not finished, these are its weights so far"
        print(printable(note), file=sys.stderr)


def read_run(path: str | Path) -> Run:
    """Read the folder that do_exp.py left. Raises ValueError, which names the file, for what is none."""
    path = Path(path)
    file = path / "config.json"
    if not file.is_file():
        raise ValueError(f"{path}: is no run folder of do_exp.py: there is no config.json in it{_hint(path)}")
    config = read_json(file)
    try:
        settings = _settings(config)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    return Run(path=path, weights=_weights(path, config), **settings)


def _settings(config: dict) -> dict[str, Any]:
    """All fields of Run that config.json alone tells."""
    net, net_args, classes = config.get("net"), config.get("net_args"), config.get("classes")
    if not isinstance(net, str):
        raise ValueError(f"net is {net!r}, not the name of a network")
    models.model_info(net)  # an unknown name is answered here
    if not are_names(classes):
        raise ValueError("classes is not a list of names, each once")
    if not isinstance(net_args, dict):
        raise ValueError(f"net_args is {net_args!r}, not a table of a network's arguments")
    if net_args.get("num_classes") != len(classes):
        raise ValueError(f"net_args has num_classes {net_args.get('num_classes')!r}, but classes are {len(classes)}")
    channels = net_args.get("in_channels")
    if type(channels) is not int or channels not in (1, 3):
        raise ValueError(f"net_args has in_channels {channels!r}, but pictures have 1 (grey) or 3 (colour)")
    return {
        "net": net,
        "net_args": net_args,
        "classes": tuple(classes),
        "channels": channels,
        "image_size": _image_size(config),
        "transform": read_transform(config, channels),
    }


def read_transform(settings: dict, channels: int) -> ImageTransform:
    """From "resize", "mean" and "std". Raises ValueError."""
    return ImageTransform(
        _size("resize", settings.get("resize")),
        _numbers("mean", settings.get("mean"), channels),
        _numbers("std", settings.get("std"), channels),
    )


def read_size(value: Any) -> tuple[int, int]:
    """Height and width of the stored images. Raises ValueError."""
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"stored_size is {value!r}, not [height, width]")
    height, width = (_size("a side of the stored images", side) for side in value)
    return height, width


def _image_size(config: dict) -> tuple[int, int]:
    """stored_size, [height, width]; or image_size, for which the run made its images square; or the data set's own."""
    sides = config.get("stored_size")
    if sides is None:
        square = config.get("image_size") or IMAGE_SIZES.get(str(config.get("dataset")))
        if square is None:
            raise ValueError(f"has no stored_size, and the images of {config.get('dataset')!r} may have any")
        sides = [square, square]
    return read_size(sides)


def _weights(path: Path, config: dict) -> Path:
    """The file that result.json names; of a run that has not come to its end, the one that it would name."""
    result = path / "result.json"
    name = "best.params" if config.get("val_fraction") else "last.params"
    if result.is_file():
        name = read_json(result).get("weights")
        if name not in WEIGHTS:  # and no path that leads elsewhere
            raise ValueError(f"{result} names the weights {name!r}, but they are {' or '.join(WEIGHTS)}")
    if not (path / name).is_file():
        raise ValueError(f"{path}: has no weights {name}: the run stopped in its first epoch, or they were moved")
    return path / name


def read_json(file: Path) -> dict:
    """The table in a JSON file. Raises ValueError, which names it."""
    try:
        require_regular(file)
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: is damaged: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file}: is no table of settings")
    return content


def are_names(classes: Any) -> bool:
    """Whether it is a list of names, each once."""
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        return False
    return len(set(classes)) == len(classes)


def _size(name: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= LARGEST_SIZE:
        raise ValueError(f"{name} is {value!r}, not a number of pixels from 1 to {LARGEST_SIZE}")
    return value


def _numbers(name: str, value: Any, channels: int) -> float | Sequence[float] | None:
    numbers = value if isinstance(value, list) else [value]
    if value is None or (len(numbers) in (1, channels) and all(type(n) in (int, float) for n in numbers)):
        return value
    raise ValueError(f"{name} is {value!r}, not a number for each of {channels} channels")


def _hint(path: Path) -> str:
    if not path.exists():
        return ", nor is there such a folder"
    if (path / "model.json").is_file():
        return ", but a model.json: it is an exported artifact"
    if not path.is_dir():
        return "; name the folder, and then the pictures"
    runs = sorted(config.parent for config in path.glob("*/config.json"))
    return f"; there is {runs[-1]}" if runs else ""
