"""python -m gluon_classics train, and python experiments/do_exp.py: one training run."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_classics.commands.arguments import Parser
from gluon_classics.training.config import (
    FIELDS,
    OF_THE_MACHINE,
    RunConfig,
    check_values,
    flag,
    read_config,
    settings_that,
    split,
    stored_config,
)

if TYPE_CHECKING:
    from gluon_classics.training import Workers

DESCRIPTION = "Train one of the classic convolutional networks on Fashion-MNIST and leave its results in a run folder."
EXAMPLES = """\
examples:
  do_exp.py --net lenet                           the first result: under a minute an epoch on two cores
  do_exp.py --net googlenet --recipe book         the book's setting, for which an accuracy is published
  do_exp.py --net resnet --recipe tutorial        the tutorial's setting: 224x224, batch 64, one epoch
  do_exp.py --net resnet18 --recipe modern        for accuracy: augmentation, cosine, averaged weights
  do_exp.py --net vgg --limit-train 10000         a heavy network on part of the data
  do_exp.py --net nin --lr 0.05 --epochs 10       a recipe with two values of your own
  do_exp.py --net resnet18 --dtype auto           bfloat16 if it is faster on this machine
  do_exp.py --config runs/RUN/config.json         the settings of an earlier run
  do_exp.py --resume                              continue the newest run that was not finished
  do_exp.py --net resnet50 --limit-train 1000     a network of the papers: python -m gluon_classics list
