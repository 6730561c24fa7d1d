"""Names in any script, with matplotlib's fonts and with installed ones."""

import logging
import warnings

from gluon_classics.insight import lettering as module
from gluon_classics.insight.confusion import write_confusion
from gluon_classics.insight.lettering import lettering, literal, shortened
from gluon_classics.insight.mistakes import draw_mistakes
from gluon_classics.insight.samples import draw_samples

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

# Latin, Cyrillic, Greek, Arabic, Hebrew, Chinese, Thai, Korean, possible formulas, and bytes that are not text
NAMES = [
    "Bär",
    "кошка",
    "γάτα",
    "قطة",
    "חתול",
    "猫",
    "แมว",
    "고양이",
    "$x$",
    r"\frac",
    "a\nb\t",
    "",
    "\udcff",
    "𠀋" * 100,
]


@pytest.fixture
def no_other_fonts(monkeypatch):
    monkeypatch.setattr(module, "_other_fonts", dict)


def test_a_name_without_a_font_is_a_number(no_other_fonts):
    with lettering(NAMES) as letters:
        assert letters.classes(NAMES) == [
            *NAMES[:5], "class 5", "class 6", "class 7", "$x$", r"\frac", "a b", "", "class 12", "class 13"
        ]  # fmt: skip
        assert letters.text("猫 1\n.png") == "? 1 .png"


def test_another_font_is_found_for_letters_that_dejavu_lacks(monkeypatch):
    # fonts of matplotlib: DejaVu Sans lacks some letters of private use, U+E000 to U+F8FF
    other = {name: findfont(name) for name in ("DejaVu Serif", "STIXNonUnicode")}
    monkeypatch.setattr(module, "_other_fonts", lambda: other)
    own = get_font(findfont("DejaVu Sans")).get_charmap()
    letter = next(chr(code) for code in get_font(other["STIXNonUnicode"]).get_charmap() if code not in own)
    with lettering([letter, "plain"]) as letters:
        assert letters.classes([letter]) == [letter]
        assert rcParams["font.family"] == ["DejaVu Sans", "STIXNonUnicode"]
    with lettering(["plain"]) as letters:
        assert letters.classes([letter]) == ["class 0"]
        assert rcParams["font.family"] == ["DejaVu Sans"]


@pytest.mark.parametrize("fonts", ["the machine's", "matplotlib's"])
def test_no_name_causes_a_warning(tmp_path, fonts, monkeypatch, capfd, caplog):
    if fonts == "matplotlib's":
        monkeypatch.setattr(module, "_other_fonts", dict)
    n = len(NAMES)
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        write_confusion(np.eye(n, dtype=int), NAMES, tmp_path)
        draw_samples(np.zeros((n, 1, 8, 8)), np.arange(n), NAMES, tmp_path / "samples.png")
        images = np.zeros((n, 8, 8, 1), "uint8")
        draw_mistakes(images, np.arange(n), -np.eye(n), NAMES, tmp_path / "mistakes.png", [f"{x}.png" for x in NAMES])
    assert caplog.messages == [] and capfd.readouterr().err == ""


def test_matplotlibs_settings_are_restored():
    before = dict(rcParams)
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    with pytest.raises(KeyError), lettering(["a"]):
        raise KeyError
    assert dict(rcParams) == before and log.level == level


@pytest.mark.parametrize("text, columns, short", [
    ("abcdefghij", 10, "abcdefghij"), ("abcdefghij", 9, "abcd…ghij"), ("abcdefghij", 4, "ab…j"), ("ab", 1, "…"),
    ("猫猫猫猫", 8, "猫猫猫猫"), ("猫猫猫猫", 7, "猫猫…猫"), ("猫猫猫猫", 4, "猫…"), ("", 3, ""),
])  # fmt: skip
def test_a_long_name_keeps_both_ends(text, columns, short):
    assert shortened(text, columns) == short


def test_dollars_are_dollars():
    canvas = FigureCanvasAgg(Figure())
    canvas.figure.text(0, 0, r"$\frac$ 5")
    with pytest.raises(ValueError):  # an invalid formula
        canvas.draw()
    canvas = FigureCanvasAgg(Figure())
    canvas.figure.text(0, 0, literal(r"$\frac$ 5"))
    canvas.draw()
