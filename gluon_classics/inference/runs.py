"""Run folders. One may come from an untrusted source: everything is checked, and nothing in it is executed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_classics import models
from gluon_classics.data import Brightness, ImageTransform
from gluon_classics.models.layers import Network
from gluon_classics.params_file import check_params
from gluon_classics.printable import printable
from gluon_classics.whole_file import require_regular, sha256

import mxnet as mx

if TYPE_CHECKING:
    from typing_extensions import TypeGuard  # in typing from Python 3.10 on

# Height and width of each data set's images, for runs whose config.json does not record it.
IMAGE_SIZES = {
    "fashion-mnist": 28,
    "fashion-mnist-sample": 28,
    "mnist": 28,
    "cifar10": 32,
    "cifar100": 32,
    "coil20": 128,
}
LARGEST_SIZE = 4096  # pixels; anything larger is an error, and would fill the memory
WEIGHTS = ("best.params", "last.params")


@dataclass(frozen=True)
class Run:
    """The network of a run and its preprocessing."""

    path: Path
    net: str  # its name in the registry
    net_args: dict[str, Any]
    classes: tuple[str, ...]
    channels: int  # of an image: 1 grey, 3 colour
    image_size: tuple[int, int]  # height and width of the images as stored by the data set
    transform: ImageTransform  # from stored images to the network's input
    weights: Path  # the tested ones
    brightness: Brightness | None = None  # of the training images; older runs do not record it
    weights_sha256: str | None = None  # from result.json; older runs do not record it

    def load_net(self, device: mx.Context) -> Network:
        """Return the network with its weights. Raises ValueError if they are damaged or do not fit."""
        try:
            net = models.get_model(self.net, **self.net_args)
        except Exception as error:  # net_args may be anything
            file = printable(self.path / "config.json")
            raise ValueError(f"{file}: {self.net} does not take these net_args: {printable(str(error))}") from error
        try:
            check_params(self.weights)
            self._verify_weights()
        except OSError as error:
            raise ValueError(f"{printable(self.weights)}: cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise ValueError(f"{printable(self.weights)}: {error}") from error
        try:
            net.load_parameters(str(self.weights), ctx=device)
        except (AssertionError, ValueError, OSError, mx.MXNetError) as error:
            raise ValueError(
                f"{printable(self.weights)} is damaged, or does not fit the {self.net} in config.json: "
                f"{printable(last_line(error))}"
            ) from error
        return net

    def _verify_weights(self) -> None:
        if self.weights_sha256 and (found := sha256(self.weights)) != self.weights_sha256:
            raise ValueError(
                f"SHA-256 is {found}, but result.json recorded {self.weights_sha256} at the end of the run: the file "
                f"is damaged, or was replaced"
            )


def last_line(error: Exception) -> str:
    """Return the message of an MXNet error, which follows a list of C++ functions."""
    return str(error).strip().rpartition("\n")[2]


def say_if_unfinished(path: str | Path) -> None:
    """Print a note on stderr if the run is not finished."""
    if Path(path, "config.json").is_file() and not Path(path, "result.json").is_file():
        note = f"note: {path} has no result.json: the run is not finished, and these are its latest weights"
        print(printable(note), file=sys.stderr)


def read_run(path: str | Path) -> Run:
    """Read a run folder of do_exp.py. Raises ValueError, which names the file, if it is not valid."""
    path = Path(path)
    file = path / "config.json"
    if not file.is_file():
        raise ValueError(
            f"{printable(path)} is not a run folder of do_exp.py: it has no config.json{printable(_hint(path))}"
        )
    config = read_json(file)
    try:
        settings = _settings(config)
    except ValueError as error:
        raise ValueError(f"{printable(file)}: {error}") from error
    return Run(path=path, **_weights(path, config), **settings)


def _settings(config: dict) -> dict[str, Any]:
    """Return the fields of Run that come from config.json alone."""
    net, net_args, classes = config.get("net"), config.get("net_args"), config.get("classes")
    if not isinstance(net, str):
        raise ValueError(f"net is {net!r}, not the name of a network")
    models.model_info(net)  # raises ValueError for an unknown name
    if not are_names(classes):
        raise ValueError("classes is not a list of unique names")
    if not isinstance(net_args, dict):
        raise ValueError(f"net_args is {net_args!r}, not an object with the network's arguments")
    if net_args.get("num_classes") != len(classes):
        raise ValueError(
            f"net_args has num_classes {net_args.get('num_classes')!r}, but there are {len(classes)} classes"
        )
    channels = net_args.get("in_channels")
    if type(channels) is not int or channels not in (1, 3):
        raise ValueError(f"net_args has in_channels {channels!r}, but images have 1 (grey) or 3 (colour)")
    return {
        "net": net,
        "net_args": net_args,
        "classes": tuple(classes),
        "channels": channels,
        "image_size": _image_size(config),
        "transform": read_transform(config, channels),
        "brightness": read_brightness(config.get("train_brightness")),
    }


def read_brightness(value: Any) -> Brightness | None:
    """Return "train_brightness", or None if it is missing or invalid: it serves only for a note."""
    if not isinstance(value, dict) or set(value) != set(Brightness._fields):
        return None
    return Brightness(**value) if all(type(each) in (int, float) for each in value.values()) else None


def read_transform(settings: dict, channels: int) -> ImageTransform:
    """Return the transform of "resize", "mean" and "std". Raises ValueError."""
    return ImageTransform(
        _size("resize", settings.get("resize")),
        _numbers("mean", settings.get("mean"), channels),
        _numbers("std", settings.get("std"), channels),
    )


def read_size(value: Any) -> tuple[int, int]:
    """Check the height and width of the stored images. Raises ValueError."""
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"stored_size is {value!r}, not [height, width]")
    height, width = (_size("stored_size", side) for side in value)
    return height, width


def _image_size(config: dict) -> tuple[int, int]:
    """Return stored_size, [height, width]; or image_size, the side of square images; or the data set's own size."""
    sides = config.get("stored_size")
    if sides is None:
        square = config.get("image_size") or IMAGE_SIZES.get(str(config.get("dataset")))
        if square is None:
            raise ValueError(f"has no stored_size, and the image size of {config.get('dataset')!r} is not known")
        sides = [square, square]
    return read_size(sides)


