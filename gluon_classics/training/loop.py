"""The training loop: the tutorial's, over one or many devices, without a stall in any batch."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Callable

import mxnet as mx
from mxnet import autograd, gluon, nd
from tqdm import tqdm

# Batches whose results may be outstanding. Python stays this far ahead of the devices: enough to keep them busy, and
# little enough that the queue of the engine, and with it the memory, stays bounded.
QUEUE = 4


class NonFiniteLoss(ArithmeticError):
    """The loss became NaN or infinite; the message names the epoch and the batch."""


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch gave. Losses and accuracies are means over examples; seconds include the evaluation."""

    epoch: int
    train_loss: float
    train_acc: float
    test_loss: float
    test_acc: float
    seconds: float
    images_per_second: float  # of the training part alone


class Metrics:
    """Sums of loss and correct answers: each batch's are made on its devices, and read :data:`QUEUE` batches late.

    By then a result has long been computed, so that reading it stalls no device, and waiting for it is what bounds
    the queue.
    """

    def __init__(self, training: str | None = None):
        self.training = training  # names what is trained; its loss has to be finite
        self.loss_sum, self.correct, self.examples = 0.0, 0.0, 0
        self.batches = 0
        self._outstanding: deque = deque()

    def add(self, losses: list, outputs: list, labels: list) -> None:
        """Enter one batch: per device, loss (n,), logits (n, classes) and labels (n,)."""
        self._outstanding.append(
            [
                (nd.concat(loss.sum().astype("float64"), correct(out, y).astype("float64"), dim=0), y.size)
                for loss, out, y in zip(losses, outputs, labels)
            ]
        )
        if len(self._outstanding) > QUEUE:
            self._read()

    def finish(self) -> Metrics:
        """Wait for every batch entered."""
        while self._outstanding:
            self._read()
        return self

    @property
    def loss(self) -> float:
        return self.loss_sum / self.examples if self.examples else math.nan

    @property
    def accuracy(self) -> float:
        return self.correct / self.examples if self.examples else math.nan

    def _read(self) -> None:
        self.batches += 1
        for sums, n in self._outstanding.popleft():
            loss, right = sums.asnumpy().tolist()
            if self.training and not math.isfinite(loss):
                raise NonFiniteLoss(f"the loss is {loss} in {self.training}, batch {self.batches}")
            self.loss_sum += loss
            self.correct += right
            self.examples += n


def correct(output: nd.NDArray, label: nd.NDArray) -> nd.NDArray:
    """How many rows of the logits (n, classes) have their maximum at the label (n,)."""
    return (output.argmax(axis=1).astype("float32") == label.astype("float32")).sum()


def heads(output) -> tuple[nd.NDArray, list]:
    """A network's logits, and the logits of its auxiliary heads, if it returns any."""
    logits, *aux = output if isinstance(output, (list, tuple)) else [output]
    return logits, aux


def loss_of_heads(net, loss, output, label) -> nd.NDArray:
    """The loss of each image (n,): that of the logits, plus each auxiliary head's times its ``net.aux_weights``."""
    logits, aux = heads(output)
    weights = getattr(net, "aux_weights", ())
    if aux and len(aux) != len(weights):
        raise ValueError(f"the network returns {len(aux)} auxiliary outputs, but its aux_weights are {weights}")
    return sum((weight * loss(each, label) for weight, each in zip(weights, aux)), loss(logits, label))


def as_list(ctx) -> list:
    """A context or a list of contexts as a list. Raises ValueError for anything else."""
    devices = [ctx] if isinstance(ctx, mx.Context) else ctx
    if not isinstance(devices, (list, tuple)) or not all(isinstance(each, mx.Context) for each in devices):
        raise ValueError(f"ctx is {ctx!r}, but a device is mx.cpu() or mx.gpu(0), or a list of them")
    return list(devices)


def device_batches(data, ctx: list) -> Iterator[tuple[list, list]]:
    """For each batch, its slices of images and labels, one for each device.

    `data` yields mx.io.DataBatch or (images, labels). The project's own loader is asked for its raw uint8 batches:
    they are split, sent, and only then transformed, each slice on its device. A batch that does not divide evenly is
    split unevenly; one smaller than the number of devices goes to the first of them.
    """
    if isinstance(data, mx.io.DataIter):
        data.reset()
    raw = hasattr(data, "raw_batches")
    transform = data.transform if raw else None
    for batch in data.raw_batches() if raw else data:
        if isinstance(batch, mx.io.DataBatch):
            n = batch.data[0].shape[0] - batch.pad  # the padding repeats examples
            images, labels = batch.data[0][:n], batch.label[0][:n]
        else:
            images, labels = batch
        devices = ctx[: images.shape[0]]
        slices = zip(
            gluon.utils.split_and_load(images, devices, even_split=False),
            gluon.utils.split_and_load(labels, devices, even_split=False),
        )
        slices = [transform(X, y) if transform else (X, y) for X, y in slices]
        yield [X for X, _ in slices], [y for _, y in slices]


