"""A loader's batches, split over the devices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Callable, Protocol, runtime_checkable

import mxnet as mx
from mxnet import gluon, nd


@runtime_checkable
class RawLoader(Protocol):
    """What a loader offers beyond iterating, so that its batches are transformed on the device, as DataLoader does.

    `epoch` is the epoch that the next iteration yields; `train` sets it when a run is resumed.
    """

    epoch: int
    transform: Callable | None

    def raw_batches(self, first: int = 0) -> Iterator:
        """Yield the batches (images, labels) of an epoch from number `first` on, before the transform."""

    def random_choices(self, batch: int) -> Any:
        """Return the transform's random numbers for that batch, one row for each image; None if it draws none."""


def as_list(ctx: mx.Context | Sequence[mx.Context]) -> list[mx.Context]:
    """Return one context, or a list of them, as a list. Raises ValueError for anything else."""
    devices = [ctx] if isinstance(ctx, mx.Context) else ctx
    if not isinstance(devices, (list, tuple)) or not all(isinstance(each, mx.Context) for each in devices):
        raise ValueError(f"ctx is {ctx!r}, but a device is mx.cpu() or mx.gpu(0), or a list of them")
    return list(devices)


def device_batches(
    data: Iterable[Any], ctx: list[mx.Context], first: int = 0, accumulate: int = 1
) -> Iterator[tuple[list[nd.NDArray], list[nd.NDArray]]]:
    """Yield the slices of images and labels of each batch from number `first` on: `accumulate` slices for each device.

    `data` yields mx.io.DataBatch or (images, labels). A RawLoader's uint8 batches are split and sent first; each slice
    is then transformed on its device. Slices are dealt out to the devices in turn: slices[0], slices[len(ctx)], ...
    are on the first. A batch that does not divide evenly is split unevenly. A batch with fewer images than slices has
    fewer slices, and one in which this worker has no part has none.
    """
    if isinstance(data, mx.io.DataIter):
        data.reset()
    raw = data if isinstance(data, RawLoader) else None
    transform = None if raw is None else raw.transform
    batches = islice(data, first, None) if raw is None else raw.raw_batches(first)
    for i, batch in enumerate(batches, first):
        if batch is None:
            yield [], []
            continue
        if isinstance(batch, mx.io.DataBatch):
            n = batch.data[0].shape[0] - batch.pad  # padding repeats examples
            arrays = [batch.data[0][:n], batch.label[0][:n]]
        else:
            arrays = list(batch)
        n = arrays[0].shape[0]
        choices = None if raw is None else raw.random_choices(i)
        if choices is not None:
            arrays.append(choices)
        devices = (ctx * accumulate)[:n]
        sent = zip(*(gluon.utils.split_and_load(each, devices, even_split=False) for each in arrays))
        slices = [transform(*each) if transform else each for each in sent]
        yield [images for images, _ in slices], [labels for _, labels in slices]
