"""The training loop: the tutorial's, over one or many devices, without a stall in any batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from time import perf_counter
from typing import Any

from gluon_classics.training.batches import RawLoader, as_list, device_batches
from gluon_classics.training.callbacks import Callback, Log
from gluon_classics.training.distributed import ALONE, Workers
from gluon_classics.training.metrics import Metrics
from gluon_classics.training.progress import EpochRecord, Progress
from gluon_classics.training.step import Step, heads

import mxnet as mx
import numpy as np
from mxnet import gluon, nd


def train(
    train_data: Iterable[Any],
    test_data: Iterable[Any] | Mapping[str, Iterable[Any] | None] | None,
    net: gluon.Block,
    loss: gluon.loss.Loss,
    trainer: gluon.Trainer,
    ctx: mx.Context | Sequence[mx.Context],
    num_epochs: int,
    print_batches: int | None = None,
    step: Step | None = None,
    callbacks: Sequence[Callback] = (),
    start: Progress | None = None,
) -> None:
    """Train `net`, printing one line an epoch. The loss of a network with auxiliary heads includes theirs.

    Parameters
    ----------
    train_data : loader of batches: gluon_classics' or MXNet's, or any iterable of (images, labels).
    test_data : the same, evaluated after each epoch; None for no evaluation, {"val": ..., "test": ...} for two sets.
    net, loss, trainer : an initialized Gluon network, a Gluon loss, a gluon.Trainer of the network's parameters.
    ctx : the device, or a list of devices, over which each batch is split.
    print_batches : print a line every that many batches.
    step : how a batch updates the weights; None is Step(net, loss, trainer).
    callbacks : what is called after batches and epochs. Unless a Log is among them, Log(print_batches) is put first.
    start : the place to continue from, with weights and optimizer as they were there.

    Raises NonFiniteLoss, naming epoch and batch, if the loss or the gradient is NaN or infinite, and ValueError for an
    epoch without a batch.
    """
    devices, step, start = as_list(ctx), step or Step(net, loss, trainer), start or Progress()
    sets = test_data if isinstance(test_data, Mapping) else {"test": test_data}
    if not any(isinstance(callback, Log) for callback in callbacks):
        print(f"Start training on {ctx}")
        callbacks = [Log(print_batches, data=train_data), *callbacks]
    if isinstance(train_data, RawLoader):
        train_data.epoch = start.epoch
    for epoch in range(start.epoch, num_epochs):
        begun = start if epoch == start.epoch else Progress(epoch)
        began = perf_counter() - begun.seconds
        metrics = Metrics(f"epoch {epoch}", step.workers, begun.sums)
        batches = device_batches(train_data, devices, begun.batch, step.accumulate)
        for i, (images, labels) in enumerate(batches, begun.batch):
            losses, outputs, norm = step(images, labels, devices, i, epoch)
            metrics.add(losses, outputs, labels, norm)
            for callback in callbacks:
                callback.on_batch_end(Progress(epoch, i + 1, metrics.sums, perf_counter() - began), metrics)
        total = metrics.total()
        if total.examples == 0:
            raise ValueError("the training data has no whole batch: use a smaller batch size")
        trained = perf_counter()
        results = {}
        with ExitStack() as contexts:
            for callback in reversed(callbacks):
                contexts.enter_context(callback.evaluating())
            contexts.enter_context(step.workers.mean_statistics(net))
            for name, data in sets.items():
                if data is not None:
                    results[name] = evaluate(data, net, loss, devices, callbacks, step.workers)
        val, test = results.get("val"), results.get("test")
        record = EpochRecord(
            epoch=epoch,
            train_loss=total.loss,
            train_acc=total.accuracy,
            val_loss=val.loss if val else None,
            val_acc=val.accuracy if val else None,
            test_loss=test.loss if test else None,
            test_acc=test.accuracy if test else None,
            learning_rate=trainer.learning_rate,
            gradient_norm=metrics.gradient_norm,
            seconds=perf_counter() - began,
            images_per_second=total.examples / (trained - began),
        )
        if any([callback.on_epoch_end(record) for callback in callbacks]):
            break


def evaluate(
    data: Iterable[Any],
    net: gluon.Block,
    loss: gluon.loss.Loss,
    ctx: mx.Context | Sequence[mx.Context],
    callbacks: Sequence[Callback] = (),
    workers: Workers = ALONE,
) -> Metrics:
    """Return loss and accuracy over every image of `data`, including a short last batch, and of all `workers`."""
    nd.waitall()  # running statistics of a net hybridized with static_shape are written late
    metrics = Metrics(workers=workers)
    for images, labels in device_batches(data, as_list(ctx)):
        outputs = [heads(net(X))[0] for X in images]
        metrics.add([loss(out, y) for out, y in zip(outputs, labels)], outputs, labels)
        for callback in callbacks:
            callback.on_evaluation_batch()
    return metrics.total()


def evaluate_accuracy(
    data_iterator: Iterable[Any], net: gluon.Block, ctx: mx.Context | Sequence[mx.Context] | None = None
) -> float:
    """Return the top-1 accuracy, 0 to 1, over every image, including a short last batch. ctx: None is the CPU."""
    return evaluate(data_iterator, net, gluon.loss.SoftmaxCrossEntropyLoss(), ctx or mx.cpu()).accuracy


def predict(
    data: Iterable[Any],
    net: gluon.Block,
    ctx: mx.Context | Sequence[mx.Context],
    after_batch: Callable[[], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (N,) and logits (N, classes) of every image, in the order of `data`."""
    nd.waitall()
    labels, logits = [], []
    for images, these in device_batches(data, as_list(ctx)):
        logits += [heads(net(X))[0].asnumpy() for X in images]
        labels += [y.asnumpy().astype(np.int64) for y in these]
        if after_batch:
            after_batch()
    return np.concatenate(labels), np.concatenate(logits)
