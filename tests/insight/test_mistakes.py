"""Mistakes chosen by hand, found in the picture by their colours."""

from gluon_classics.insight import mistakes
from gluon_classics.insight.mistakes import draw_mistakes

import numpy as np
import pytest
from read_pictures import places, rgb

CLASSES = ["cat", "dog", "cow"]


def plain(n):
    """Images (n, 32, 32, 3) of one colour each, which neither the text nor the background has."""
    colors = [(200, 3 * i, 7) for i in range(n)]
    return np.array(colors, "uint8")[:, None, None] * np.ones((1, 32, 32, 1), "uint8"), colors


def shown(path, colors):
    """The numbers of the images in the picture, in reading order."""
    return [i for place, i in sorted((place, i) for i, place in enumerate(places(path, colors)) if place)]


def test_the_most_confident_errors_come_first(tmp_path):
    images, colors = plain(5)
    # softmax of the wrong class: 0.88 of (0, 2, -9); right; 0.9933 of (-9, 0, 5); right; 0.73 of (1, 0, -9)
    logits = np.array([(0, 2, -9), (0, 9, 0), (-9, 0, 5), (9, 0, 0), (1, 0, -9)])
    draw_mistakes(images, np.array([0, 1, 0, 0, 1]), logits, CLASSES, tmp_path / "mistakes.png")
    assert shown(tmp_path / "mistakes.png", colors) == [2, 0, 4]


def test_confidence_is_the_softmax_and_not_the_logits(tmp_path):
    images, colors = plain(2)
    logits = np.array([(1000, 1001, 1000), (0, 6, 0)], "float32")  # 0.58 and 0.995
    draw_mistakes(images, np.array([0, 0]), logits, CLASSES, tmp_path / "a.png")
    assert shown(tmp_path / "a.png", colors) == [1, 0]


def test_thirty_at_most_and_the_title_counts_all(tmp_path, monkeypatch):
    titles, draw = [], mistakes.draw_sheet
    monkeypatch.setattr(mistakes, "draw_sheet", lambda *sheet: titles.append(sheet[1]) or draw(*sheet))
    images, colors = plain(60)
    labels, path = np.zeros(60, "float32"), tmp_path / "a.png"
    draw_mistakes(images, labels, np.eye(3)[[1] * 40 + [0] * 20] * 5, CLASSES, path)
    assert shown(path, colors) == list(range(30))  # of equal ones the first
    draw_mistakes(images, labels, np.eye(3)[[1] * 2 + [0] * 58], CLASSES, path)
    draw_mistakes(images, labels, np.eye(3)[[1] + [0] * 59], CLASSES, path)
    assert titles == [
        "The 30 most confident of 40 mistakes in 60 test images",
        "All 2 mistakes in 60 test images",
        "The only mistake in 60 test images",
    ]


def test_the_lines_above_a_picture(tmp_path, monkeypatch):
    sheets = []
    monkeypatch.setattr(mistakes, "draw_sheet", lambda tiles, *more: sheets.append(tiles))
    files = ["cats/left 1.png", "a/b/c.png"]
    for given in (files, None):
        draw_mistakes(plain(2)[0], [0, 1], np.array([(0, 2, -9), (0, 9, 0)]), CLASSES, tmp_path / "a.png", given)
    texts = [[[line.text.replace("\u200e", "") for line in tile.lines] for tile in sheet] for sheet in sheets]
    assert texts == [[["cat", "→ dog 88.1%", "left 1.png"]], [["cat", "→ dog 88.1%"]]]


def test_without_a_mistake_the_picture_says_so(tmp_path):
    images, colors = plain(3)
    draw_mistakes(images, [0, 1, 2], np.eye(3), CLASSES, tmp_path / "a.png")
    assert shown(tmp_path / "a.png", colors) == []
    picture = rgb(tmp_path / "a.png")
    assert picture.shape[0] < 100 and (picture < 128).any()


def test_logits_that_are_not_finite_come_last(tmp_path):
    images, colors = plain(3)
    logits = np.array([(np.nan, 0, 0), (0, np.inf, 0), (0, 3, 0)])
    draw_mistakes(images, [1, 0, 0], logits, CLASSES, tmp_path / "a.png")
    assert shown(tmp_path / "a.png", colors)[0] == 2


def test_only_the_images_that_are_drawn_are_read(tmp_path):
    class Images:
        read = []

        def __len__(self):
            return 3

        def __getitem__(self, i):
            self.read.append(int(i))
            return np.zeros((8, 8, 1), "uint8")

    draw_mistakes(Images(), [0, 0, 0], np.eye(3), CLASSES, tmp_path / "a.png")
    assert sorted(Images.read) == [1, 2]


@pytest.mark.parametrize("images, labels, logits", [(2, 2, (3, 3)), (3, 2, (2, 3)), (2, 2, (2, 4))])
def test_what_does_not_fit_is_refused(tmp_path, images, labels, logits):
    with pytest.raises(ValueError, match="do not fit"):
        draw_mistakes(plain(images)[0], np.zeros(labels), np.zeros(logits), CLASSES, tmp_path / "a.png")
