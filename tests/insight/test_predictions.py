"""The sheet of `predict --sheet`."""

from gluon_classics.inference import Prediction
from gluon_classics.insight import draw_predictions

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from read_pictures import rgb

CLASSES = ["Ankle boot", "Sandal"]
RED = (176, 0, 32)
BLUE = (0, 0, 255)


@pytest.fixture
def predicted(tmp_path):
    """Writes a picture of one colour; returns a prediction of it."""

    def make(name, best="Sandal", share=0.5, label=None, size=(28, 28)):
        path = tmp_path / name
        Image.fromarray(np.full((*size, 3), BLUE, np.uint8)).save(path, "PNG")
        return Prediction(str(path), label, [(best, share)])

    return make


@pytest.fixture
def written(monkeypatch):
    """All texts of the sheet, as drawn."""
    texts = []
    text = Figure.text
    monkeypatch.setattr(Figure, "text", lambda self, x, y, s, **kw: texts.append(s) or text(self, x, y, s, **kw))
    return lambda: [text.replace("\u200e", "") for text in texts]


def count(path, colour):
    return int((rgb(path) == colour).all(axis=2).sum())


def test_a_right_and_a_wrong_one(predicted, tmp_path, written):
    path = tmp_path / "sheet.png"
    results = [predicted("a.png", CLASSES[0], 0.934, CLASSES[0]), predicted("b.png", CLASSES[1], 0.5, CLASSES[0])]
    draw_predictions(results, CLASSES, path, "1 of 2 correct", left_out=1234)
    title, *lines, note, left_out = written()
    assert title == "1 of 2 correct"
    assert lines == ["Ankle boot 93%", "a.png", "✗ Sandal 50%", "is Ankle boot", "b.png"]
    assert "red frame" in note and "1,234 more" in left_out
    assert count(path, BLUE) == 2 * 196**2  # 28 enlarged seven times
    assert count(path, RED) == pytest.approx(204**2 - 196**2, rel=0.2)  # a frame of 4 pixels, and letters


def test_nothing_is_red_without_a_known_mistake(predicted, tmp_path, written):
    path = tmp_path / "sheet.png"
    results = [predicted("a"), predicted("b", label="Sandal"), Prediction("c", "Ankle boot", error="is empty")]
    draw_predictions([*results, Prediction("gone.png", None, [("Sandal", 1.0)])], CLASSES, path)
    assert count(path, RED) == 0
    assert written().count("cannot be read") == 2 and not any("✗" in text for text in written())


@pytest.mark.parametrize("size, drawn", [((200, 50), (186, 46)), ((50, 200), (46, 186)), ((2000, 2000), (186, 186))])
def test_proportions_are_kept(predicted, tmp_path, size, drawn):
    draw_predictions([predicted("a.png", size=size)], CLASSES, tmp_path / "sheet.png")
    rows, columns = np.nonzero((rgb(tmp_path / "sheet.png") == BLUE).all(axis=2))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == pytest.approx(drawn, abs=1)


@pytest.mark.parametrize("n", [0, 1, 7, 100])
def test_few_and_many(predicted, tmp_path, n):
    path = tmp_path / "sheet.png"
    draw_predictions([predicted(f"{i}.png") for i in range(n)], CLASSES, path)
    height, width = rgb(path).shape[:2]
    assert width <= 2200 and height <= 3000
    assert count(path, BLUE) == n * 196**2


def test_names_of_any_kind(predicted, tmp_path, written, recwarn):
    classes = ["W" * 90, "i" * 90, "犬小屋の中", "قطة صغيرة", "$x^2$ and $", "a\n b", "\udcff", "", "\\frac", "_" * 9]
    results = [predicted(f"\udcff{i}.png", name, 0.1, classes[(i + 1) % 10]) for i, name in enumerate(classes)]
    draw_predictions(results, classes, tmp_path / "sheet.png", "x" * 1000)
    assert not recwarn.list
    texts = written()
    assert r"✗ \$x^2\$ and \$ 10%" in texts  # escaped: no formula
    assert "✗ a b 10%" in texts and "✗ class 6 10%" in texts
    assert "…" in texts[0]
    narrow, wide = (next(text for text in texts if text.startswith(f"is {letter}")) for letter in "iW")
    assert "…" in wide and len(narrow) > 2 * len(wide)  # as many letters as fit


def test_a_place_that_cannot_be_written(predicted, tmp_path):
    with pytest.raises(OSError):
        draw_predictions([predicted("a.png")], CLASSES, tmp_path / "no folder" / "sheet.png")
