"""Mean and standard deviation of a training set's pixels, and how bright its images are."""

from __future__ import annotations

from typing import NamedTuple

from gluon_classics.data.files.mapped import MappedRows

import numpy as np

SAMPLE = 1000  # images that stand for the brightness of all


class Brightness(NamedTuple):
    """How bright the images of a set are, 0 (black) to 1: mean and standard deviation over the images."""

    mean: float  # of all pixels
    std: float
    edge_mean: float  # of the outermost pixels, which mostly show the background
    edge_std: float

    def is_far(self, mean: float, edge: float) -> bool:
        """Whether images of this mean and edge brightness are rare in the set: 1 of 200 for Fashion-MNIST."""
        far = abs(mean - self.mean) > max(2.5 * self.std, 0.1)
        return far or abs(edge - self.edge_mean) > max(3 * self.edge_std, 0.5)


def brightness(images: np.ndarray) -> Brightness:
    """Return the brightness of a set of uint8 images (N, H, W, C), of SAMPLE images spread evenly if it is larger."""
    rows = np.unique(np.linspace(0, len(images) - 1, SAMPLE).astype(int))
    (mean, edge), (std, edge_std) = (
        f([image_brightness(images[row]) for row in rows], axis=0).tolist() for f in (np.mean, np.std)
    )
    return Brightness(mean, std, edge, edge_std)


def image_brightness(image: np.ndarray) -> tuple[float, float]:
    """Return the mean of all pixels of a uint8 image (H, W, C), and of the outermost ones, 0 to 1."""
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    return float(image.mean()) / 255, float(edge.mean()) / 255


def pixel_statistics(images: np.ndarray | MappedRows) -> tuple[list[float], list[float]]:
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
