"""The resize, compared with OpenCV's and a hand calculation; the normalisation, with NumPy's."""

import subprocess
import sys

from gluon_classics.data import ImageTransform, load_dataset
from gluon_classics.data.transforms import bilinear_matrix

import cv2
import mxnet as mx
import numpy as np
import pytest
from mxnet import nd

RANDOM = np.random.RandomState(0)


def images(n=3, height=28, width=28, channels=1):
    return RANDOM.randint(0, 256, (n, height, width, channels)).astype("uint8")


def transformed(batch, resize=None, ctx=None, mean=None, std=None):
    x, _ = ImageTransform(resize, mean, std)(nd.array(batch, dtype="uint8", ctx=ctx), nd.zeros(len(batch), ctx=ctx))
    return x.asnumpy()


@pytest.mark.parametrize("size", [224, 96, 29, 27, 14, 7, 1, 300])
def test_equals_opencv_within_a_thousandth_of_a_grey_level(size):
    batch = images()
    expected = [cv2.resize(im.astype("float32"), (size, size), interpolation=cv2.INTER_LINEAR) for im in batch]
    got = transformed(batch, size)
    assert got.shape == (3, 1, size, size)
    assert got.dtype == np.float32
    assert np.abs(got[:, 0] * 255 - np.stack(expected)).max() < 1e-3


def test_colour_and_oblong_images_equal_opencv():
    batch = images(2, 40, 31, 3)
    expected = np.stack([cv2.resize(im.astype("float32"), (50, 50)) for im in batch]).transpose(0, 3, 1, 2)
    assert np.abs(transformed(batch, 50) * 255 - expected).max() < 1e-3


def test_doubling_by_hand():
    # half-pixel centres: new pixels are a quarter of a pixel from the old ones, borders are repeated
    assert bilinear_matrix(2, 4).tolist() == [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]


def test_without_a_resize_only_scale_and_layout():
    batch = images(channels=3)
    expected = batch.transpose(0, 3, 1, 2).astype("float32") / 255
    assert (transformed(batch) == expected).all()
    assert np.abs(transformed(batch, 28) - expected).max() < 1e-7


def test_bright_images_are_not_zeros():
    # a division in uint8 would give zeros
    assert transformed(np.full((1, 28, 28, 1), 254, "uint8"), 56).min() == pytest.approx(254 / 255, abs=1e-6)


def test_labels_become_float32_and_the_device_stays():
    x, y = ImageTransform(56)(nd.array(images(), dtype="uint8", ctx=mx.cpu(1)), nd.array([1, 2, 3], ctx=mx.cpu(1)))
    assert y.dtype == np.float32
    assert x.context == mx.cpu(1) == y.context


def test_same_result_on_another_device():
    batch = images()
    assert (transformed(batch, 96, mx.cpu(0)) == transformed(batch, 96, mx.cpu(1))).all()


def test_refuses_anything_but_batches_of_uint8_images():
    with pytest.raises(ValueError, match="resize is 0"):
        ImageTransform(0)
    with pytest.raises(ValueError, match="not float32"):
        ImageTransform(56)(nd.zeros((1, 28, 28, 1)), nd.zeros(1))
    with pytest.raises(ValueError, match=r"\(N, H, W, C\)"):
        ImageTransform(56)(nd.zeros((28, 28), dtype="uint8"), nd.zeros(1))


# Normalisation


@pytest.mark.parametrize(
    "channels, mean, std",
    [
        (1, 0.2860, 0.3530),
        (1, [0.2860], (0.3530,)),
        (3, [0.485, 0.456, 0.406], np.array([0.229, 0.224, 0.225])),
        (3, 0.5, [0.25, 0.5, 1]),
        (3, 0.5, 0.5),
    ],
)
def test_normalises_as_numpy_does(channels, mean, std):
    batch = images(channels=channels)
    expected = ((batch / 255 - mean) / std).transpose(0, 3, 1, 2)
    for size in (None, 28):
        got = transformed(batch, size, mean=mean, std=std)
        assert got.dtype == np.float32 and np.abs(got - expected).max() < 1e-6
    for size in (41, 12):  # a resize keeps the mean, so the order does not matter
        shape = (1, channels, 1, 1)
        expected = (transformed(batch, size) - np.full(channels, mean).reshape(shape)) / np.full(channels, std).reshape(
            shape
        )
        assert np.abs(transformed(batch, size, mean=mean, std=std) - expected).max() < 2e-6


def test_the_published_numbers_normalise_fashion_mnist():
    train, _ = load_dataset("fashion-mnist-sample")
    pixels = transformed(train.images, mean=0.2860, std=0.3530)
    assert abs(pixels.mean()) < 0.01 and abs(pixels.std() - 1) < 0.01  # the numbers are the full set's


def test_mean_or_std_alone():
    batch = images()
    pixels = batch.transpose(0, 3, 1, 2) / 255
    assert np.abs(transformed(batch, mean=0.25) - (pixels - 0.25)).max() < 1e-6
    assert np.abs(transformed(batch, std=0.25) - pixels / 0.25).max() < 1e-6


def test_the_attributes_are_what_it_normalises_with():
    plain, one, three = ImageTransform(), ImageTransform(28, 0.5, np.float32(0.25)), ImageTransform(28, [0, 0.5, 1])
    assert (plain.mean, plain.std) == (None, None)
    assert (one.mean, one.std) == (0.5, 0.25)
    assert (three.mean, three.std) == ((0.0, 0.5, 1.0), 1.0)


def test_normalises_on_another_device():
    batch = images(channels=3)
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
    first, second = (transformed(batch, 20, ctx, mean, std) for ctx in (mx.cpu(0), mx.cpu(1)))
    assert (first == second).all()


@pytest.mark.parametrize(
    "mean, std, words",
    [
        (0.5, 0, "std is 0.0, but pixels are divided by it"),
        (0.5, [0.5, -1, 0.5], "numbers above 0"),
        (0.5, float("nan"), "std is nan"),
        (72.9, 0.3, "mean is 72.9, .* divide it by 255"),
        (float("nan"), 0.3, "mean is nan"),
    ],
)
def test_refuses_an_invalid_mean_or_std(mean, std, words):
    with pytest.raises(ValueError, match=words):
        ImageTransform(28, mean, std)


@pytest.mark.parametrize("channels, count", [(1, 3), (3, 2), (3, 1)])
def test_refuses_another_number_of_channels(channels, count):
    for resize in (None, 20):
        with pytest.raises(ValueError, match=rf"^std is \(0.5,.* the number of channels is {channels}: give one"):
            transformed(images(channels=channels), resize, mean=0.5, std=[0.5] * count)


def test_mixed_precision_does_not_change_the_pixels():
    # MXNet's mixed precision replaces operators for the rest of the process
    code = """
import gluon_classics
import numpy as np
from gluon_classics.data import ImageTransform
from mxnet import nd
from mxnet.contrib import amp
images = nd.array(np.arange(784).reshape((1, 28, 28, 1)) % 256, dtype="uint8")
before = ImageTransform(41, 0.3, 0.3)(images, nd.zeros(1))[0]
amp.init(target_dtype="bfloat16")
after = ImageTransform(41, 0.3, 0.3)(images, nd.zeros(1))[0]
assert after.dtype == np.float32, after.dtype
assert (before.asnumpy() == after.asnumpy()).all()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
