"""The data loader of the tutorial, the baseline of `loader` and `train`."""

from __future__ import annotations

import gluon_classics  # noqa: F401  (makes `import mxnet` work)

import numpy as np
from mxnet import image, nd


class TutorialLoader:
    """Batches of shuffled images with one imresize per image. The incomplete last batch is dropped."""

    def __init__(self, dataset, batch_size, resize):
        self.dataset, self.batch_size, self.resize = dataset, batch_size, resize

    def __iter__(self):
        X, y = self.dataset[:]
        y = nd.array(y)
        n = X.shape[0]
        idx = np.arange(n)
        np.random.shuffle(idx)
        X = nd.array(X.asnumpy()[idx], dtype="uint8")
        y = nd.array(y.asnumpy()[idx])
        for i in range(n // self.batch_size):
            rows = slice(i * self.batch_size, (i + 1) * self.batch_size)
            yield self.transform(X[rows], y[rows])

    def transform(self, batch, label):
        if self.resize:
            n = batch.shape[0]
            resized = nd.zeros((n, self.resize, self.resize, batch.shape[3]))
            for i in range(n):
                resized[i] = image.imresize(batch[i], self.resize, self.resize)
            batch = resized
        return nd.transpose(batch.astype("float32"), (0, 3, 1, 2)) / 255, label.astype("float32")
