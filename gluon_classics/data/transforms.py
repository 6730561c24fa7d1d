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
    written as the operators that oneDNN and cuDNN run fastest, so that it gives the same pixels on every device;
    MXNet's own image.resize aligns corners on a GPU and half-pixel centres on a CPU.

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
        planes = data.transpose((0, 3, 1, 2)) if channels > 1 else data
        planes = planes.astype("float32")
        size = self.resize
        if size is None or size == height == width:
            planes = planes.reshape((n, channels, height, width)) / 255
        else:
            across, down = self._weights(height, width, data.context)
            # along the width: every row times a matrix
            planes = nd.FullyConnected(planes.reshape((-1, width)), across, no_bias=True, num_hidden=size)
            # along the height: a 1x1 convolution whose channels are the rows
            planes = planes.reshape((n * channels, height, 1, size))
            planes = nd.Convolution(planes, down, no_bias=True, kernel=(1, 1), num_filter=size)
            planes = planes.reshape((n, channels, size, size))
        return planes, label.astype("float32")

    def _weights(self, height: int, width: int, device) -> tuple[nd.NDArray, nd.NDArray]:
        """The two matrices on the device; the second one also divides by 255."""
        key = height, width, str(device)
        if key not in self._device_weights:
            across = bilinear_matrix(width, self.resize)
            down = bilinear_matrix(height, self.resize).reshape((self.resize, height, 1, 1)) / 255
            self._device_weights[key] = tuple(nd.array(m, ctx=device, dtype="float32") for m in (across, down))
        return self._device_weights[key]
