"""The resize on the device against OpenCV's, and by hand."""

from gluon_classics.data import ImageTransform
from gluon_classics.data.transforms import bilinear_matrix

import cv2
import mxnet as mx
import numpy as np
import pytest
from mxnet import nd

RANDOM = np.random.RandomState(0)


def images(n=3, height=28, width=28, channels=1):
    return RANDOM.randint(0, 256, (n, height, width, channels)).astype("uint8")


def transformed(batch, resize=None, ctx=None):
    x, _ = ImageTransform(resize)(nd.array(batch, dtype="uint8", ctx=ctx), nd.zeros(len(batch), ctx=ctx))
    return x.asnumpy()


@pytest.mark.parametrize("size", [224, 96, 29, 27, 14, 7, 1, 300])
def test_equals_opencv_within_a_thousandth_of_a_grey_level(size):
    batch = images()
    expected = [cv2.resize(im.astype("float32"), (size, size), interpolation=cv2.INTER_LINEAR) for im in batch]
    got = transformed(batch, size)
    assert got.shape == (3, 1, size, size)
    assert got.dtype == np.float32
    assert np.abs(got[:, 0] * 255 - np.stack(expected)).max() < 1e-3


def test_colour_and_oblong_pictures_equal_opencv():
    batch = images(2, 40, 31, 3)
    expected = np.stack([cv2.resize(im.astype("float32"), (50, 50)) for im in batch]).transpose(0, 3, 1, 2)
    assert np.abs(transformed(batch, 50) * 255 - expected).max() < 1e-3


def test_doubling_by_hand():
    # half-pixel centres: new pixels lie a quarter of a pixel off the old ones, borders are repeated
    assert bilinear_matrix(2, 4).tolist() == [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]


def test_without_a_resize_only_scale_and_layout():
    batch = images(channels=3)
    expected = batch.transpose(0, 3, 1, 2).astype("float32") / 255
    assert (transformed(batch) == expected).all()
    assert np.abs(transformed(batch, 28) - expected).max() < 1e-7


def test_a_batch_of_bright_pictures_is_not_all_zeros():
    # dividing in uint8 would give zeros: a known trap
    assert transformed(np.full((1, 28, 28, 1), 254, "uint8"), 56).min() == pytest.approx(254 / 255, abs=1e-6)


def test_labels_become_float32_and_the_device_stays():
    x, y = ImageTransform(56)(nd.array(images(), dtype="uint8", ctx=mx.cpu(1)), nd.array([1, 2, 3], ctx=mx.cpu(1)))
    assert y.dtype == np.float32
    assert x.context == mx.cpu(1) == y.context


def test_same_result_on_another_device():
    batch = images()
    assert (transformed(batch, 96, mx.cpu(0)) == transformed(batch, 96, mx.cpu(1))).all()


def test_refuses_what_is_no_batch_of_uint8_images():
    with pytest.raises(ValueError, match="resize is 0"):
        ImageTransform(0)
    with pytest.raises(ValueError, match="not float32"):
        ImageTransform(56)(nd.zeros((1, 28, 28, 1)), nd.zeros(1))
    with pytest.raises(ValueError, match=r"\(N, H, W, C\)"):
        ImageTransform(56)(nd.zeros((28, 28), dtype="uint8"), nd.zeros(1))
