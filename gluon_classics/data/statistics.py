"""Mean and deviation of a training set's pixels."""

from __future__ import annotations

import numpy as np


def pixel_statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of uint8 images (N, H, W, C), as fractions of 255."""
    grey = np.arange(256) / 255
    mean, std = [], []
    for channel in np.moveaxis(images, 3, 0):
        share = np.bincount(channel.ravel(), minlength=256) / channel.size  # counts: no copy of the set in floats
        mean.append(float(share @ grey))
        std.append(float(np.sqrt(share @ (grey - mean[-1]) ** 2)))
    return mean, std