def _weights(path: Path, config: dict) -> dict[str, Any]:
    """Return the file that result.json names, with its hash; or, if the run is not finished, the file it will name."""
    result = path / "result.json"
    name: Any = "best.params" if config.get("val_fraction") else "last.params"
    recorded = None
    if result.is_file():
        content = read_json(result)
        name = content.get("weights")
        if name not in WEIGHTS:  # nor a path outside the folder
            raise ValueError(f"{printable(result)} names the weights {name!r}, which must be {' or '.join(WEIGHTS)}")
        hashes = content.get("sha256", {})
        recorded = hashes.get(name) if isinstance(hashes, dict) else hashes
        if recorded is not None and not (isinstance(recorded, str) and re.fullmatch("[0-9a-f]{64}", recorded)):
            raise ValueError(f"{printable(result)}: sha256 of {name} is {recorded!r}, not 64 hexadecimal digits")
    if not (path / name).is_file():
        raise ValueError(
            f"{printable(path)} has no weights {name}: the run stopped in its first epoch, or they were moved"
        )
    return {"weights": path / name, "weights_sha256": recorded}


def read_json(file: Path) -> dict:
    """Return the object in a JSON file. Raises ValueError, which names the file."""
    try:
        require_regular(file)
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{printable(file)} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{printable(file)} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{printable(file)} is not a JSON object")
    return content


def are_names(classes: Any) -> TypeGuard[list[str]]:
    """Whether it is a list of unique names."""
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
    raise ValueError(f"{name} is {value!r}, not one number or one for each of the {channels} channels")


def _hint(path: Path) -> str:
    if not path.exists():
        return ", and the folder does not exist"
    if (path / "model.json").is_file():
        return ", but a model.json, as an exported artifact has"
    if not path.is_dir():
        return "; name the folder first, then the pictures"
    runs = sorted(config.parent for config in path.glob("*/config.json"))
    return f"; did you mean {runs[-1]}?" if runs else ""
