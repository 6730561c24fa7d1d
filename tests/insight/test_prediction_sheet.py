"""The picture of pictures."""

from gluon_classics.insight.prediction_sheet import Tile, draw_contact_sheet

import numpy as np
import pytest
from matplotlib import image
from matplotlib.axes import Axes

CLASSES = ["Ankle boot", "Sandal"]
RED = (192, 0, 0)


def plain(colour=(0, 0, 255), size=(28, 28)):
    return np.full((*size, 3), colour, np.uint8)


def pixels(path):
    return (image.imread(path)[..., :3] * 255).round().astype(int)


def count(path, colour):
    return int((pixels(path) == colour).all(axis=2).sum())


@pytest.fixture
def written(monkeypatch):
    """All texts of the sheet, as they ended up."""
    lines = []
    text = Axes.text
    monkeypatch.setattr(Axes, "text", lambda self, *args, **kw: lines.append(text(self, *args, **kw)) or lines[-1])
    return lambda: [line.get_text().replace("\u200e", "") for line in lines]


def test_a_right_and_a_wrong_one(tmp_path, written):
    path = tmp_path / "sheet.png"
    tiles = [Tile(plain(), "photos/a.png", 0, 0.934, 0), Tile(plain((0, 255, 0)), "b.png", 1, 0.5, 0)]
    draw_contact_sheet(tiles, CLASSES, path, "1 of 2 right", left_out=1234)
    assert set(written()) == {
        "1 of 2 right",
        "Ankle boot",
        "93%",
        "a.png",
        "✗ Sandal",
        "50%",
        "is Ankle boot",
        "b.png",
        "✗ and a red frame: taken for another class than its own",
        "1,234 more pictures are left out",
    }
    assert count(path, (0, 0, 255)) > 20_000 and count(path, (0, 255, 0)) > 20_000
    assert 2_000 < count(path, RED) < 10_000
    assert [each.name for each in tmp_path.iterdir()] == ["sheet.png"]


def test_nothing_is_red_where_nothing_is_known_to_be_wrong(tmp_path, written):
    path = tmp_path / "sheet.png"
    draw_contact_sheet(
        [Tile(plain(), "a", 1), Tile(plain(), "b", 1, label=1), Tile(None, "c", 1, label=0)], CLASSES, path
    )
    assert count(path, RED) == 0
    assert "cannot be read" in written() and not any("✗" in text for text in written())


def test_proportions_are_kept(tmp_path):
    for name, size, across in (("tall", (200, 50), False), ("wide", (50, 200), True)):
        path = tmp_path / f"{name}.png"
        draw_contact_sheet([Tile(plain(size=size), "a")], CLASSES, path)
        rows, columns = np.nonzero((pixels(path) == (0, 0, 255)).all(axis=2))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert (width if across else height) == pytest.approx(186, abs=4)  # 1.55 inches of 120 pixels
        assert (width / height if across else height / width) == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("n", [0, 1, 7, 100])
def test_few_and_many(tmp_path, n):
    path = tmp_path / "sheet.png"
    draw_contact_sheet([Tile(plain(), f"{i}.png") for i in range(n)], CLASSES, path)
    height, width = pixels(path).shape[:2]
    assert width <= 2100 and height <= 3000
    assert count(path, (0, 0, 255)) == pytest.approx(n * 186**2, rel=0.05)


def test_names_of_any_kind(tmp_path, written, recwarn):
    classes = [
        "W" * 300,
        "i" * 300,
        "犬小屋の中",
        "قطة صغيرة",
        "$x^2$ and $",
        "a\n b",
        "\udcff",
        "",
        "\\frac",
        "_" * 9,
    ]
    tiles = [Tile(plain(), "\udcff" + name * 3, i, 0.1, (i + 1) % 10) for i, name in enumerate(classes)]
    draw_contact_sheet(tiles, classes, tmp_path / "sheet.png", "x" * 1000)
    assert not recwarn.list
    texts = written()
    assert r"✗ \$x^2\$ and \$" in texts  # escaped: no formula
    assert "✗ a b" in texts and "✗ class 6" in texts
    for letter in "Wi":
        (shortened,) = [text for text in texts if text.startswith(f"✗ {letter}{letter}")]
        assert "…" in shortened and shortened.endswith(letter)
    narrow, wide = (next(len(t) for t in texts if t.startswith(f"is {letter}")) for letter in "iW")
    assert narrow > 2 * wide  # as many as there is room for


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(OSError):
        draw_contact_sheet([Tile(plain(), "a")], CLASSES, tmp_path / "no folder" / "sheet.png")
