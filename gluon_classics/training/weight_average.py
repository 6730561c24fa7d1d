"""An exponential moving average of the weights, which is often more accurate than the last weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from gluon_classics.training.callbacks import Callback
from gluon_classics.training.metrics import Metrics
from gluon_classics.training.progress import Progress

import numpy as np
from mxnet import gluon, nd


class WeightAverage(Callback):
    """The average of all parameters of `net`, including batch norm's running statistics, as timm's ModelEmaV2.

    An update with decay d gives ``average = d * average + (1 - d) * weights``. Update t, from 0, has
    d = min(decay, (1 + t) / (10 + t)), as in TensorFlow's ExponentialMovingAverage, so that the random first weights
    are soon forgotten. The average has the parameters' dtype and is on their first device.

    Parameters
    ----------
    net : an initialized network that knows its shapes; the average starts from its weights.
    decay : 0 to below 1, or ValueError is raised; averages over about the last 1 / (1 - decay) updates.
    """

    def __init__(self, net: gluon.Block, decay: float):
        if not 0 <= decay < 1:
            raise ValueError(f"decay is {decay}, but must be from 0 to below 1; 0.999 is usual")
        nd.waitall()  # running statistics are written late
        self.decay = decay
        self.updates = 0  # a checkpoint stores it with arrays()
        self._parameters = net._collect_params_with_prefix()
        self._average = {name: p.list_data()[0].copy() for name, p in self._parameters.items()}

    def on_batch_end(self, progress: Progress, metrics: Metrics) -> None:
        self.update()

    def evaluating(self) -> AbstractContextManager:
        return self.applied()

    def update(self) -> None:
        """Add the weights after an optimizer's step, without waiting for them."""
        decay = np.float32(min(self.decay, (1 + self.updates) / (10 + self.updates)))
        share = float(1 - decay)  # of the rounded decay, so that the two add up to exactly 1
        self.updates += 1
        for name, p in self._parameters.items():
            weights, average = p.list_data()[0], self._average[name]
            if p.grad_req == "null":
                # With static_shape, MXNet 1.9.1's engine takes backward's write to a running statistic for a read, so
                # that we could read before it. Writes do wait for reads: write it, unchanged.
                nd.identity(weights, out=weights)
            # average - share * (average - weights) in one pass over the memory, by an operator with another purpose
            nd.sgd_update(average, weights, out=average, lr=share, wd=1, rescale_grad=-1)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the network the average, on every device, inside the context only."""
        nd.waitall()  # running statistics are written late
        trained = {name: [each.copy() for each in p.list_data()] for name, p in self._parameters.items()}
        try:
            for name, p in self._parameters.items():
                for each in p.list_data():
                    self._average[name].copyto(each)
            yield
        finally:
            for name, p in self._parameters.items():
                for each, before in zip(p.list_data(), trained[name]):
                    before.copyto(each)

    def arrays(self) -> dict[str, nd.NDArray]:
        """Return the average, not copied, under the names of ``net.save_parameters``."""
        return dict(self._average)

    def set_arrays(self, arrays: dict[str, nd.NDArray]) -> None:
        """Copy an average from :meth:`arrays`. Raises ValueError for names or shapes of another network."""
        for name in sorted(arrays.keys() ^ self._average.keys()):
            where = "the stored average" if name in arrays else "the network"
            raise ValueError(f"the averaged weights are of another network: only {where} has {name}")
        for name, average in self._average.items():
            if arrays[name].shape != average.shape:
                raise ValueError(
                    f"the averaged weights are of another network: {name} is {arrays[name].shape}, not {average.shape}"
                )
        for name, average in self._average.items():
            arrays[name].copyto(average)


def averaged(average: WeightAverage | None) -> AbstractContextManager:
    """Return `average.applied()`, or an empty context if there is no average."""
    return average.applied() if average else nullcontext()
