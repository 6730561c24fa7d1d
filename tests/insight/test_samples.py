"""The picture is read back, and its pixels are compared with the network's inputs."""

from gluon_classics.insight.samples import draw_samples

import numpy as np
import pytest
from read_pictures import places, rgb

CLASSES = ["cat", "dog", "cow"]


def plain(*colors, size=28):
    """Images (n, 3, size, size) in 0..1, of one colour each."""
    return np.array(colors, "float32")[:, :, None, None] / 255 * np.ones((1, 1, size, size), "float32")


def colors(n):
    """n colours that neither the text nor the background has."""
    return [(200, 3 * i, 7) for i in range(n)]


def test_a_grid_of_eight_by_eight_in_the_order_of_the_batch(tmp_path):
    draw_samples(plain(*colors(70)), np.arange(70) % 3, CLASSES, tmp_path / "samples.png")
    found = places(tmp_path / "samples.png", colors(70))
    assert found[64:] == [None] * 6
    assert all(each[2:] == (140, 140) for each in found[:64])  # 28 enlarged five times
    rows, columns = sorted({each[0] for each in found[:64]}), sorted({each[1] for each in found[:64]})
    assert len(rows) == len(columns) == 8
    assert [each[:2] for each in found[:64]] == [(row, column) for row in rows for column in columns]


def test_pixels_are_denormalised_and_enlarged_without_interpolation(tmp_path):
    image = plain((10, 60, 200), size=32)
    image[0, :, 8:16, 4:12] = plain((250, 130, 5), size=8)[0]
    mean, std = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.25, 0.3])
    seen = (image - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1)
    draw_samples(seen, [0], CLASSES, tmp_path / "samples.png", list(mean), list(std))
    [(top, left, height, width)] = places(tmp_path / "samples.png", [(250, 130, 5)])
    assert (height, width) == (32, 32)  # four times
    assert (rgb(tmp_path / "samples.png")[top - 32, left - 16 : left + 112] == (10, 60, 200)).all()


def test_grey_images_with_one_mean(tmp_path):
    draw_samples(np.full((1, 1, 28, 28), (77 / 255 - 0.3) / 0.5), [0], CLASSES, tmp_path / "a.png", 0.3, 0.5)
    assert (rgb(tmp_path / "a.png")[-80, 80] == 77).all()


def test_values_outside_0_to_1_are_clipped(tmp_path):
    images = plain((-90, 300, 128))
    images[0, 2, :14] = np.nan  # black
    draw_samples(images, [0], CLASSES, tmp_path / "a.png")
    found = places(tmp_path / "a.png", [(0, 255, 128), (0, 255, 0)])
    assert [each[2:] for each in found] == [(70, 140)] * 2


@pytest.mark.parametrize("shape, drawn", [
    ((1, 1), (128, 128)), ((96, 96), (96, 96)), ((50, 100), (50, 100)),
    ((224, 224), (128, 128)), ((400, 200), (128, 64)), ((3, 640), (1, 128)),
])  # fmt: skip
def test_the_size_of_a_picture(tmp_path, shape, drawn):
    images = np.broadcast_to(plain((200, 90, 7), size=1), (1, 3, *shape))
    draw_samples(images, [0], CLASSES, tmp_path / "a.png")
    [found] = places(tmp_path / "a.png", [(200, 90, 7)])
    assert found[2:] == drawn


def test_each_name_is_above_its_picture(tmp_path):
    draw_samples(plain((200, 9, 7), (200, 90, 7)), np.array([2.0, 0.0]), ["W" * 90, "b", " "], tmp_path / "a.png")
    picture = rgb(tmp_path / "a.png")
    found = places(tmp_path / "a.png", [(200, 9, 7), (200, 90, 7)])
    for (top, left, _, width), named in zip(found, (False, True)):
        assert (picture[top - 20 : top, left : left + width] < 128).any() == named
        assert (picture[top - 20 : top, left + width : left + width + 14] == 255).all()  # a long name is shortened


@pytest.mark.parametrize("images, labels", [((2, 2, 8, 8), [0, 1]), ((2, 8, 8), [0, 1]), ((2, 3, 8, 8), [0])])
def test_other_shapes_are_refused(tmp_path, images, labels):
    with pytest.raises(ValueError, match=r"are not \(N,\) and \(N, 1 or 3, H, W\)"):
        draw_samples(np.zeros(images), labels, CLASSES, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []
