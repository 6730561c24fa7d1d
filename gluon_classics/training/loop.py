"""The training loop: the tutorial's, over one or many devices, without a stall in any batch."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from time import perf_counter
from typing import Callable

from gluon_classics.training.batches import as_list, device_batches
from gluon_classics.training.distributed import ALONE, Workers
from gluon_classics.training.metrics import Metrics
from gluon_classics.training.randomness import step_seed
from gluon_classics.training.step import Step, heads
from gluon_classics.training.weight_average import averaged

import mxnet as mx
import numpy as np
from mxnet import gluon, nd
from tqdm import tqdm


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch gave. Losses and accuracies are means over examples; None for a set that was not read."""

    epoch: int
    train_loss: float
    train_acc: float
    val_loss: float | None
    val_acc: float | None
    test_loss: float | None
    test_acc: float | None
    learning_rate: float  # at the end of the epoch
    gradient_norm: float | None  # the largest one measured, of the mean loss
    seconds: float  # with the evaluation
    images_per_second: float  # of the training part alone


@dataclass
class Progress:
    """How far a training is: `batch` batches of `epoch` are done, with these sums, in so many seconds."""

    epoch: int = 0
    batch: int = 0
    sums: dict | None = None  # of Metrics; None at the start of an epoch
    seconds: float = 0.0


class StopTraining(Exception):
    """Raised by a callback: the training ends where it is, without an error."""


def evaluate(data, net, loss, ctx, check_stop: Callable[[], None] | None = None, workers: Workers = ALONE) -> Metrics:
    """Loss and accuracy over every image of `data`, the last short batch included.

    `check_stop` and `workers` as in `train`.
    """
    nd.waitall()  # batch norm's running statistics may lag behind in a net hybridized with static_shape
    metrics = Metrics()
    for images, labels in device_batches(data, as_list(ctx)):
        outputs = [heads(net(X))[0] for X in images]
        metrics.add([loss(out, y) for out, y in zip(outputs, labels)], outputs, labels)
        if check_stop:
            check_stop()
    return metrics.over(workers)


def evaluate_accuracy(data_iterator, net, ctx=None) -> float:
    """Top-1 accuracy in 0..1 over every image, the last short batch included. ctx: device(s); None is the CPU."""
    return evaluate(data_iterator, net, gluon.loss.SoftmaxCrossEntropyLoss(), ctx or mx.cpu()).accuracy


