"""Pixel statistics, compared with NumPy's."""

from gluon_classics.data import pixel_statistics

import numpy as np
import pytest


def test_equal_to_numpy_and_by_channel():
    images = np.random.RandomState(0).randint(0, 256, (7, 5, 4, 3)).astype("uint8")
    images[..., 2] //= 2
    mean, std = pixel_statistics(images)
    assert mean == pytest.approx((images / 255.0).mean(axis=(0, 1, 2)))
    assert std == pytest.approx((images / 255.0).std(axis=(0, 1, 2)))
