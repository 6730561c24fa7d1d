"""The sides of benchmark.py train that run in MXNet: this project, and the tutorial's own code.

Each function of a side takes a number of batches, and returns when they are done.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_classics import data, devices, models, training

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, nd
from train_side import Setting

CPU = mx.cpu()
# Small, so that hundreds of steps on one batch stay finite; speed does not depend on it.
LEARNING_RATE = 0.001


def images_of(setting: Setting, count: int) -> data.ImageDataset:
    """So many real images: those of the sample, again and again, with the network's number of channels."""
    sample, _ = data.load_dataset("fashion-mnist-sample")
    rows = np.arange(count) % len(sample)
    images = np.repeat(sample.images[rows], setting.channels, axis=3)
    return data.ImageDataset(images, sample.labels[rows], sample.classes, sample.name)


def synthetic_batch(setting: Setting) -> tuple[nd.NDArray, nd.NDArray]:
    shape = (setting.batch_size, setting.channels, setting.size, setting.size)
    return nd.random.uniform(shape=shape), nd.arange(setting.batch_size) % 10


def project(setting: Setting) -> dict[str, Callable[[int], None]]:
    """As do_exp.py runs it: hybridized, with the project's loader and loop, SGD with momentum."""
    training.enable_dtype(setting.dtype)
    net = models.get_model(setting.network, in_channels=setting.channels)
    net.initialize(mx.init.Xavier(), ctx=CPU)
    devices.hybridize(net, [CPU])
    X, y = synthetic_batch(setting)
    net(X[:1]).wait_to_read()
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    optimizer = {"learning_rate": LEARNING_RATE, "momentum": 0.9}
    trainer = gluon.Trainer(net.collect_params(), "sgd", optimizer, update_on_kvstore=False)
    seed = 0 if training.draws_random_numbers(net) else None

    def train_on(batches):
        training.train(batches, None, net, loss, trainer, CPU, 1, seed=seed, log=_silent, progress=False)
        nd.waitall()

    @lru_cache(None)
    def loader(count):
        transform = data.ImageTransform(setting.size)
        return data.DataLoader(images_of(setting, count * setting.batch_size), setting.batch_size, True, transform)

    def load(count):
        for images, _ in loader(count):
            images.wait_to_read()

    return {
        "train": lambda count: train_on(loader(count)),
        "train_synthetic": lambda count: train_on([(X, y)] * count),
        "load": load,
        "infer": lambda count: _infer(net, X, count),
    }


def tutorial(setting: Setting) -> dict[str, Callable[[int], None]]:
    """The tutorial's own code: imperative, one imresize per image, a stop in every batch, plain SGD."""
    from benchmark import TutorialLoader

    net = models.get_model(setting.network, in_channels=setting.channels)
    net.initialize(mx.init.Xavier(), ctx=CPU)
    X, _ = synthetic_batch(setting)
    net(X[:1]).wait_to_read()
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": LEARNING_RATE})

    @lru_cache(None)
    def loader(count):
        images = images_of(setting, count * setting.batch_size)
        resize = None if images.images.shape[1] == setting.size else setting.size
        return TutorialLoader(images, setting.batch_size, resize)

    def train(count):
        tutorial_train(loader(count), net, loss, trainer, [CPU])
        nd.waitall()

    return {"train": train, "infer": lambda count: _infer(net, X, count)}


def tutorial_train(train_data, net, loss, trainer, ctx: list) -> tuple[float, float]:
    """One epoch of the tutorial's loop as it was printed, without the test at its end: mean loss and accuracy."""
    train_loss, train_acc, n, m = 0.0, 0.0, 0.0, 0.0
    for batch in train_data:
        features, labels = (gluon.utils.split_and_load(part, ctx) for part in batch)
        batch_size = batch[0].shape[0]
        with autograd.record():
            outputs = [net(X) for X in features]
            losses = [loss(yhat, y) for yhat, y in zip(outputs, labels)]
        for each in losses:
            each.backward()
        train_acc += sum((yhat.argmax(axis=1) == y).sum().asscalar() for yhat, y in zip(outputs, labels))
        train_loss += sum(each.sum().asscalar() for each in losses)
        trainer.step(batch_size)
        n += batch_size
        m += sum(y.size for y in labels)
    return train_loss / n, train_acc / m


def _infer(net, X: nd.NDArray, count: int) -> None:
    for _ in range(count):
        net(X).wait_to_read()


def _silent(line: str) -> None:
    pass