def predict(data, net, ctx, check_stop: Callable[[], None] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) and logits (N, classes) of every image, in the order of `data`; `check_stop` as in `train`."""
    nd.waitall()
    labels, logits = [], []
    for images, these in device_batches(data, as_list(ctx)):
        logits += [heads(net(X))[0].asnumpy() for X in images]
        labels += [y.asnumpy().astype(np.int64) for y in these]
        if check_stop:
            check_stop()
    return np.concatenate(labels), np.concatenate(logits)


def train(
    train_data,
    test_data,
    net,
    loss,
    trainer,
    ctx,
    num_epochs: int,
    print_batches: int | None = None,
    *,
    val_data=None,
    step: Step | None = None,
    average=None,
    workers: Workers = ALONE,
    seed: int | None = None,
    start: Progress | None = None,
    log: Callable[[str], None] = print,
    on_batch_end: Callable[[Progress, Metrics], None] | None = None,
    on_epoch_end: Callable[[EpochRecord], None] | None = None,
    check_stop: Callable[[], None] | None = None,
    progress: bool | None = None,
) -> None:
    """Train `net`, printing one line an epoch. The loss of a network with auxiliary heads includes theirs.

    Parameters
    ----------
    train_data : loader of batches: gluon_classics' or MXNet's, or any iterable of (images, labels).
    test_data, val_data : the same, evaluated after each epoch; None leaves it out.
    net, loss, trainer : an initialized Gluon network, a Gluon loss, a gluon.Trainer of the network's parameters.
    ctx : the device, or a list of devices, over which each batch is split.
    print_batches : print a line every so many batches.
    step : how a batch updates the weights, with a loss of its own where that smooths labels; None is
        Step(net, loss, trainer).
    average : a WeightAverage of `net`, updated after each step; the evaluation then uses the averaged weights.
    workers : those that train together, each with its part of the data; step and trainer are made for them, too.
    seed : makes a step's random operators depend on (seed, epoch, batch, worker) alone, as an exact resume needs.
    start : go on from there, with weights and optimizer as they were then; a loader's ``epoch`` is set to it.
    log : receives each line.
    on_batch_end : receives the progress and the metrics after each step.
    on_epoch_end : receives the EpochRecord of each epoch.
    check_stop : called after each batch of an evaluation. If it raises StopTraining, on_batch_end is called once more,
        for the end of the epoch's batches, as the place to go on from.
    progress : whether to draw a progress bar on stderr; None draws it on a terminal alone.

    A callback ends the training by raising StopTraining. Raises NonFiniteLoss, naming epoch and batch, when the loss
    or the gradient is NaN or infinite, and ValueError for an epoch without a batch.
    """
    log(f"Start training on {ctx}" + (f" with {workers.size} workers" if workers.size > 1 else ""))
    ctx = as_list(ctx)
    step = step or Step(net, loss, trainer)
    start = start or Progress()
    if hasattr(train_data, "epoch"):
        train_data.epoch = start.epoch
    for epoch in range(start.epoch, num_epochs):
        begun = start if epoch == start.epoch else Progress(epoch)
        began = perf_counter() - begun.seconds
        metrics = Metrics(f"epoch {epoch}", warn=log)
        if begun.sums:
            metrics.sums = dict(begun.sums)
        bar = _progress_bar(train_data, f"Epoch {epoch}", progress if workers.rank == 0 else False)
        with bar:
            for i, (images, labels) in enumerate(
                device_batches(train_data, ctx, begun.batch, step.accumulate), begun.batch
            ):
                if seed is not None:
                    mx.random.seed(step_seed(seed, epoch, i, workers.rank))
                losses, outputs, norm = step(images, labels, ctx, i)
                metrics.add(losses, outputs, labels, norm)
                if average:
                    average.update()
                bar.update(sum(X.shape[0] for X in images) * workers.size)
                if print_batches and (i + 1) % print_batches == 0:
                    so_far = metrics.over(workers)
                    bar.clear()
                    log(f"Batch {so_far.examples}. Loss: {so_far.loss:f}, Train acc {so_far.accuracy:f}")
                if on_batch_end:
                    on_batch_end(Progress(epoch, i + 1, metrics.sums, perf_counter() - began), metrics)
            total = metrics.over(workers)
        if total.examples == 0:
            raise ValueError("the training data has no whole batch: take a smaller batch size")
        trained = perf_counter()
        try:
            with averaged(average), workers.mean_statistics(net):
                val, test = (
                    evaluate(data, net, loss, ctx, check_stop, workers) if data else None
                    for data in (val_data, test_data)
                )
        except StopTraining:
            if on_batch_end:
                on_batch_end(Progress(epoch, metrics.batches, metrics.sums, trained - began), metrics)
            raise
        record = EpochRecord(
            epoch=epoch,
            train_loss=total.loss,
            train_acc=total.accuracy,
            val_loss=val and val.loss,
            val_acc=val and val.accuracy,
            test_loss=test and test.loss,
            test_acc=test and test.accuracy,
            learning_rate=trainer.learning_rate,
            gradient_norm=metrics.gradient_norm,
            seconds=perf_counter() - began,
            images_per_second=total.examples / (trained - began),
        )
        log(epoch_line(record))
        if on_epoch_end:
            on_epoch_end(record)


def epoch_line(record: EpochRecord) -> str:
    """The tutorial's line."""
    accuracies = {"Train": record.train_acc, "Val": record.val_acc, "Test": record.test_acc}
    words = [f"{name} acc {value:.2f}" for name, value in accuracies.items() if value is not None]
    return f"Epoch {record.epoch}. Loss: {record.train_loss:.3f}, {', '.join(words)}, Time {record.seconds:.1f} sec"


def _progress_bar(data, title: str, progress: bool | None):
    """A bar in images, with images/s and the time left; silent off a terminal."""
    total = None
    if hasattr(data, "batch_size") and hasattr(data, "__len__"):
        total = len(data) * data.batch_size
    shown = sys.stderr.isatty() if progress is None else progress
    return tqdm(total=total, desc=title, unit=" images", unit_scale=True, leave=False, disable=not shown)
