"""--resume: which run continues, and with which settings."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import gluon_classics
from gluon_classics import runtime
from gluon_classics.training.config import (
    BATCHES,
    FIELDS,
    FIXED,
    FREE,
    OF_THE_MACHINE,
    RunConfig,
    check_values,
    flag,
    read_config,
    settings_that,
    stored_config,
)
from gluon_classics.training.distributed import ALONE, Workers
from gluon_classics.training.run_folder import unfinished_runs


class Resumed(NamedTuple):
    """How a run continues."""

    config: RunConfig
    before: dict[str, Any]  # its config.json
    changes: list[str]  # lines on what differs
    same_batches: bool  # whether its epochs have the same batches as before


def find_run(given: dict, root: str = "runs") -> Path | None:
    """Return the run to continue; None if `out` names a folder without one, so that a new one starts there.

    Raises ValueError if no folder is named and no run is unfinished.
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


def is_finished(run: Path, given: dict) -> bool:
    """Return whether the run has its result, and no more epochs are asked for."""
    made = read_config(run / "config.json").get("epochs", 0)
    return (run / "result.json").exists() and given.get("epochs", 0) <= made


def settings_of(run: Path, given: Mapping[str, Any], workers: Workers = ALONE) -> Resumed:
    """Return how to continue `run`: with its settings, and those `given` that may differ.

    Raises ValueError for a difference that makes it another run, or that changes the results and is not forced.
    """
    before = read_config(run / "config.json")
    missing = sorted({"net", "epochs", "devices", "versions"} - set(before))
    if missing:
        raise ValueError(f"{run} is of another version of gluon-classics: its config.json has no {missing[0]!r}")
    stored = stored_config(before)
    check_values(given)
    given = {**given, "distributed": workers.engine}
    if given.get("dtype") == "auto":
        del given["dtype"]  # the run has one already
    if given.get("auto_batch") and stored.get("auto_batch"):
        given.pop("accumulate", None)  # the run's is what --auto-batch found
    free = settings_that(FREE) | settings_that(OF_THE_MACHINE)
    was = {name: stored.get(name, FIELDS[name].default) for name in FIELDS}
    differing = {name: value for name, value in given.items() if name not in free and value != was[name]}
    lines = {name: f"{flag(name)} is {given[name]}, and was {was[name]}" for name in differing}
    fixed = [line for name, line in lines.items() if name in settings_that(FIXED)]
    if fixed:
        raise ValueError(f"{run} cannot continue like this: {'; '.join(fixed)}. Start a new run, without --resume")
    force = given.get("force", False)
    settings = {**stored, **given, "resume": True, "out": str(run), "force": force}
    settings["auto_batch"] = bool(settings.get("auto_batch")) and force  # --accumulate is what it found
    config = RunConfig(**settings)
    now, then = [str(device) for device in workers.devices(config.gpus)] * workers.size, before["devices"]
    if now != then:
        lines["devices"] = f"it computes on {', '.join(now)}, and did on {', '.join(then)}"
    way_out = "Omit that, or add --force"
    if stored.get("distributed") and {"distributed", "devices"} & lines.keys():
        began = f"{len(then)} workers and --distributed {stored['distributed']}"
        way_out = f"Start the job as it began, with {began}, or add --force"
    harmless = {"epochs"} if config.schedule == "constant" else set()
    if len(now) == len(then):
        harmless.add("devices")
    changing = [line for name, line in lines.items() if name not in harmless]
    if changing and not force:
        raise ValueError(f"{run} would give other results: {'; '.join(changing)}. {way_out}")
    changes = [*lines.values(), *environment_changes(before)]
    return Resumed(config, before, changes, not settings_that(BATCHES) & differing.keys())


def versions() -> dict:
    """Return what a run computes with, for its config.json."""
    return {"gluon_classics": gluon_classics.__version__, **dataclasses.asdict(runtime.describe())}


def commit() -> str | None:
    """Return the commit of this checkout, with "-dirty" if files differ; None outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=12", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def versions_that_must_agree() -> dict:
    """Return the versions that must be equal on all workers; otherwise their weights could drift apart."""
    return {
        name: value for name, value in versions().items() if name in ("gluon_classics", "mxnet", "numpy", "library")
    }


def environment_changes(config: dict) -> list[str]:
    """Return lines on differences of machine and versions, with which results may differ in the last bits."""
    before, now = config["versions"], versions()
    return [f"{name} is {now[name]}, and was {before.get(name)}" for name in now if now[name] != before.get(name)]


def _net(run: Path) -> str | None:
    """Return the network of a run; None for a folder that another program has left."""
    try:
        return read_config(run / "config.json").get("net")
    except (ValueError, OSError):
        return None