def evaluate(data, net, loss, ctx) -> Metrics:
    """Loss and accuracy over every image of `data`, the last short batch included."""
    nd.waitall()  # batch norm's running statistics may lag behind in a net hybridized with static_shape
    metrics = Metrics()
    for images, labels in device_batches(data, as_list(ctx)):
        outputs = [heads(net(X))[0] for X in images]
        metrics.add([loss(out, y) for out, y in zip(outputs, labels)], outputs, labels)
    return metrics.finish()


def evaluate_accuracy(data_iterator, net, ctx=None) -> float:
    """Top-1 accuracy in 0..1 over every image, the last short batch included. ctx: device(s); None is the CPU."""
    return evaluate(data_iterator, net, gluon.loss.SoftmaxCrossEntropyLoss(), ctx or mx.cpu()).accuracy


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
    log: Callable[[str], None] = print,
    on_epoch_end: Callable[[EpochRecord], None] | None = None,
    progress: bool | None = None,
) -> None:
    """Train `net`, printing one line an epoch. The loss of a network with auxiliary heads includes theirs.

    Parameters
    ----------
    train_data, test_data : loaders of batches: gluon_classics' and MXNet's, or any iterable of (images, labels).
    net, loss, trainer : an initialized Gluon network, a Gluon loss, a gluon.Trainer of the network's parameters.
    ctx : the device, or a list of devices, over which each batch is split.
    print_batches : print a line every so many batches.
    log : receives each line.
    on_epoch_end : receives the EpochRecord of each epoch.
    progress : whether to draw a progress bar on stderr; None draws it on a terminal alone.

    Raises NonFiniteLoss, naming epoch and batch, when the loss is NaN or infinite, and ValueError for an epoch
    without a batch.
    """
    log(f"Start training on {ctx}")
    ctx = as_list(ctx)
    for epoch in range(num_epochs):
        start = perf_counter()
        bar = _progress_bar(train_data, f"Epoch {epoch}", progress)
        metrics = Metrics(f"epoch {epoch}")
        with bar:
            for i, (images, labels) in enumerate(device_batches(train_data, ctx)):
                with autograd.record():
                    outputs = [net(X) for X in images]
                    losses = [loss_of_heads(net, loss, out, y) for out, y in zip(outputs, labels)]
                for each in losses:
                    each.backward()
                _idle_devices(net, images[0], ctx[len(images) :])
                batch_size = sum(X.shape[0] for X in images)
                trainer.step(batch_size)
                metrics.add(losses, [heads(out)[0] for out in outputs], labels)
                bar.update(batch_size)
                if print_batches and (i + 1) % print_batches == 0:
                    metrics.finish()
                    bar.clear()
                    log(f"Batch {metrics.examples}. Loss: {metrics.loss:f}, Train acc {metrics.accuracy:f}")
            metrics.finish()
        if metrics.examples == 0:
            raise ValueError("the training data has no whole batch: take a smaller batch size")
        trained = perf_counter()
        test = evaluate(test_data, net, loss, ctx)
        record = EpochRecord(
            epoch=epoch,
            train_loss=metrics.loss,
            train_acc=metrics.accuracy,
            test_loss=test.loss,
            test_acc=test.accuracy,
            seconds=perf_counter() - start,
            images_per_second=metrics.examples / (trained - start),
        )
        log(
            f"Epoch {epoch}. Loss: {record.train_loss:.3f}, Train acc {record.train_acc:.2f}, "
            f"Test acc {record.test_acc:.2f}, Time {record.seconds:.1f} sec"
        )
        if on_epoch_end:
            on_epoch_end(record)


def _idle_devices(net, images: nd.NDArray, devices: list) -> None:
    """Zero gradients on the devices that a short batch left without an example, for the Trainer to add up."""
    for device in devices:
        with autograd.record():
            logits, aux = heads(net(images[:1].as_in_context(device)))
            nothing = sum((each.sum() for each in aux), logits.sum()) * 0
        nothing.backward()


def _progress_bar(data, title: str, progress: bool | None):
    """A bar in images, with images/s and the time left; silent off a terminal."""
    total = None
    if hasattr(data, "batch_size") and hasattr(data, "__len__"):
        total = len(data) * data.batch_size
    shown = sys.stderr.isatty() if progress is None else progress
    return tqdm(total=total, desc=title, unit=" images", unit_scale=True, leave=False, disable=not shown)
