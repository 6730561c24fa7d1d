"""Names of classes and files in pictures, in any script.

matplotlib ships DejaVu Sans, which has Latin, Greek, Cyrillic, Arabic, Hebrew and more, but no Chinese, Japanese or
Korean. For other letters an installed font is used (Debian: fonts-noto-cjk, fonts-noto-core). If no font has them, the
class is drawn as its number, "class 7", where matplotlib would draw empty boxes and warn about each.
"""

from __future__ import annotations

import contextlib
import logging
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

OWN_FAMILY = "DejaVu Sans"  # comes with matplotlib


class Lettering:
    """Texts that these font files can draw; see :func:`lettering`."""

    def __init__(self, fonts: Sequence[str]):
        self._fonts = fonts

    def classes(self, names: Sequence[str]) -> list[str]:
        """Return each name in one line, or "class i", counted from 0, if no font has one of its letters."""
        lines = map(_one_line, names)
        return [line if all(map(self._has, line)) else f"class {i}" for i, line in enumerate(lines)]

    def text(self, text: str) -> str:
        """Return the text in one line, with "?" for each letter that no font has."""
        return "".join(letter if self._has(letter) else "?" for letter in _one_line(text))

    def _has(self, letter: str) -> bool:
        return any(_has_glyph(font, letter) for font in self._fonts)


@contextlib.contextmanager
def lettering(texts: Iterable[str]) -> Iterator[Lettering]:
    """Make matplotlib draw and save with fonts that have the letters of `texts`, as far as they are installed."""
    import matplotlib  # here: its import would delay the first batch of a training

    fonts = _own_font()
    for letter in sorted(set().union(*map(_one_line, texts))):
        if not any(_has_glyph(font, letter) for font in fonts.values()):
            fonts.update([item for item in _other_fonts().items() if _has_glyph(item[1], letter)][:1])
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns about fonts without weight 400 or bold
    try:
        with matplotlib.rc_context({"font.family": list(fonts)}):
            yield Lettering(list(fonts.values()))
    finally:
        log.setLevel(level)


def shortened(text: str, columns: int) -> str:
    """Leave out the middle of a text longer than `columns`: names often differ at their ends. Wide letters take two."""
    widths = [2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text]
    if sum(widths) <= columns:
        return text
    begin, end, room = 0, len(text), columns - 1  # one is for the ellipsis
    while True:
        from_begin = begin <= len(text) - end  # alternately
        room -= widths[begin if from_begin else end - 1]
        if room < 0:
            return f"{text[:begin]}…{text[end:]}"
        begin, end = (begin + 1, end) if from_begin else (begin, end - 1)


def literal(text: str) -> str:
    """Escape dollars, between which matplotlib would read a formula."""
    return text.replace("$", r"\$")


def _one_line(text: str) -> str:
    return " ".join(str(text).split())


def _own_font() -> dict[str, str]:
    from matplotlib.font_manager import findfont

    return {OWN_FAMILY: findfont(OWN_FAMILY)}


@cache
def _other_fonts() -> dict[str, str]:
    """Return families of installed fonts and one file of each, fonts for many scripts first."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    for path in set(findSystemFonts()) - {font.fname for font in fontManager.ttflist}:
        with contextlib.suppress(Exception):  # a format that matplotlib cannot read
            fontManager.addfont(path)
    fonts = {font.name: font.fname for font in fontManager.ttflist if font.style == "normal"}
    names = [name for name in fonts if not name.startswith("Last Resort")]  # it has a box for every letter
    return {name: fonts[name] for name in sorted(names, key=lambda name: (not name.startswith("Noto Sans"), name))}


@cache
def _has_glyph(font: str, letter: str) -> bool:
    from matplotlib.font_manager import get_font

    return get_font(font).get_char_index(ord(letter)) != 0
