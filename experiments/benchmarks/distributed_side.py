"""One worker of `distributed`: trains on synthetic images and prints its times as JSON."""

from __future__ import annotations

import json
import sys
from time import perf_counter

from gluon_classics import data, devices, models, training

import mxnet as mx
import numpy as np
from mxnet import gluon, nd

BATCHES = 50  # per epoch, so that the end of an epoch hardly counts
SUM_BYTES = (4, 2**26)  # allreduces that are timed on their own, for latency and rate


class Timer(training.Callback):
    """Counts steps, and ends the training after about `seconds`."""

    def __init__(self, workers: training.Workers, seconds: float):
        self.workers, self.seconds = workers, seconds
        self.steps, self.began = 0, perf_counter()

    def on_batch_end(self, progress, metrics) -> None:
        self.steps += 1
        over = perf_counter() - self.began > self.seconds and self.steps >= 3
        if self.workers.vote(over)[0]:
            raise training.StopTraining


class Side:
    """A network, and a worker's part of random images."""

    def __init__(self, workers: training.Workers, network: str, size: int, batch_size: int):
        channels = models.model_info(network).input_shape[0]
        shape = (BATCHES * workers.size * batch_size, size, size, channels)
        images = np.random.RandomState(0).randint(0, 256, shape, dtype=np.uint8)
        dataset = data.ImageDataset(images, np.arange(len(images)) % 10, list("0123456789"), "synthetic")
        part = {"num_parts": workers.size, "part_index": workers.rank}
        transform = data.ImageTransform(size)
        self.loader = data.DataLoader(dataset, batch_size * workers.size, True, transform, **part)
        self.workers, self.batch_size = workers, batch_size
        self.net = models.get_model(network, num_classes=1000 if channels == 3 else 10, in_channels=channels)
        self.net.initialize(mx.init.Xavier())
        self.net(nd.zeros((1, channels, size, size)))
        devices.hybridize(self.net, [mx.cpu()])
        self.loss = gluon.loss.SoftmaxCrossEntropyLoss()
        self.trainer = workers.trainer(self.net, "sgd", {"learning_rate": 0.01, "momentum": 0.9})
        self.step = training.Step(self.net, self.loss, self.trainer, workers=workers)

    def train(self, seconds: float) -> float:
        """Run the project's training loop for about `seconds`. Return the images/s of all workers."""
        timer = Timer(self.workers, seconds)
        callbacks = [training.Log(log=str, bar=False), timer]
        try:
            training.train(
                self.loader, None, self.net, self.loss, self.trainer, mx.cpu(), 10**6, None, self.step, callbacks
            )
        except training.StopTraining:
            nd.waitall()
        self.workers.outstanding_votes()
        return timer.steps * self.batch_size * self.workers.size / (perf_counter() - timer.began)

    def split(self, steps: int) -> dict[str, float]:
        """Return the seconds of the parts of a step over `steps` steps, each part waited for: nothing overlaps."""
        parts = {"compute": 0.0, "communication": 0.0, "update": 0.0}
        for _, (images, labels) in zip(range(steps), self.loader):
            nd.waitall()
            times = [perf_counter()]
            with mx.autograd.record():
                loss = self.loss(self.net(images), labels)
            loss.backward()
            nd.waitall()
            times.append(perf_counter())
            self.workers.sum(np.zeros(1))  # waiting for a slower worker is not communication
            times.append(perf_counter())
            self.trainer.allreduce_grads()
            nd.waitall()
            times.append(perf_counter())
            self.trainer.update(self.batch_size)
            nd.waitall()
            times.append(perf_counter())
            compute, _waiting, communication, update = np.diff(times)
            parts["compute"] += compute
            parts["communication"] += communication
            parts["update"] += update
        return parts


def seconds_of_sums(workers: training.Workers) -> list[float]:
    """Return the median seconds of an allreduce of each of SUM_BYTES."""
    medians = []
    for size in SUM_BYTES:
        array = nd.zeros(size // 4)
        times = []
        for _ in range(12):
            workers.sum(np.zeros(1))
            began = perf_counter()
            workers.start_sum(array, f"timed {size}").wait_to_read()
            times.append(perf_counter() - began)
        medians.append(float(np.median(times[2:])))
    return medians


def main(engine: str, network: str, size: str, batch_size: str, seconds: str) -> None:
    workers = training.connect(None if engine == "alone" else engine)
    side = Side(workers, network, int(size), int(batch_size))
    side.train(0)
    rate = side.train(float(seconds))
    side.split(2)
    weights = sum(p.data().size for p in side.net.collect_params().values() if p.grad_req != "null")
    figures = {"rate": rate, "weights": weights, **side.split(4)}
    if workers.size > 1:
        figures["sums"] = seconds_of_sums(workers)
    if workers.rank == 0:
        print(f"FIGURES {json.dumps(figures)}", flush=True)
    workers.leave(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
