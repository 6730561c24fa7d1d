"""The fast loader: whole batches, sliced out of one uint8 array."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

from gluon_classics.data.files.mapped import is_mapped

import numpy as np
from mxnet import nd


class DataLoader:
    """Batches of a data set that lies in memory as one array; the tutorial's loader, made fast.

    Iterating yields (images, labels) after ``transform(images, labels)``, as the tutorial's loader does.
    :func:`gluon_classics.training.train` takes the raw batches instead (:meth:`raw_batches`), sends their few
    bytes to the devices, and transforms there. Where the transform draws random numbers (a method ``draw``, as
    AugmentedTransform has), it is called with those of the batch, too (:meth:`random_choices`): both ways give the
    same pixels.

    Parameters
    ----------
    dataset : with arrays ``images`` (N, H, W, C) and ``labels`` (N,), as all of gluon_classics.data;
        or any Gluon data set whose ``dataset[:]`` gives (images, labels), as MXNet's own.
    batch_size : examples in a batch, over all devices.
    shuffle : whether each epoch has an order of its own. It depends on ``seed`` and the epoch's number alone.
    transform : function of a batch (images, labels), or None; one with a method ``draw`` takes (images, labels,
        choices).
    last_batch : 'keep' or 'discard' the last batch if it is short, as in mxnet.gluon.data.DataLoader.
        The default keeps it, so that a test covers every image, unless ``shuffle``, where it discards it.
    balanced : whether each epoch has the same number of examples of every class that the data set holds, give or take
        one, in as many batches: examples of a rare class come several times, all of them equally often, give or take
        one; a frequent class gives a part, another one each epoch, until all of it has come. Needs ``shuffle``.
    num_parts, part_index : for several workers, as in mxnet.io: each batch is cut into `num_parts` parts of equal size,
        give or take one, and this loader gives the part `part_index`. All parts together are what one loader gives.

    The attribute ``epoch`` is the number of the next iteration's epoch. It counts on by itself; set it to go back, or
    to go on with a training that was interrupted.

    Raises ValueError for a batch size below 1, an empty data set, one that fills no batch or is no array,
    another ``last_batch``, a part that is not there, or ``balanced`` without ``shuffle``.
    """

    def __init__(
        self,
        dataset,
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
            raise ValueError(f"part_index is {part_index}, but {num_parts} parts have the numbers 0 to {num_parts - 1}")
        if balanced and not shuffle:
            raise ValueError("balanced draws examples anew each epoch, but shuffle is False: give shuffle=True as well")
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
        self.epoch = 0  # of the next iteration; it counts on by itself
        self._begun = 0  # of the iteration begun last
        images, labels = _arrays(dataset)
        # C order, which raw_batches() needs; a copy only where the data set has another
        self._images = images if is_mapped(images) else np.ascontiguousarray(images)
        self._labels = np.ascontiguousarray(labels)

    def __len__(self) -> int:
        """Batches in an epoch."""
        n = len(self._images)
        return n // self.batch_size if self.last_batch == "discard" else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[tuple[nd.NDArray, nd.NDArray]]:
        epoch = self.epoch
        for i, batch in enumerate(self.raw_batches()):
            if batch is None:
                continue
            images, labels = batch
            choices = self.random_choices(i, epoch)
            if choices is not None:
                images, labels = self.transform(images, labels, choices)
            elif self.transform:
                images, labels = self.transform(images, labels)
            yield images, labels

    def raw_batches(self, first: int = 0) -> Iterator[tuple[nd.NDArray, nd.NDArray] | None]:
        """The batches of the next epoch before the transform: (n, H, W, C) as stored, labels (n,) int32.

        They are those of the whole epoch from number ``first`` on. Of a last batch with fewer images than parts, a part
        may have none: then it is None. Raises ValueError for a number outside 0..len(self).
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
            rows = rows if order is None else order[rows]
            # without a copy, which would wait for everything that the engine has to do on the CPU
            yield nd.from_numpy(self._images[rows]), nd.from_numpy(self._labels[rows])

    def _order(self) -> np.ndarray:
        """The rows of the next epoch, in the order they come."""
        # RandomState, not Generator: its stream is the same on every NumPy
        random = np.random.RandomState([self.seed, self.epoch])
        if not self.balanced:
            return random.permutation(len(self._images))
        n = min(len(self._images), len(self) * self.batch_size)  # what a discarded batch would hold does not count
        return random.permutation(_balanced(self._labels, n, self.seed, self.epoch))

    def rows(self) -> np.ndarray:
        """The rows of the data set that an epoch gives, in order; for a loader that does not shuffle."""
        return np.concatenate([np.arange(rows.start, rows.stop) for rows in map(self._rows, range(len(self)))])

    def _bounds(self, batch: int) -> tuple[int, int]:
        """Of the rows of an epoch, in the order they come, the first of a batch, and the number of them."""
        begin = batch * self.batch_size
        return begin, min(self.batch_size, len(self._images) - begin)

    def _rows(self, batch: int) -> slice:
        """Those of a batch that are in this part."""
        begin, n = self._bounds(batch)
        part = self.part_index
        return slice(begin + n * part // self.num_parts, begin + n * (part + 1) // self.num_parts)

    def random_choices(self, batch: int, epoch: int | None = None) -> nd.NDArray | None:
        """What ``transform.draw`` draws for the images of a batch, one row for each; None if it draws nothing.

        It depends on ``seed``, the epoch (None: that of the iteration begun last) and the batch's number alone.
        """
        if not hasattr(self.transform, "draw"):
            return None
        epoch = self._begun if epoch is None else epoch
        height, width = self._images.shape[1:3]
        begin, n = self._bounds(batch)
        choices = self.transform.draw(n, height, width, np.random.RandomState([self.seed, epoch, batch]))
        rows = self._rows(batch)
        return nd.from_numpy(choices[rows.start - begin : rows.stop - begin])


def _balanced(labels: np.ndarray, n: int, seed: int, epoch: int) -> np.ndarray:
    """The rows of n examples of an epoch, the classes in equal numbers.

    All epochs are one row of draws that goes round the classes, and within a class round its examples, in an order
    that ``seed`` has shuffled. An epoch is the draws epoch * n to (epoch + 1) * n - 1.
    """
    counts = np.unique(labels, return_counts=True)[1]
    shuffled = np.random.RandomState([seed]).permutation(len(labels))
    by_class = np.split(shuffled[labels[shuffled].argsort(kind="stable")], counts.cumsum()[:-1])
    rows = []
    for i, members in enumerate(by_class):
        begin, end = (-((i - draws) // len(by_class)) for draws in (epoch * n, (epoch + 1) * n))  # rounded up
        rows.append(members[np.arange(begin, end) % len(members)])
    return np.concatenate(rows)


def _arrays(dataset) -> tuple[np.ndarray, np.ndarray]:
    """The two NumPy arrays of a data set. Raises ValueError for one that does not hold its images in an array."""
    if hasattr(dataset, "images"):
        return dataset.images, dataset.labels
    if hasattr(dataset, "_fn") or getattr(dataset, "_transform", None):  # MXNet's own, before and after transform()
        raise ValueError(
            "the data set transforms each example, and this loader would do so only once: give the loader a transform "
            "of whole batches, or take mxnet.gluon.data.DataLoader"
        )
    content = dataset[:]
    if not (isinstance(content, tuple) and len(content) == 2 and len(content[0]) == len(content[1]) == len(dataset)):
        raise ValueError("dataset[:] is not (images, labels): take mxnet.gluon.data.DataLoader for this data set")
    images, labels = (x.asnumpy() if isinstance(x, nd.NDArray) else np.asarray(x) for x in content)
    return images, labels
