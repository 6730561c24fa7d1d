"""Pixel statistics, compared with NumPy's."""

from gluon_classics.data import brightness, image_brightness, load_dataset, pixel_statistics

import numpy as np
import pytest


def test_equal_to_numpy_and_by_channel():
    images = np.random.RandomState(0).randint(0, 256, (7, 5, 4, 3)).astype("uint8")
    images[..., 2] //= 2
    mean, std = pixel_statistics(images)
    assert mean == pytest.approx((images / 255.0).mean(axis=(0, 1, 2)))
    assert std == pytest.approx((images / 255.0).std(axis=(0, 1, 2)))


def test_brightness_by_hand():
    image = np.zeros((4, 4, 1), np.uint8)
    image[1:3, 1:3] = 255
    assert image_brightness(image) == (0.25, 0) and image_brightness(255 - image) == (0.75, 1)
    grey = np.full((4, 4, 1), 51, np.uint8)
    assert brightness(np.stack([image, grey])) == pytest.approx((0.225, 0.025, 0.1, 0.1))
    assert brightness(np.stack([image] * 5000)) == (0.25, 0, 0, 0)


def test_inverted_pictures_are_far_from_fashion_mnist_and_its_own_are_not():
    train, test = load_dataset("fashion-mnist-sample")
    usual = brightness(train.images)
    assert usual.mean == pytest.approx(0.286, abs=0.01)  # as the literature gives it
    far = [usual.is_far(*image_brightness(image)) for image in test.images]
    inverted = [usual.is_far(*image_brightness(255 - image)) for image in test.images]
    assert np.mean(far) < 0.01 and np.mean(inverted) == 1
