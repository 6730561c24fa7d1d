"""The steps of a run around its training: seeds, optimizer, run folder, config.json, and why it ended early."""

from __future__ import annotations

import random
import sys
from dataclasses import asdict
from typing import NamedTuple

from gluon_classics import data
from gluon_classics.models.layers import Network
from gluon_classics.printable import printable
from gluon_classics.training.callbacks import Callback, Log
from gluon_classics.training.checkpointer import Checkpointer
from gluon_classics.training.config import RunConfig
from gluon_classics.training.distributed import SharedError, Workers
from gluon_classics.training.early_stopping import EarlyStopping
from gluon_classics.training.found import Found
from gluon_classics.training.losses import LabelSmoothing
from gluon_classics.training.precision import check_dtype
from gluon_classics.training.progress import Progress, StopTraining
from gluon_classics.training.randomness import draws_random_numbers
from gluon_classics.training.resuming import Resumed, commit, versions
from gluon_classics.training.run_data import RunData, class_counts
from gluon_classics.training.run_folder import RunFolder, UnwrittenRun, new_run_folder
from gluon_classics.training.schedules import make_schedule
from gluon_classics.training.signals import StopSignals
from gluon_classics.training.step import Step
from gluon_classics.training.weight_average import WeightAverage
from gluon_classics.training.weight_decay import weight_decay_on_weights_only

