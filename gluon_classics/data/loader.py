"""The fast loader: complete batches, sliced from one uint8 array."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

from gluon_classics.data.files.mapped import is_mapped

import numpy as np
from mxnet import gluon, nd


class DataLoader:
    """Batches of a data set that is one array; the tutorial's loader, made fast.

    Iterating yields (images, labels) after ``transform(images, labels)``, as the tutorial's loader does.
    :func:`gluon_classics.training.train` takes the raw batches instead (:meth:`raw_batches`), sends these few bytes to
    the devices and transforms them there. If the transform draws random numbers (a method ``draw``, as in
    AugmentedTransform), it also receives those of the batch (:meth:`random_choices`). Both ways give the same pixels.

    Parameters
    ----------
    dataset : a data set with arrays ``images`` (N, H, W, C) and ``labels`` (N,), as in gluon_classics.data, or any
        Gluon data set whose ``dataset[:]`` is (images, labels), such as MXNet's own.
    batch_size : examples in a batch, over all devices.
    shuffle : whether each epoch has a new order, which depends only on ``seed`` and the epoch's number.
    transform : a function of a batch (images, labels), or of (images, labels, choices) with ``draw``, or None.
    last_batch : 'keep' or 'discard' a short last batch, as in mxnet.gluon.data.DataLoader. The default is to keep it,
        so that a test covers every image, and to discard it with ``shuffle``.
    balanced : whether each epoch has the same number of examples of every class, to within one, in as many batches.
        Examples of a rare class are repeated, equally often to within one; a frequent class contributes another part in
        each epoch until all of it was used. Needs ``shuffle``.
    num_parts, part_index : for several workers, as in mxnet.io: each batch is cut into `num_parts` parts of equal size,
        to within one, and this loader yields the part `part_index`. Together the parts equal one loader's batches.

    The attribute ``epoch`` is the number of the next epoch. It increases by itself; set it to repeat an epoch or to
    resume an interrupted training.

    Raises ValueError for a batch size below 1, a data set that is empty, fills no batch or is not an array, an unknown
    ``last_batch``, a part that does not exist, or ``balanced`` without ``shuffle``.
    """

    def __init__(
        self,
        dataset: gluon.data.Dataset,
        batch_size: int,
        shuffle: bool,
        transform: Callable | None = None,
        *,
        last_batch: str | None = None,
        seed: int = 0,
        balanced: bool = False,
        num_parts: int = 1,
        part_index: int = 0,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, but a batch has at least 1 example")
        if last_batch not in (None, "keep", "discard"):
            raise ValueError(f"last_batch is {last_batch!r}, but the choices are 'keep' and 'discard'")
        if not 0 <= part_index < num_parts:
            raise ValueError(f"part_index is {part_index}, but {num_parts} parts are numbered 0 to {num_parts - 1}")
        if balanced and not shuffle:
            raise ValueError("balanced draws new examples each epoch, but shuffle is False: give shuffle=True as well")
        if len(dataset) == 0:
            raise ValueError("the data set is empty")
        last_batch = last_batch or ("discard" if shuffle else "keep")
        if last_batch == "discard" and len(dataset) < batch_size:
            raise ValueError(f"batch_size {batch_size} is larger than the {len(dataset)} examples: no batch is left")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.transform = transform
        self.last_batch = last_batch
        self.seed = seed
        self.balanced = balanced
        self.num_parts, self.part_index = num_parts, part_index
        self.epoch = 0  # of the next iteration
        self._begun = 0  # of the latest iteration
        images, labels = _arrays(dataset)
        # C order, which raw_batches() needs; a copy only if the data set has another order
        self._images = images if is_mapped(images) else np.ascontiguousarray(images)
        self._labels = np.ascontiguousarray(labels)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        n = len(self._images)
        return n // self.batch_size if self.last_batch == "discard" else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[tuple[nd.NDArray, nd.NDArray]]:
        epoch = self.epoch
        for i, batch in enumerate(self.raw_batches()):
            if batch is None:
                continue
            images, labels = batch
            choices = self.random_choices(i, epoch)
            if self.transform:
                images, labels = self.transform(images, labels, *([] if choices is None else [choices]))
            yield images, labels

    def raw_batches(self, first: int = 0) -> Iterator[tuple[nd.NDArray, nd.NDArray] | None]:
        """Yield the batches of the next epoch before the transform: (n, H, W, C) as stored, labels (n,) int32.

        Starts at batch number ``first`` of the epoch. A part may have no image of a short last batch, and then yields
        None. Raises ValueError if ``first`` is not 0..len(self).
        """
        if not 0 <= first <= len(self):
            raise ValueError(f"the first batch is {first}, but an epoch has the batches 0 to {len(self) - 1}")
        order = self._order() if self.shuffle else None
        self._begun = self.epoch
        self.epoch += 1
        for i in range(first, len(self)):
            rows = self._rows(i)
            if rows.start == rows.stop:
                yield None
                continue
            drawn = rows if order is None else order[rows]
            # no copy, which would wait for the engine to finish its work on the CPU
            yield nd.from_numpy(self._images[drawn]), nd.from_numpy(self._labels[drawn])

    def _order(self) -> np.ndarray:
        """Return the rows of the next epoch in their order."""
        # RandomState, not Generator: its stream is the same in every NumPy version
        random = np.random.RandomState([self.seed, self.epoch])
        if not self.balanced:
            return random.permutation(len(self._images))
        n = min(len(self._images), len(self) * self.batch_size)  # without a discarded batch
        return random.permutation(_balanced(self._labels, n, self.seed, self.epoch))

    def rows(self) -> np.ndarray:
        """Return the rows of the data set that an epoch yields, in order, for a loader that does not shuffle."""
        return np.concatenate([np.arange(rows.start, rows.stop) for rows in map(self._rows, range(len(self)))])

    def _bounds(self, batch: int) -> tuple[int, int]:
        """Return the position of a batch's first row in the epoch, and the number of its rows."""
        begin = batch * self.batch_size
        return begin, min(self.batch_size, len(self._images) - begin)

    def _rows(self, batch: int) -> slice:
        """Return the positions in the epoch of the batch's rows that belong to this part."""
        begin, n = self._bounds(batch)
        part = self.part_index
        return slice(begin + n * part // self.num_parts, begin + n * (part + 1) // self.num_parts)

    def random_choices(self, batch: int, epoch: int | None = None) -> nd.NDArray | None:
        """Return what ``transform.draw`` draws for the images of a batch, one row each, or None without ``draw``.

        Depends only on ``seed``, the epoch (None for that of the latest iteration) and the batch's number.
        """
        draw = getattr(self.transform, "draw", None)
        if draw is None:
            return None
        epoch = self._begun if epoch is None else epoch
        height, width = self._images.shape[1:3]
        begin, n = self._bounds(batch)
        choices = draw(n, height, width, np.random.RandomState([self.seed, epoch, batch]))
        rows = self._rows(batch)
        return nd.from_numpy(choices[rows.start - begin : rows.stop - begin])


def _balanced(labels: np.ndarray, n: int, seed: int, epoch: int) -> np.ndarray:
    """Return the rows of n examples for an epoch, with equal numbers of the classes.

    All epochs form one sequence of draws that cycles through the classes and, within a class, through its examples in
    an order shuffled by ``seed``. An epoch is the draws epoch * n to (epoch + 1) * n - 1.
    """
    counts = np.unique(labels, return_counts=True)[1]
    shuffled = np.random.RandomState([seed]).permutation(len(labels))
    by_class = np.split(shuffled[labels[shuffled].argsort(kind="stable")], counts.cumsum()[:-1])
    rows = []
    for i, members in enumerate(by_class):
        begin, end = (-((i - draws) // len(by_class)) for draws in (epoch * n, (epoch + 1) * n))  # rounded up
        rows.append(members[np.arange(begin, end) % len(members)])
    return np.concatenate(rows)


def _arrays(dataset: gluon.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of a data set as arrays. Raises ValueError if the images are not an array."""
    if hasattr(dataset, "images"):
        return dataset.images, dataset.labels
    if hasattr(dataset, "_fn") or getattr(dataset, "_transform", None):  # MXNet's own, before and after transform()
        raise ValueError(
            "the data set transforms each example, and this loader would do so only once: give the loader a transform "
            "of complete batches, or use mxnet.gluon.data.DataLoader"
        )
    content = dataset[:]
    if not (isinstance(content, tuple) and len(content) == 2 and len(content[0]) == len(content[1]) == len(dataset)):
        raise ValueError("dataset[:] is not (images, labels): use mxnet.gluon.data.DataLoader for this data set")
    images, labels = (x.asnumpy() if isinstance(x, nd.NDArray) else np.asarray(x) for x in content)
    return images, labels
