"""Mean and standard deviation of a training set's pixels."""

from __future__ import annotations

import numpy as np


def pixel_statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel of uint8 images (N, H, W, C), as fractions of 255."""
    counts = np.zeros((images.shape[3], 256))
    for first in range(0, len(images), 256):  # in chunks, for images on disk
        some = images[first : first + 256]
        for channel, count in enumerate(counts):
            count += np.bincount(some[..., channel].ravel(), minlength=256)
    grey = np.arange(256) / 255
    mean, std = [], []
    for count in counts:
        share = count / count.sum()
        mean.append(float(share @ grey))
        std.append(float(np.sqrt(share @ (grey - mean[-1]) ** 2)))
    return mean, std
