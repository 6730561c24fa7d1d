"""The settings of a run: one field each, with its default, its help, its check, and what a resumed run may do with it.

The command line, the recipes, --config and --resume are all derived from these fields: to add a flag is to add a field.
This file imports neither MXNet nor NumPy, so that --help and a misspelt flag are answered immediately.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gluon_classics.data.catalog import DATASETS, list_datasets
from gluon_classics.nearest import unknown_name
from gluon_classics.training.recipes import RECIPES, get_recipe
from gluon_classics.whole_file import require_regular

DTYPES = ("float32", "bfloat16", "float16")
ENGINES = ("horovod", "dist_sync")
SCHEDULES = ("constant", "step", "cosine", "poly")
INITS = ("xavier", "he")
TIMEOUT = 60  # seconds that a worker waits for the others

# MXNet's optimizers with their usual learning rate. With SGD and its kin, learning rate and momentum are the recipe's.
# Not adamax: MXNet's divides 0 by 0 where a gradient starts at 0, as that of a dead ReLU does.
OPTIMIZERS = {"sgd": None, "nag": None, "adam": 0.001, "nadam": 0.001, "rmsprop": 0.001, "adagrad": 0.01, "lamb": 0.001}
NAMES = tuple(list_datasets())
# Data sets without a test set of their own: the run splits them, and the network takes them at their own size.
SPLIT_HERE = tuple(name for name, options in DATASETS.items() if options)

# What a resumed run may do with a setting.
FIXED = "fixed"  # nothing: with another value it would be another run
BATCHES = "batches"  # change it with --force; the epochs then have other batches, so a begun epoch starts anew
RESULTS = "results"  # change it with --force
FREE = "free"  # change it: it does not affect the results
OF_THE_MACHINE = "machine"  # change it; several workers each have their own


class Kind(NamedTuple):
    """The values that a setting may have. Calling it converts a text of the command line. Raises ValueError."""

    convert: Callable[[str], Any]
    accepts: Callable[[Any], bool]
    wanted: str  # "a whole number, at least 1"

    def __call__(self, text: str) -> Any:
        try:
            value = self.convert(text)
        except ValueError:
            value = None
        return self.check(value, text)

    def check(self, value: Any, shown: Any = None) -> Any:
        """Return `value` if it is of this kind."""
        if not self.accepts(value):
            raise ValueError(f"{value if shown is None else shown!r} is not {self.wanted}")
        return value


class OneOf(NamedTuple):
    """One of a few names, for instance a "schedule"."""

    what: str
    choices: tuple[str, ...]

    def __call__(self, text: str) -> str:
        return self.check(text)

    def check(self, value: Any) -> Any:
        if value not in self.choices:
            raise unknown_name(self.what, value, self.choices)
        return value


def _whole(fits: Callable[[int], bool], wanted: str) -> Kind:
    return Kind(int, lambda value: type(value) is int and fits(value), wanted)


def _real(fits: Callable[[float], bool], wanted: str) -> Kind:
    return Kind(float, lambda value: type(value) in (int, float) and math.isfinite(value) and fits(value), wanted)


count = _whole(lambda n: n >= 1, "a whole number, at least 1")
count_or_0 = _whole(lambda n: n >= 0, "a whole number, 0 or more")
seed_number = _whole(lambda n: 0 <= n < 2**31, "a whole number from 0 to 2147483647")
above_0 = _real(lambda n: 0 < n <= 1e38, "a number above 0, in float32")
from_0 = _real(lambda n: 0 <= n <= 1e38, "a number, 0 or more, in float32")
between_0_and_1 = _real(lambda n: 0 < n < 1, "a number between 0 and 1")
below_1 = _real(lambda n: 0 <= n < 1, "a number from 0 to below 1")
text = Kind(str, lambda value: isinstance(value, str), "a text")
switch = Kind(bool, lambda value: isinstance(value, bool), "true or false")
table = Kind(json.loads, lambda value: isinstance(value, dict), "a table")
split = Kind(
    lambda text: [int(word) if word.isdecimal() else word for word in text.split()],
    lambda value: isinstance(value, (list, tuple)) and [type(each) for each in value] in ([str], [str, int]),
    "a word, or leave-poses and a number",
)


def setting(
    default: Any,
    kind: Any,
    help: str = "",
    *,
    resume: str = RESULTS,
    recipe: bool = False,
    metavar: str | None = None,
    group: str = "",
) -> Any:
    """A field of RunConfig. With `recipe`, a recipe may give the value; without `help`, it has no flag.

    `group` is the title of the part of --help that begins with this field.
    """
    metadata = {"kind": kind, "help": help, "resume": resume, "recipe": recipe, "metavar": metavar, "group": group}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """The settings of a run. Raises ValueError for values that do not work, or contradict each other.

    `RunConfig.complete({"net": "resnet", "epochs": 2})` takes everything else from the recipe. None stands for "not
    asked for".
    """

    net: str = setting(
        "lenet",
        text,
        "network: lenet, alexnet, vgg, nin, googlenet, resnet, or one of the papers', which `python -m gluon_classics "
        "list` shows (default lenet)",
        resume=FIXED,
        group="what",
    )
    aux: bool = setting(False, switch, "train with the paper's auxiliary heads, if the network has any", resume=FIXED)
    recipe: str = setting(
        "default", OneOf("recipe", tuple(RECIPES)), f"table of default values: {', '.join(RECIPES)}", resume=FIXED
    )
    dataset: str | None = setting(
        None, OneOf("data set", NAMES), f"data set: {', '.join(NAMES)} (default fashion-mnist)", resume=FIXED
    )
    data_dir: str | None = setting(
        None,
        text,
        "folder to search for the data set first, and to download it into; for coil20 and folder also an archive",
        resume=OF_THE_MACHINE,
    )
    image_size: int | None = setting(
        None, count, "folder: resize all pictures to this height and width", resume=FIXED, metavar="PIXELS"
    )
    channels: str = setting(
        "auto", OneOf("channels", ("auto", "1", "3")), "folder: 1 for grey, 3 for colour (default auto)", resume=FIXED
    )
    split: Sequence | None = setting(
        None,
        split,
        "coil20 and folder: random (default), pose-block, or leave-poses K (train on every K-th pose; default 2)",
        resume=FIXED,
    )
    test_fraction: float | None = setting(
        None, between_0_and_1, "coil20 and folder: part of each class kept for the test (default 0.1)", resume=FIXED
    )
    skip_bad: bool = setting(False, switch, "folder: skip files that cannot be used", resume=FIXED)
    follow_links: bool = setting(
        False, switch, "folder: follow symbolic links to folders, and out of the folder", resume=FIXED
    )
    cache: str | None = setting(
        None,
        text,
        "folder: keep the decoded pictures in this folder, on disk and not in memory",
        resume=OF_THE_MACHINE,
        metavar="FOLDER",
    )
    val_fraction: float = setting(
        0.0,
        below_1,
        "part of the training set kept for validation, 0 to below 1; the test set is then read only at the end",
        resume=BATCHES,
        recipe=True,
    )
    limit_train: int | None = setting(
        None,
        count,
        "train on the first N images; with pictures, on about N, the same share of every class",
        resume=BATCHES,
        metavar="N",
    )
    limit_test: int | None = setting(None, count, "test on the first N images", metavar="N")
    seed: int = setting(0, seed_number, "seed of weights, order, augmentation and dropout (default 0)", resume=BATCHES)

    epochs: int = setting(
        5, count, "passes over the training set", recipe=True, group="how (the recipe gives what is not given)"
    )
    batch_size: int = setting(64, count, "images in a batch, over all devices and workers", resume=BATCHES, recipe=True)
    lr: float = setting(0.01, above_0, "learning rate (adam and its kin: the optimizer's usual one)", recipe=True)
    optimizer: str = setting(
        "sgd", OneOf("optimizer", tuple(OPTIMIZERS)), ", ".join(OPTIMIZERS), resume=FIXED, recipe=True
    )
    momentum: float | None = setting(None, below_1, "momentum of sgd and nag, 0 to below 1", recipe=True)
    schedule: str = setting(
        "constant", OneOf("schedule", SCHEDULES), f"learning rate schedule: {', '.join(SCHEDULES)}", recipe=True
    )
    warmup_epochs: float = setting(0.0, from_0, "epochs in which the learning rate rises linearly from 0", recipe=True)
    wd: float = setting(0.0, from_0, "weight decay", recipe=True)
    wd_weights_only: bool = setting(False, switch, "no weight decay on biases and batch norm", recipe=True)
    label_smoothing: float = setting(0.0, below_1, "share of the target spread over all classes", recipe=True)
    clip: float | None = setting(
        None, above_0, "largest norm of the gradient; larger ones are scaled down", recipe=True
    )
    ema: float | None = setting(
        None, below_1, "evaluate and save an exponential moving average of the weights", recipe=True, metavar="DECAY"
    )
    resize: int | None = setting(None, count, "height and width of the input in pixels", recipe=True)
    normalize: bool = setting(False, switch, "scale pixels to mean 0 and standard deviation 1", recipe=True)
    crop: int = setting(0, count_or_0, "random crops, padded by PIXELS of black", recipe=True, metavar="PIXELS")
    flip: bool = setting(False, switch, "mirror half of the images", recipe=True)
    balanced: bool = setting(False, switch, "draw the same number of images of each class in an epoch", resume=BATCHES)
    erase: float = setting(0.0, below_1, "random erasing with this probability", recipe=True, metavar="P")
    test_at_end: bool = setting(False, switch, "read the test set once, at the end", recipe=True)
    patience: int | None = setting(
        None, count, "stop after EPOCHS without a better validation accuracy", metavar="EPOCHS"
    )

    gpus: str | None = setting(
        None,
        text,
        "all, none, or numbers such as 0,1 (default: the first GPU if there is one, else the CPU)",
        resume=OF_THE_MACHINE,
        group="on what",
    )
    dtype: str = setting(
        "float32", OneOf("dtype", (*DTYPES, "auto")), f"{', '.join(DTYPES)}, or auto: the fastest (default float32)"
    )
    accumulate: int = setting(1, count, "process each batch in N slices, to save memory", metavar="N")
    auto_batch: bool = setting(False, switch, "find out how many slices (--accumulate) fit into memory")
    hybridize: bool = setting(
        True, switch, "run the network as one compiled graph, or layer by layer in Python (default: --hybridize)"
    )

    distributed: str | None = setting(
        None,
        OneOf("engine", ENGINES),
        "engine of the workers that horovodrun, or `python -m gluon_classics launch`, starts",
        group="on several machines (docs/distributed.md)",
    )
    scale_lr: bool = setting(False, switch, "multiply the learning rate by the number of workers")
    distributed_timeout: float = setting(
        TIMEOUT, above_0, f"a worker that waits longer ends (default {TIMEOUT})", resume=FREE, metavar="SECONDS"
    )

    out: str | None = setting(
        None, text, "run folder; must be new or empty (default: runs/NET-DATASET-TIME)", resume=FREE, group="the run"
    )
    resume: bool = setting(False, switch, "continue the run in --out, or the newest unfinished one", resume=FREE)
    force: bool = setting(
        False, switch, "resume with settings that change the results; use a dtype that is slow here", resume=FREE
    )
    checkpoint_batches: int | None = setting(None, count, "checkpoint every N batches, too", resume=FREE, metavar="N")
    checkpoint_minutes: float = setting(
        10.0, above_0, "checkpoint every M minutes, too (default 10)", resume=FREE, metavar="M"
    )
    print_batches: int | None = setting(None, count, "print a line every N batches", resume=FREE, metavar="N")
    tensorboard: bool = setting(False, switch, "also write TensorBoard's files (pip install tensorboardX)", resume=FREE)
    open: bool = setting(False, switch, "open the report in the browser at the end", resume=FREE)
    verbose: bool = setting(False, switch, "print the network, and the output shapes of its layers", resume=FREE)

    # only recipes give these
    net_args: dict = setting({}, table, recipe=True)
    init: str = setting("xavier", OneOf("initializer", INITS), recipe=True)

    @classmethod
    def complete(cls, given: Mapping[str, Any]) -> RunConfig:
        """Return `given` completed by the recipe. Raises ValueError."""
        check_values(given)
        given = {name: value for name, value in given.items() if value is not None}
        recipe = get_recipe(given.get("recipe", "default"), given.get("net", "lenet"))
        values = {**recipe, **given}
        optimizer = values.get("optimizer", "sgd")
        if OPTIMIZERS[optimizer] is not None:
            if "momentum" in given:
                raise ValueError(f"--momentum: {optimizer} has none; omit it, or use sgd or nag")
            values["momentum"] = None
            if "lr" not in given and optimizer != recipe.get("optimizer", "sgd"):
                values["lr"] = OPTIMIZERS[optimizer]
        if values.get("aux"):
            values["net_args"] = {**values.get("net_args", {}), "aux": True}
        if given.get("dataset") in SPLIT_HERE and "resize" not in given:
            values["resize"] = None
        return cls(**values)

    def __post_init__(self) -> None:
        check_values(vars(self))
        if self.patience and not self.val_fraction:
            raise ValueError("--patience waits for a better validation accuracy: add --val-fraction 0.1")
        if self.warmup_epochs >= self.epochs and self.warmup_epochs > 0:
            raise ValueError(
                f"--warmup-epochs {self.warmup_epochs:g} leaves none of the {self.epochs} epochs: lower it"
            )
        if self.accumulate > self.batch_size:
            raise ValueError(
                f"--accumulate {self.accumulate} is more slices than the {self.batch_size} images of a batch"
            )
        if self.force and not self.resume and self.dtype in ("float32", "auto"):
            raise ValueError("--force goes with --resume or with --dtype; without them it has nothing to force")

    def optimizer_settings(self, workers: int = 1) -> dict:
        """The optimizer's arguments with that many workers; the learning rate is the schedule's highest."""
        settings = {"learning_rate": self.lr * (workers if self.scale_lr else 1), "wd": self.wd}
        return settings if self.momentum is None else {**settings, "momentum": self.momentum}


FIELDS = {field.name: field for field in dataclasses.fields(RunConfig)}


def settings_that(resume: str) -> set[str]:
    """The names of the settings with which a resumed run may do this: FIXED, BATCHES, RESULTS, ..."""
    return {name for name, field in FIELDS.items() if field.metadata["resume"] == resume}


def flag(name: str) -> str:
    """The flag of a setting: --batch-size for batch_size."""
    return f"--{name.replace('_', '-')}"


def check_values(values: Mapping[str, Any]) -> None:
    """Raise ValueError for a name that is not a setting, and for a value of the wrong kind. None is always accepted."""
    for name, value in values.items():
        if name not in FIELDS:
            raise unknown_name("setting", name, FIELDS)
        if value is not None:
            try:
                FIELDS[name].metadata["kind"].check(value)
            except ValueError as error:
                raise ValueError(f"{flag(name)}: {error}") from None


def read_config(file: Path) -> dict[str, Any]:
    """Return a run's config.json. Raises OSError, and ValueError if it is not valid JSON, or not a table."""
    require_regular(file)
    try:
        config = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is not valid JSON: {error}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{file} does not hold the settings of a run")
    return config


def stored_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in a run's config.json, without what the run has found out about its data.

    A setting that is newer than the run is missing.
    """
    settings = {name: config[name] for name in FIELDS if name in config}
    net_args = {
        key: value for key, value in config.get("net_args", {}).items() if key not in ("num_classes", "in_channels")
    }
    return {**settings, "net_args": net_args}
