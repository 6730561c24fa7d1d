"""do_exp.py --resume: which run goes on, and with which settings."""

from __future__ import annotations

import argparse
import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import gluon_classics
from gluon_classics import runtime
from gluon_classics.training import ALONE, Recipe, Workers, unfinished_runs

from options import check

# They change no result, so they may differ from those of the run that goes on. Devices are compared by their number.
FREE = {
    "out", "resume", "force", "print_batches", "checkpoint_batches", "checkpoint_minutes", "tensorboard", "verbose",
    "data_dir", "gpus", "cache", "open", "distributed_timeout",
}  # fmt: skip
# Of several workers each has its own.
OF_THE_MACHINE = {"data_dir", "gpus", "cache"}
# With another value it is another run: its weights do not fit, or its other settings would have been others.
FIXED = {
    "net", "aux", "recipe", "dataset", "optimizer", "split", "test_fraction", "image_size", "channels", "skip_bad",
}  # fmt: skip
# With another value an epoch has other batches: an epoch that was begun is begun anew.
BATCHES = {"batch_size", "limit_train", "val_fraction", "seed", "balanced"}


class Resumed(NamedTuple):
    """How a run goes on."""

    args: argparse.Namespace
    config: dict  # of the run as it was
    changes: list[str]  # lines on what differs
    same_batches: bool  # whether its epochs have the batches that they had


def given_flags(parser: argparse.ArgumentParser, argv: list[str] | None) -> dict:
    """The settings that the command line names itself."""
    unset = object()
    settings = vars(parser.parse_args(argv, argparse.Namespace(**dict.fromkeys(vars(parser.parse_args([])), unset))))
    return {name: value for name, value in settings.items() if value is not unset}


def find_run(given: dict, root: str = "runs") -> Path | None:
    """The run to go on with; None where `--out` names a folder without one, so that a new one starts there.

    Raises ValueError where no folder is named and no run is unfinished.
    """
    if "out" in given:
        folder = Path(given["out"])
        return folder if (folder / "config.json").exists() else None
    runs = {run: _net(run) for run in unfinished_runs(root)}
    fitting = [run for run, net in runs.items() if net and given.get("net") in (None, net)]
    if fitting:
        return fitting[0]
    found = "".join(f"; there is {run}, of {net}" for run, net in runs.items() if net)
    what = f"of {given['net']} " if "net" in given else ""
    raise ValueError(f"--resume: there is no unfinished run {what}in the folder {root}{found}. Name a folder by --out")


def read_config(run: Path) -> dict:
    """Raises ValueError for one that is none."""
    try:
        config = json.loads((run / "config.json").read_text())
    except ValueError as error:
        raise ValueError(f"{run}/config.json is no JSON: {error}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{run}/config.json holds no settings of a run")
    return config


def is_finished(run: Path, given: dict) -> bool:
    """Whether the run has its result, and is not asked for more epochs."""
    return (run / "result.json").exists() and given.get("epochs", 0) <= read_config(run).get("epochs", 0)


def settings_of(run: Path, given: dict, names: set, workers: Workers = ALONE) -> Resumed:
    """The settings to go on with: `names` and those of the recipe.

    Raises ValueError for a difference that makes it another run, and for one that changes the results without --force.
    """
    config = read_config(run)
    names = names | set(Recipe._fields) | {"devices", "versions"}
    missing = sorted(names - set(config))
    if missing:
        raise ValueError(f"{run} was left by another version of this program: its config.json has no {missing[0]!r}")
    given = {**given, "distributed": workers.engine}
    if given.get("dtype") == "auto":
        del given["dtype"]  # the run has one already
    if given.get("auto_batch") and config["auto_batch"]:
        given.pop("accumulate", None)  # the run's is what --auto-batch found
    differing = {name: value for name, value in given.items() if name not in FREE and value != config[name]}
    lines = {name: f"--{name.replace('_', '-')} is {given[name]}, and was {config[name]}" for name in differing}
    fixed = [line for name, line in lines.items() if name in FIXED]
    if fixed:
        raise ValueError(f"{run} cannot go on so: {'; '.join(fixed)}. Start a new run, without --resume")
    args = argparse.Namespace(**{name: config[name] for name in names - {"devices", "versions"}})
    vars(args).update(given, resume=True, out=str(run), force=given.get("force", False))
    args.auto_batch = args.auto_batch and args.force  # --accumulate is what it found
    now, before = [str(device) for device in workers.devices(args.gpus)] * workers.size, config["devices"]
    if now != before:
        lines["devices"] = f"it computes on {', '.join(now)}, and did on {', '.join(before)}"
    way_out = "Leave that out, or add --force"
    if config["distributed"] and {"distributed", "devices"} & lines.keys():
        began = f"{len(before)} workers and --distributed {config['distributed']}"
        way_out = f"Start the whole job as it began, with {began}, or add --force"
    harmless = {"epochs"} if args.schedule == "constant" else set()
    if len(now) == len(before):
        harmless.add("devices")
    changing = [line for name, line in lines.items() if name not in harmless]
    if changing and not args.force:
        listed = "; ".join(changing)
        raise ValueError(f"{run} would give other results than it was begun for: {listed}. {way_out}")
    check(args)
    changes = [*lines.values(), *environment_changes(config)]
    return Resumed(args, config, changes, not BATCHES & differing.keys())


def versions() -> dict:
    """What a run computes with, for its config.json."""
    return {"gluon_classics": gluon_classics.__version__, **asdict(runtime.describe())}


def commit() -> str | None:
    """The commit of this checkout, with "-dirty" if files differ from it; None outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=12", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def versions_that_must_agree() -> dict:
    """Those with which workers of different machines could compute different updates, and their weights drift apart."""
    return {
        name: value for name, value in versions().items() if name in ("gluon_classics", "mxnet", "numpy", "library")
    }


def environment_changes(config: dict) -> list[str]:
    """What differs in machine and versions, with which results may differ in the last bits."""
    before, now = config["versions"], versions()
    return [f"{name} is {now[name]}, and was {before.get(name)}" for name in now if now[name] != before.get(name)]


def _net(run: Path) -> str | None:
    """The network of a run; None for a folder that another program has left."""
    try:
        return read_config(run).get("net")
    except (ValueError, OSError):
        return None
