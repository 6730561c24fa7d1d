"""Transforms of complete batches, run on the batch's device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Union

import mxnet as mx
import numpy as np
from mxnet import nd

# Not nd.FullyConnected, which mixed precision replaces by a version that rounds to bfloat16 or float16: pixels must be
# the same at every precision.
from mxnet.ndarray import FullyConnected

Numbers = Union[float, Sequence[float]]


def bilinear_matrix(size_in: int, size_out: int) -> np.ndarray:
    """Return the (size_out, size_in) matrix that resizes one axis: linear interpolation, half-pixel centres.

    Samples like OpenCV's INTER_LINEAR, with repeated borders: output pixel i is at (i + 1/2) * in / out - 1/2.
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
    """Turn uint8 images (N, H, W, C) into float32 (N, C, H, W), resized and normalised, and labels into float32.

    ``resize`` is the new height and width in pixels, or None to keep the size. The resize is two matrix products, one
    per axis, which give the same pixels on every device: MXNet's own image.resize aligns corners on a GPU and
    half-pixel centres on a CPU. They use FullyConnected, not dot, because oneDNN runs it.

    Pixels are in 0..1, or (pixel - mean) / std if ``mean`` and ``std``, for pixels in 0..1, are given: one number, or
    one for each channel. If only one of them is given, mean defaults to 0 and std to 1. The attributes ``mean`` and
    ``std`` are a float, a tuple with one float for each channel, or None.

    Raises ValueError if ``resize`` is below 1, ``mean`` outside 0..1 or ``std`` not above 0; and, when called, if the
    images are not a 4-d uint8 array or their channels do not match ``mean`` or ``std``.
    """

    def __init__(self, resize: int | None = None, mean: Numbers | None = None, std: Numbers | None = None):
        if resize is not None and resize < 1:
            raise ValueError(f"resize is {resize}, but an image needs at least 1 pixel")
        if mean is not None or std is not None:
            mean = _numbers(0.0 if mean is None else mean)
            std = _numbers(1.0 if std is None else std)
            if not all(0 <= each <= 1 for each in np.ravel(mean)):
                raise ValueError(f"mean is {mean}, but the mean of pixels in 0..1 is from 0 to 1: divide it by 255")
            if not all(0 < each < math.inf for each in np.ravel(std)):
                raise ValueError(f"std is {std}, but pixels are divided by it: give numbers above 0")
        self.resize = resize
        self.mean = mean
        self.std = std
        self._device_weights: dict = {}  # (height, width, device) -> two NDArrays
        self._device_channels: dict = {}  # device -> mean and std of pixels in 0..255

    def __call__(self, data: nd.NDArray, label: nd.NDArray) -> tuple[nd.NDArray, nd.NDArray]:
        return self._scaled(as_planes(data)), label.astype("float32")

    def _scaled(self, planes: nd.NDArray) -> nd.NDArray:
        """Normalise and resize float32 (N, C, H, W) in 0..255."""
        n, channels, height, width = planes.shape
        size = self.resize
        same_size = size is None or size == height == width
        if self.mean is not None:  # before the resize, which keeps the mean and adds pixels
            mean, std = self._mean_and_std(channels, planes.context)
            planes = (planes - mean) / std
        elif same_size:
            planes = planes / 255
        if size is None or same_size:
            return planes
        down, across = self._weights(height, width, size, planes.context)
        planes = planes.reshape((-1, height, width)).transpose((0, 2, 1)).reshape((-1, height))
        planes = FullyConnected(planes, down, no_bias=True, num_hidden=size)  # (N C W, size)
        planes = planes.reshape((-1, width, size)).transpose((0, 2, 1)).reshape((-1, width))
        planes = FullyConnected(planes, across, no_bias=True, num_hidden=size)  # (N C size, size)
        return planes.reshape((n, channels, size, size))

    def _weights(self, height: int, width: int, size: int, device: mx.Context) -> tuple[nd.NDArray, nd.NDArray]:
        """Return the two matrices on the device. The first also divides by 255, unless the normalisation does."""
        key = height, width, str(device)
        if key not in self._device_weights:
            divisor = 255 if self.mean is None else 1
            matrices = bilinear_matrix(height, size) / divisor, bilinear_matrix(width, size)
            self._device_weights[key] = tuple(nd.array(m, ctx=device, dtype="float32") for m in matrices)
        return self._device_weights[key]

    def _mean_and_std(self, channels: int, device: mx.Context) -> list:
        """Return mean and std of pixels in 0..255: floats, or NDArrays (1, C, 1, 1) on the device for several."""
        assert self.mean is not None and self.std is not None
        for name, each in (("mean", self.mean), ("std", self.std)):
            if isinstance(each, tuple) and len(each) != channels:
                raise ValueError(f"{name} is {each}, but the number of channels is {channels}: give one for each")
        key = str(device)
        if key not in self._device_channels:
            values = [255 * np.ravel(each) for each in (self.mean, self.std)]
            self._device_channels[key] = [
                v.item() if v.size == 1 else nd.array(v.reshape((1, -1, 1, 1)), ctx=device, dtype="float32")
                for v in values
            ]
        return self._device_channels[key]


def as_planes(data: nd.NDArray) -> nd.NDArray:
    """Return uint8 images (N, H, W, C) as float32 (N, C, H, W), still in 0..255."""
    if data.ndim != 4 or data.dtype != np.uint8:
        raise ValueError(f"images must be uint8 (N, H, W, C), not {np.dtype(data.dtype).name} {data.shape}")
    n, height, width, channels = data.shape
    planes = data.astype("float32")
    if channels > 1:
        planes = planes.transpose((0, 3, 1, 2))
    return planes.reshape((n, channels, height, width))


def _numbers(value: Numbers) -> Numbers:
    """Return a number as a float, or several as a tuple of floats."""
    numbers = tuple(float(each) for each in np.ravel(value))
    return numbers if np.ndim(value) else numbers[0]
