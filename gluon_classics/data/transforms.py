"""Transforms of whole batches, run on the device that holds the batch."""

from __future__ import annotations

import numpy as np
from mxnet import nd


def bilinear_matrix(size_in: int, size_out: int) -> np.ndarray:
    """The (size_out, size_in) matrix that resizes one axis: linear interpolation, half-pixel centres.

    The same sampling as OpenCV's INTER_LINEAR, borders repeated: output pixel i lies at (i + 1/2) * in / out - 1/2.
    """
    centres = (np.arange(size_out) + 0.5) * size_in / size_out - 0.5
    below = np.floor(centres).astype(int)
    weight_above = centres - below
    rows = np.arange(size_out)
    matrix = np.zeros((size_out, size_in))
    np.add.at(matrix, (rows, np.clip(below, 0, size_in - 1)), 1 - weight_above)
    np.add.at(matrix, (rows, np.clip(below + 1, 0, size_in - 1)), weight_above)
    return matrix


class ImageTransform:
    """uint8 (N, H, W, C) images to float32 (N, C, H, W) in 0..1, resized on the way; labels to float32.

    ``resize`` is the new height and width in pixels, or None to keep the size. The resize is two matrix products,
    along the height and along the width, so that it gives the same pixels on every device: MXNet's own image.resize
    aligns corners on a GPU, and half-pixel centres on a CPU. FullyConnected, and not dot, because oneDNN runs it.

    Raises ValueError if ``resize`` is below 1, or if the images are not a 4-d uint8 array.
    """

    def __init__(self, resize: int | None = None):
        if resize is not None and resize < 1:
            raise ValueError(f"resize is {resize}, but an image needs at least 1 pixel")
        self.resize = resize
        self._device_weights: dict = {}  # (height, width, device) -> two NDArrays

    def __call__(self, data: nd.NDArray, label: nd.NDArray) -> tuple[nd.NDArray, nd.NDArray]:
        if data.ndim != 4 or data.dtype != np.uint8:
            raise ValueError(f"images are uint8 (N, H, W, C), not {np.dtype(data.dtype).name} {data.shape}")
        n, height, width, channels = data.shape
        planes = data.astype("float32")
        if channels > 1:
            planes = planes.transpose((0, 3, 1, 2))
        size = self.resize
        if size is None or size == height == width:
            return planes.reshape((n, channels, height, width)) / 255, label.astype("float32")
        down, across = self._weights(height, width, data.context)
        planes = planes.reshape((-1, height, width)).transpose((0, 2, 1)).reshape((-1, height))
        planes = nd.FullyConnected(planes, down, no_bias=True, num_hidden=size)  # (N C W, size)
        planes = planes.reshape((-1, width, size)).transpose((0, 2, 1)).reshape((-1, width))
        planes = nd.FullyConnected(planes, across, no_bias=True, num_hidden=size)  # (N C size, size)
        return planes.reshape((n, channels, size, size)), label.astype("float32")

    def _weights(self, height: int, width: int, device) -> tuple[nd.NDArray, nd.NDArray]:
        """The two matrices on the device; the first one also divides by 255."""
        key = height, width, str(device)
        if key not in self._device_weights:
            matrices = bilinear_matrix(height, self.resize) / 255, bilinear_matrix(width, self.resize)
            self._device_weights[key] = tuple(nd.array(m, ctx=device, dtype="float32") for m in matrices)
        return self._device_weights[key]
