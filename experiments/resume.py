"""do_exp.py --resume: which run goes on, and with which settings."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from gluon_classics import runtime
from gluon_classics.training import unfinished_runs

from options import check

# They change no result, so they may differ from those of the run that goes on.
FREE = {
    "out", "resume", "force", "print_batches", "checkpoint_batches", "checkpoint_minutes", "tensorboard", "verbose",
    "data_dir", "gpus", "cache", "open",
}  # fmt: skip
# With another value it is another run: its weights do not fit, or its other settings would have been others.
FIXED = {
    "net", "aux", "recipe", "dataset", "optimizer", "split", "test_fraction", "image_size", "channels", "skip_bad",
}  # fmt: skip


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
    runs = unfinished_runs(root)
    fitting = [run for run in runs if given.get("net") in (None, read_config(run)["net"])]
    if fitting:
        return fitting[0]
    found = f"; there is {runs[0]}, of {read_config(runs[0])['net']}" if runs else ""
    what = f"of {given['net']} " if "net" in given else ""
    raise ValueError(f"--resume: there is no unfinished run {what}in the folder {root}{found}. Name a folder by --out")


def read_config(run: Path) -> dict:
    return json.loads((run / "config.json").read_text())


def settings_of(run: Path, given: dict, names: set) -> tuple[argparse.Namespace, list[str]]:
    """The settings to go on with, `names` and those of the recipe, and lines on what differs from the run's own.

    Raises ValueError for a difference that makes it another run, and for one that changes the results without --force.
    """
    config = read_config(run)
    missing = sorted(names - set(config))
    if missing:
        raise ValueError(f"{run} was left by another version of this program: its config.json has no {missing[0]!r}")
    given = dict(given)
    if given.get("dtype") == "auto":
        del given["dtype"]  # the run has one already
    differing = [name for name, value in given.items() if name not in FREE and value != config[name]]
    lines = [f"--{name.replace('_', '-')} is {given[name]}, and was {config[name]}" for name in differing]
    fixed = [line for name, line in zip(differing, lines) if name in FIXED]
    if fixed:
        raise ValueError(f"{run} cannot go on so: {'; '.join(fixed)}. Start a new run, without --resume")
    args = argparse.Namespace(**{**config, **given, "resume": True, "out": str(run)})
    args.force = given.get("force", False)
    args.auto_batch = args.auto_batch and args.force  # --accumulate is what it found
    harmless = {"epochs"} if args.schedule == "constant" else set()
    changing = [line for name, line in zip(differing, lines) if name not in harmless]
    if changing and not args.force:
        listed = "; ".join(changing)
        raise ValueError(
            f"{run} would give other results than it was begun for: {listed}. Leave that out, or add --force"
        )
    check(args)
    return args, lines + environment_changes(config)


def environment_changes(config: dict) -> list[str]:
    """What differs in machine and versions, with which results may differ in the last bits."""
    before, now = config["versions"], asdict(runtime.describe())
    return [
        f"{name} is {now[name]}, and was {before[name]}" for name in now if name in before and now[name] != before[name]
    ]
