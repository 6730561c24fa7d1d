"""The MXNet sides of `train` and `models`: this project, the tutorial's code, plain networks and gluoncv's.

Each function of a side runs a number of batches and returns when they are done.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache

from gluon_classics import data, devices, models, training
from gluon_classics.convert import SOURCES

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, nd

from .setting import Setting, Side
from .tutorial_loader import TutorialLoader

CPU = mx.cpu()
LEARNING_RATE = 0.001  # keeps hundreds of steps on one batch finite; speed does not depend on it
LOSS = gluon.loss.SoftmaxCrossEntropyLoss()
Functions = dict[str, Callable[[int], None]]


def project(side: Side, setting: Setting) -> Functions:
    """A run of do_exp.py: hybridized, with the project's loader and loop, SGD with momentum."""
    training.enable_dtype(side.dtype)
    net = build(setting)
    devices.hybridize(net, [CPU])
    batch = synthetic_batch(setting)
    net(batch[0][:1]).wait_to_read()
    optimizer = {"learning_rate": LEARNING_RATE, "momentum": 0.9}
    trainer = gluon.Trainer(net.collect_params(), "sgd", optimizer, update_on_kvstore=False)
    step = training.Step(net, LOSS, trainer, seed=0 if training.draws_random_numbers(net) else None)

    def train_on(batches):
        silent = training.Log(log=str, bar=False)
        training.train(batches, None, net, LOSS, trainer, CPU, 1, step=step, callbacks=[silent])
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
        "train_synthetic": lambda count: train_on([batch] * count),
        "load": load,
        **without_update(net, *batch),
    }


def tutorial(side: Side, setting: Setting) -> Functions:
    """The tutorial's code: imperative, one imresize per image, a synchronization in every batch, plain SGD."""
    net = build(setting)
    batch = synthetic_batch(setting)
    net(batch[0][:1]).wait_to_read()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": LEARNING_RATE})

    @lru_cache(None)
    def loader(count):
        images = images_of(setting, count * setting.batch_size)
        resize = None if images.images.shape[1] == setting.size else setting.size
        return TutorialLoader(images, setting.batch_size, resize)

    def train(count):
        tutorial_train(loader(count), net, LOSS, trainer, [CPU])
        nd.waitall()

    return {"train": train, **without_update(net, *batch)}


def imperative(side: Side, setting: Setting) -> Functions:
    return without_update(build(setting), *synthetic_batch(setting))


def gluoncv(side: Side, setting: Setting) -> Functions:
    sys.modules["torch"] = None  # gluoncv refuses to be imported with a recent PyTorch
    from gluoncv import model_zoo

    kwargs = {"aux_logits": False} if setting.network == "inception_v1_bn" else {}
    net = model_zoo.get_model(SOURCES["gluoncv"].networks[setting.network], **kwargs)
    net.initialize()
    devices.hybridize(net, [CPU])
    return without_update(net, *synthetic_batch(setting))


def build(setting: Setting) -> gluon.HybridBlock:
    net = models.get_model(setting.network, in_channels=setting.channels)
    net.initialize(mx.init.Xavier(), ctx=CPU)
    return net


def synthetic_batch(setting: Setting) -> tuple[nd.NDArray, nd.NDArray]:
    shape = (setting.batch_size, setting.channels, setting.size, setting.size)
    return nd.random.uniform(shape=shape), nd.arange(setting.batch_size) % 10


def images_of(setting: Setting, count: int) -> data.ImageDataset:
    """Return `count` real images, those of the sample repeated, with the network's number of channels."""
    sample, _ = data.load_dataset("fashion-mnist-sample")
    rows = np.arange(count) % len(sample)
    images = np.repeat(sample.images[rows], setting.channels, axis=3)
    return data.ImageDataset(images, sample.labels[rows], sample.classes, sample.name)


def without_update(net, X: nd.NDArray, y: nd.NDArray) -> Functions:
    """Inference, and forward and backward, of one batch again and again, waiting for each."""

    def infer(count):
        for _ in range(count):
            net(X).wait_to_read()

    def forward_backward(count):
        for _ in range(count):
            with autograd.record():
                loss = LOSS(net(X), y)
            loss.backward()
            nd.waitall()

    return {"infer": infer, "forward_backward": forward_backward}


def tutorial_train(train_data, net, loss, trainer, ctx: list) -> tuple[float, float]:
    """Run one epoch of the tutorial's loop as printed, without its test. Return the mean loss and the accuracy."""
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