import mxnet as mx
import numpy as np
from mxnet import gluon, nd


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and MXNet."""
    random.seed(seed)
    np.random.seed(seed)
    mx.random.seed(seed)


def check_settings(config: RunConfig, devices: list[mx.Context], workers: Workers) -> None:
    """Raise ValueError for settings that do not fit the devices or the number of workers."""
    if config.batch_size % workers.size:
        less = max(config.batch_size // workers.size, 1) * workers.size
        raise SharedError(
            f"--batch-size {config.batch_size} cannot be divided among {workers.size} workers: use {less}, or "
            f"{less + workers.size}"
        )
    check_dtype(config.dtype, devices, config.force or config.resume)
    if config.optimizer == "nadam" and len(devices) > 1:
        raise ValueError("--optimizer nadam: MXNet lets the devices' weights drift apart; use adam, or one device")


def show_one_image(net: Network, train_data: data.DataLoader, devices: list[mx.Context], verbose: bool) -> None:
    """Send one image through the network, which fixes the shapes of its weights. `verbose` prints its layers."""
    assert train_data.transform is not None
    image, label = train_data.dataset[:1]
    if verbose:
        print(net)
    for i, each in enumerate(devices):
        net.verbose = verbose and i == 0
        net(train_data.transform(image.as_in_context(each), nd.array(label, ctx=each))[0])
    net.verbose = False


def make_trainer(config: RunConfig, net: gluon.Block, batches_per_epoch: int, workers: Workers) -> gluon.Trainer:
    """Return the optimizer with its schedule."""
    if config.wd_weights_only:
        weight_decay_on_weights_only(net)
    settings = config.optimizer_settings(workers.size)
    schedule = make_schedule(
        config.schedule, settings["learning_rate"], config.epochs, batches_per_epoch, config.warmup_epochs
    )
    return workers.trainer(net, config.optimizer, {**settings, "lr_scheduler": schedule})


def make_step(
    config: RunConfig,
    found: Found,
    net: gluon.HybridBlock,
    loss: gluon.loss.Loss,
    trainer: gluon.Trainer,
    workers: Workers,
) -> Step:
    """Return the Step that the settings ask for."""
    trained = LabelSmoothing(config.label_smoothing) if config.label_smoothing else loss
    seed = config.seed if draws_random_numbers(net) else None
    return Step(net, trained, trainer, found.accumulate, config.clip, found.dtype, workers, seed)


def open_run(config: RunConfig, dataset: str, workers: Workers) -> RunFolder:
    """Open the run folder, which only the first worker writes."""
    if workers.rank > 0:
        return UnwrittenRun(config.out or "")
    if config.out is None:
        return new_run_folder("runs", f"{config.net}-{dataset}", config.tensorboard)
    return RunFolder(config.out, config.resume, config.tensorboard)


class Callbacks(NamedTuple):
    """The callbacks of a run, in the order they are called."""

    average: WeightAverage | Callback
    checkpointer: Checkpointer
    log: Log
    early: EarlyStopping


def make_callbacks(
    config: RunConfig, run: RunFolder, step: Step, train_data: data.DataLoader, stop: StopSignals
) -> Callbacks:
    """Return the weight average, checkpoints, lines and early stopping that the settings ask for."""
    average = WeightAverage(step.net, config.ema) if config.ema else None
    checkpointer = Checkpointer(
        run, step, average, stop, config.checkpoint_batches, config.checkpoint_minutes, step.workers
    )
    log = Log(config.print_batches, run.log, train_data, bar=None if step.workers.rank == 0 else False)
    stop.training = True
    return Callbacks(average or Callback(), checkpointer, log, EarlyStopping(run, config.patience))


def continue_from(callbacks: Callbacks, config: RunConfig, resumed: Resumed | None) -> Progress | None:
    """Restore the last checkpoint of a resumed run, and return its place; None to begin anew.

    Raises ValueError if the run has already made more epochs than `config` asks for.
    """
    if not resumed:
        return None
    run = callbacks.checkpointer.run
    start = callbacks.checkpointer.restore()
    if start is None:
        run.log("No checkpoint: the run begins anew")
        return None
    if not resumed.same_batches:
        start = Progress(start.epoch)
    if (start.epoch, start.batch) > (config.epochs, 0):
        raise ValueError(f"--epochs {config.epochs}: {run.path} is already in epoch {start.epoch + 1}; use more")
    run.log(f"Resumed after {start.batch} batches of epoch {start.epoch}")
    return Progress(config.epochs) if callbacks.early.is_over() else start


def write_config(
    run: RunFolder,
    config: RunConfig,
    found: Found,
    loaded: RunData,
    net: gluon.Block,
    devices: list[mx.Context],
    resumed: Resumed | None,
    workers: Workers,
) -> None:
    """Write config.json and split.json, and log the settings."""
    dataset = loaded.train.dataset
    before = resumed.before if resumed else {}
    parameters = sum(p.data(devices[0]).size for p in net.collect_params().values() if p.grad_req != "null")
    content = {
        **asdict(config),
        **asdict(found),
        "dataset": dataset.name,
        "data_folder": dataset.origin,
        "classes": dataset.classes,
        "train_images": len(dataset),
        "val_images": len(loaded.val.dataset) if loaded.val else 0,
        "test_images": len(loaded.test.dataset),
        "stored_size": list(dataset.images.shape[1:3]),
        "class_counts": class_counts(dataset),
        "train_brightness": data.brightness(dataset.images)._asdict(),
        "parameters": parameters,
        "devices": [str(each) for each in devices] * workers.size,
        "notes": before.get("notes", []) + found.notes,
        "versions": versions(),
        "commit": commit(),
        "command": before.get("command", sys.argv),
        "resumed_by": [*before.get("resumed_by", []), sys.argv] if resumed else [],
    }
    run.write_json("config", content)
    run.remove("result.json")  # left by a resumed run with fewer epochs
    if loaded.split:
        run.write_text("split.json", loaded.split)
    for note in found.notes:
        run.log(note)
    for change in resumed.changes if resumed else ():
        run.log(f"Resuming with another setting: {change}")
    run.log(f"{config.net}: {parameters:,} parameters, input {found.resize}x{found.resize}, {found.dtype}")
    run.log(f"{len(dataset):,} training images of {dataset.name} in {printable(dataset.origin)}")
    if workers.size > 1:
        each = config.batch_size // workers.size
        run.log(f"{workers.size} workers over {workers.engine}, each with {each} images of a batch")
    settings = config.optimizer_settings(workers.size)
    if config.scale_lr:
        run.log(f"learning rate {config.lr:g} times {workers.size} workers: {settings['learning_rate']:g}")
    run.log(f"batch {config.batch_size}, {config.optimizer} {settings}, {config.schedule} learning rate")
    with_workers = f" with {workers.size} workers" if workers.size > 1 else ""
    run.log(f"Start training on {devices}{with_workers}")


def say_why(reason: Exception, callbacks: Callbacks, config: RunConfig, stop: StopSignals, workers: Workers) -> int:
    """Log why the run ended early, and how to continue. Returns the exit status."""
    run = callbacks.checkpointer.run
    callbacks.log.close()
    if isinstance(reason, StopTraining):
        name = "Ctrl-C" if stop.status == 130 else "SIGTERM"
        again = f"python experiments/do_exp.py --resume --out {run.path} continues"
        if workers.size > 1:
            again = f"the same job, with all its {workers.size} workers and --resume --out {run.path}, continues"
        run.log(f"Stopped by {name} after {len(run.records)} complete epochs: {again}")
        return stop.status
    line = f"Stopped: {reason}. A smaller --lr than {config.lr:g} may help, in a new run"
    if workers.rank == 0:
        run.log(line)
    else:
        print(line, file=sys.stderr)
    if run.checkpoints.is_dir():
        run.log(f"or from this one's last checkpoint: --resume --force --lr {config.lr / 10:g} --out {run.path}")
    return 2
