"""A worker of tests/training/test_distributed.py: train a small network in float64 and save its weights.

Usage: python worker.py ENGINE FOLDER OPTIONS, with OPTIONS in JSON; ENGINE is alone, horovod or dist_sync.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from gluon_classics import training
from gluon_classics.data import DataLoader, ImageDataset

import mxnet as mx
import numpy as np
from mxnet import gluon, nd
from mxnet.gluon import nn

IMAGES, SIZE, CLASSES = 640, 8, 4


class Enough(Exception):
    """Raised by a worker that the test makes fail."""


class VoteAndFail(training.Callback):
    """Votes after each batch, as a run does. `die` is the worker, epoch and batch that fails."""

    def __init__(self, workers, die):
        self.workers, self.die = workers, die

    def on_batch_end(self, progress, metrics):
        self.workers.vote(0.0)
        if self.die == [self.workers.rank, progress.epoch, progress.batch]:
            raise Enough("this worker has had enough")


def to_float64(images, labels):
    return images.astype("float64").transpose((0, 3, 1, 2)) / 255, labels


def network(batch_norm):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(6, 3), *[nn.BatchNorm()] * batch_norm, nn.Activation("tanh"), nn.MaxPool2D(), nn.Dense(CLASSES))
    net.cast("float64")
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, SIZE, SIZE), dtype="float64"))
    net.hybridize(static_alloc=True, static_shape=True)
    return net


def main(engine, folder, options):
    workers = training.connect(None if engine == "alone" else engine)
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (IMAGES, SIZE, SIZE, 1)).astype(np.uint8)
    labels = (images[:, :, :, 0].mean(axis=(1, 2)) * CLASSES // 256).astype(np.int32)
    labels = (labels + random.randint(0, CLASSES, IMAGES)) % CLASSES
    part = {"num_parts": workers.size, "part_index": workers.rank}
    data = DataLoader(
        ImageDataset(images, labels, list("abcd"), "noise"), options["batch_size"], True, to_float64, seed=3, **part
    )
    mx.random.seed(options.get("seeds", [5] * workers.size)[workers.rank])
    net = network(options.get("batch_norm", False))
    schedule = training.make_schedule("cosine", 0.1, options["epochs"], len(data))
    settings = {"learning_rate": 0.1, "wd": 1e-3, "lr_scheduler": schedule}
    if options["optimizer"] == "sgd":
        settings["momentum"] = 0.9
    trainer = workers.trainer(net, options["optimizer"], settings)
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    step = training.Step(net, loss, trainer, options.get("accumulate", 1), options.get("clip"), workers=workers)
    history = training.History()
    callbacks = [training.Log(log=str), VoteAndFail(workers, options.get("die")), history]
    training.train(data, data, net, loss, trainer, mx.cpu(), options["epochs"], step=step, callbacks=callbacks)
    nd.waitall()
    weights = {name: p.data().asnumpy() for name, p in net._collect_params_with_prefix().items()}
    numbers = [(r.train_loss, r.train_acc, r.test_loss, r.test_acc, r.gradient_norm) for r in history.records]
    np.savez(folder / f"{workers.rank}.npz", records=np.array(numbers), **weights)
    workers.leave(0)


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]))
    except Enough as error:
        print(f"Enough: {error}", flush=True)
        os._exit(7)
