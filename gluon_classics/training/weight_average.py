"""An exponential moving average of a network's weights, which often classifies better than the last weights do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from gluon_classics.training.callbacks import Callback

import numpy as np
from mxnet import nd


class WeightAverage(Callback):
    """The average of all parameters of `net`, batch norm's running statistics included, as timm's ModelEmaV2.

    An update with decay d gives ``average = d * average + (1 - d) * weights``. Update t, counted from 0, has
    d = min(decay, (1 + t) / (10 + t)) as TensorFlow's ExponentialMovingAverage, so that the first weights, which are
    random, are soon forgotten. The average has the parameters' type, and lies on the first of their devices.

    Parameters
    ----------
    net : an initialized network, which has seen an image or knows its shapes; the average starts from its weights.
    decay : 0 to below 1; an average over about the last 1 / (1 - decay) updates. Raises ValueError for another one.
    """

    def __init__(self, net, decay: float):
        if not 0 <= decay < 1:
            raise ValueError(f"decay is {decay}, but it goes from 0 to below 1; 0.999 is usual")
        nd.waitall()  # batch norm's running statistics may lag behind
        self.decay = decay
        self.updates = 0  # made so far; a checkpoint keeps it beside arrays()
        self._parameters = net._collect_params_with_prefix()
        self._average = {name: p.list_data()[0].copy() for name, p in self._parameters.items()}

    def on_batch_end(self, progress, metrics) -> None:
        self.update()

    def evaluating(self) -> AbstractContextManager:
        return self.applied()

    def update(self) -> None:
        """Take in the weights as they are after an optimizer's step. It waits for nothing."""
        decay = np.float32(min(self.decay, (1 + self.updates) / (10 + self.updates)))
        share = float(1 - decay)  # of the rounded decay, so that the two add up to exactly 1
        self.updates += 1
        for name, p in self._parameters.items():
            weights, average = p.list_data()[0], self._average[name]
            if p.grad_req == "null":
                # In a net hybridized with static_shape, the engine takes backward's write to a running statistic for a
                # read, and would let us read before it. It does order writes after reads: so write it, unchanged.
                nd.identity(weights, out=weights)
            # average - share * (average - weights) in one pass over the memory: MXNet has no operator named for it
            nd.sgd_update(average, weights, out=average, lr=share, wd=1, rescale_grad=-1)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the network computes with the average, on every device; afterwards with the trained weights again."""
        nd.waitall()  # batch norm's running statistics may lag behind
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
        """The average itself, by the names of ``net.save_parameters``."""
        return dict(self._average)

    def set_arrays(self, arrays: dict[str, nd.NDArray]) -> None:
        """Take over an average that :meth:`arrays` gave. Raises ValueError for names or shapes of another network."""
        for name in sorted(arrays.keys() ^ self._average.keys()):
            where = "the average to take over" if name in arrays else "the network"
            raise ValueError(f"the averaged weights are of another network: only {where} has {name}")
        for name, average in self._average.items():
            if arrays[name].shape != average.shape:
                raise ValueError(
                    f"the averaged weights are of another network: {name} is {arrays[name].shape}, not {average.shape}"
                )
        for name, average in self._average.items():
            arrays[name].copyto(average)


def averaged(average: WeightAverage | None) -> AbstractContextManager:
    """Inside, the network computes with the average, where there is one."""
    return average.applied() if average else nullcontext()
