"""The network that an artifact holds: with or without preprocessing in its graph."""

from __future__ import annotations

from typing import Any

from gluon_classics.data import ImageTransform
from gluon_classics.data.transforms import bilinear_matrix

import numpy as np
from mxnet import gluon, nd
from mxnet.gluon import HybridBlock


class Preprocessing(HybridBlock):
    """An ImageTransform as a graph: uint8 (N, H, W, C) of one size to float32 (N, C, size, size).

    Its operators and their order are those of the transform, so that the pixels are equal.
    """

    def __init__(self, transform: ImageTransform, image_size: tuple[int, int], channels: int, **kwargs: Any):
        super().__init__(**kwargs)
        height, width = image_size
        self._size = None if transform.resize in (None, height) and height == width else transform.resize
        self._normalise = transform.mean is not None
        with self.name_scope():
            for name, value in (("mean", transform.mean), ("std", transform.std)):
                if value is not None:
                    row = np.broadcast_to(255 * np.ravel(value), channels)
                    setattr(self, name, self._constant(name, row.reshape((1, channels, 1, 1))))
            if self._size:
                divisor = 1 if self._normalise else 255
                self.down = self._constant("down", bilinear_matrix(height, self._size) / divisor)
                self.across = self._constant("across", bilinear_matrix(width, self._size))

    def _constant(self, name: str, value: np.ndarray) -> gluon.Constant:
        constant = self.params.get_constant(name, nd.array(value, dtype="float32"))
        constant.initialize()
        return constant

    def hybrid_forward(self, F, images, mean=None, std=None, down=None, across=None):
        planes = F.cast(images, "float32").transpose((0, 3, 1, 2))
        if self._normalise:
            planes = F.broadcast_div(F.broadcast_sub(planes, mean), std)
        elif not self._size:
            planes = planes / 255
        if self._size:
            settings = {"no_bias": True, "num_hidden": self._size, "flatten": False}
            planes = F.FullyConnected(planes.transpose((0, 1, 3, 2)), down, **settings)
            planes = F.FullyConnected(planes.transpose((0, 1, 3, 2)), across, **settings)
        return planes


class Exported(HybridBlock):
    """`preprocessing`, if given, then `net`. Returns the logits alone, without those of auxiliary heads."""

    def __init__(self, net: HybridBlock, preprocessing: Preprocessing | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.preprocessing = preprocessing
        self.net = net

    def hybrid_forward(self, F, images):
        outputs = self.net(self.preprocessing(images) if self.preprocessing else images)
        return outputs[0] if isinstance(outputs, (list, tuple)) else outputs