"""
# Settings that --config ignores, because it begins a new run.
OF_ONE_RUN = {"out", "resume", "force"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each field of RunConfig. Only the flags that are given end up among the parsed arguments."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.argument_default = argparse.SUPPRESS
    for name, field in FIELDS.items():
        about = field.metadata
        if about["group"]:
            group = parser.add_argument_group(about["group"])
        if not about["help"]:
            continue
        options: dict[str, Any] = {"help": about["help"].replace("%", "%%"), "dest": name}
        if field.type == "bool":
            both = about["recipe"] or field.default
            options["action"] = argparse.BooleanOptionalAction if both else "store_true"
        elif about["kind"] is split:
            options.update(nargs="+", type=str)
        else:
            options.update(type=_converter(about["kind"]), metavar=about["metavar"])
        group.add_argument(flag(name), **options)
    group.add_argument("--config", type=Path, metavar="FILE", help="use the settings of a run's config.json; flags win")
    group.add_argument("--print-config", action="store_true", help="print all settings as JSON, and do not train")


def _converter(kind):
    def convert(text: str) -> Any:
        try:
            return kind(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def run(args: argparse.Namespace) -> int:
    """Train. Returns the exit status.

    That is 0; 2 for bad input or a loss that is not finite; 130 after Ctrl-C, 143 after SIGTERM; 1 if the disk is full
    or cannot be written, memory runs out, or another worker is lost.
    """
    given = vars(args)
    given.pop("run", None)
    file, print_config = given.pop("config", None), given.pop("print_config", False)
    try:
        if "split" in given:
            given["split"] = _split(given["split"])
        if file:
            given = {**_settings_in(file, given), **given}
        if print_config:
            print(json.dumps(dataclasses.asdict(_new_config(given)), indent=2))
            return 0
        check_values(given)
    except ValueError as error:
        print(f"do_exp.py: error: {error}", file=sys.stderr)
        return 2
    return _train(given)


def _train(given: dict[str, Any]) -> int:
    from gluon_classics import training  # imports MXNet

    import mxnet as mx

    workers, status = training.ALONE, 0
    try:
        workers = training.connect(given.get("distributed"), given.get("distributed_timeout", training.TIMEOUT))
        status = _start(given, workers)
    except training.SharedError as error:  # raised on all workers
        status = 2
        if workers.rank == 0:
            print(f"do_exp.py: error: {error}", file=sys.stderr)
    except ValueError as error:
        status = 2
        print(f"do_exp.py: error: {error}", file=sys.stderr)
    except BrokenPipeError:  # the reader, such as `| head`, has closed the pipe
        status = 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout once more as it exits
    except OSError as error:
        status = 1
        print(f"do_exp.py: error: {error}. Checkpoints written before are intact: --resume continues", file=sys.stderr)
    except mx.MXNetError as error:
        if workers.size == 1:
            raise
        status = 1
        print(
            f"do_exp.py: error: worker {workers.rank}: another worker is lost, or the engine failed: {error}. "
            "Checkpoints written before are intact: --resume continues",
            file=sys.stderr,
        )
    except KeyboardInterrupt:
        status = 130
    workers.leave(status)
    return status


def _start(given: dict[str, Any], workers: Workers) -> int:
    """Settle which run it is, and with which settings, the same for all workers; then train."""
    from gluon_classics import training
    from gluon_classics.do_exp import do_exp
    from gluon_classics.training.resuming import Resumed, versions_that_must_agree

    import mxnet as mx

    machine = settings_that(OF_THE_MACHINE)
    flags = {flag(name): value for name, value in given.items() if name not in machine}
    workers.must_agree("settings", lambda: flags)
    workers.must_agree("versions", versions_that_must_agree)
    chosen = workers.from_first(lambda: _choose_run(given, workers))
    if chosen["finished"]:
        return 0
    own = {name: given[name] for name in machine & given.keys()} if workers.rank > 0 else {}
    config = RunConfig(**{**chosen["config"], **own})
    resumed = chosen["resumed"] and Resumed(config, **chosen["resumed"])
    try:
        with training.StopSignals() as stop:
            return do_exp(config, stop, resumed, workers)
    except mx.MXNetError as error:
        if not training.out_of_memory(error):
            raise
        advice = training.advice_on_memory(config.batch_size, config.accumulate)
        print(f"do_exp.py: error: {advice}", file=sys.stderr, flush=True)
        os._exit(1)  # without memory, MXNet often crashes on its way out


def _choose_run(given: dict[str, Any], workers: Workers) -> dict[str, Any]:
    """The run to resume, or a new one, as a value fit for JSON."""
    from gluon_classics.training.resuming import find_run, is_finished, settings_of

    run = find_run(given) if given.get("resume") else None
    if run and is_finished(run, given):
        print(f"{run} is finished: there is nothing to resume; more --epochs would continue it")
        return {"finished": True}
    if run:
        print(f"Resuming {run}")
        config, before, changes, same_batches = settings_of(run, given, workers)
        resumed = {"before": before, "changes": changes, "same_batches": same_batches}
    else:
        if given.get("resume"):
            print(f"There is no run in {given['out']}: a new one begins")
            force = given.get("force", False) and given.get("dtype") == "bfloat16"
            given = {**given, "resume": False, "force": force}
        config, resumed = _new_config(given), None
    return {"finished": False, "config": dataclasses.asdict(config), "resumed": resumed}


def _new_config(given: dict[str, Any]) -> RunConfig:
    """The settings of a new run. Raises ValueError, also for an unknown network, and one without auxiliary heads."""
    from gluon_classics import models

    models.model_info(given.get("net", "lenet"))
    config = RunConfig.complete(given)
    if not config.aux:
        return config
    try:
        smallest = models.get_model(config.net, **config.net_args).smallest_size
    except TypeError:
        raise ValueError(f"--aux: {config.net} has no auxiliary heads") from None
    if config.resize and "resize" not in given:  # inception_v3's head needs 299
        config = dataclasses.replace(config, resize=max(config.resize, smallest))
    return config


def _split(words: list[str]) -> list[str | int]:
    try:
        return split(" ".join(words))
    except ValueError as error:
        raise ValueError(f"--split: {error}") from None


def _settings_in(file: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in a run's config.json that a new run takes over. Raises ValueError.

    With another optimizer `given`, learning rate and momentum are not taken over: they belong to the run's.
    """
    try:
        settings = stored_config(read_config(file))
    except OSError as error:
        raise ValueError(f"--config {file}: {error.strerror}") from None
    left_out = OF_ONE_RUN
    if given.get("optimizer", settings.get("optimizer")) != settings.get("optimizer"):
        left_out = left_out | {"lr", "momentum"}
    return {name: value for name, value in settings.items() if name not in left_out and value is not None}


def main(argv: list[str] | None = None) -> int:
    """What experiments/do_exp.py calls."""
    parser = Parser(prog="do_exp.py")
    add_arguments(parser)
    return run(parser.parse_args(argv))
