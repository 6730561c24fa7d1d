"""Names of classes and files in pictures, in any script.

matplotlib brings DejaVu Sans: Latin, Greek, Cyrillic, Arabic, Hebrew and more, but no Chinese, Japanese or Korean. For
what it lacks, an installed font that has it is taken (Debian: fonts-noto-cjk, fonts-noto-core). Where none has, a
class is drawn as its number, "class 7"; matplotlib would draw empty boxes, and warn of each.
"""

from __future__ import annotations

import contextlib
import logging
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

OWN_FAMILY = "DejaVu Sans"  # comes with matplotlib


class Lettering:
    """How texts are written with the fonts in these files; see :func:`lettering`."""

    def __init__(self, fonts: Sequence[str]):
        self._fonts = fonts

    def classes(self, names: Sequence[str]) -> list[str]:
        """Each class's name in one line, or its number, from 0 on, where a letter is in no font."""
        lines = map(_one_line, names)
        return [line if all(map(self._has, line)) else f"class {i}" for i, line in enumerate(lines)]

    def text(self, text: str) -> str:
        """A text in one line, with "?" for a letter that is in no font."""
        return "".join(letter if self._has(letter) else "?" for letter in _one_line(text))

    def _has(self, letter: str) -> bool:
        return any(_has_glyph(font, letter) for font in self._fonts)


@contextlib.contextmanager
def lettering(texts: Iterable[str]) -> Iterator[Lettering]:
    """Inside, matplotlib draws and saves with fonts that have the letters of ``texts``, as far as there are any."""
    import matplotlib  # here: its import would keep a training's first batch waiting

    fonts = _own_font()
    for letter in sorted(set().union(*map(_one_line, texts))):
        if not any(_has_glyph(font, letter) for font in fonts.values()):
            fonts.update([item for item in _other_fonts().items() if _has_glyph(item[1], letter)][:1])
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns of a font that has no weight of 400, and of one that has no bold
    try:
        with matplotlib.rc_context({"font.family": list(fonts)}):
            yield Lettering(list(fonts.values()))
    finally:
        log.setLevel(level)


def shortened(text: str, columns: int) -> str:
    """At most so many columns, the middle left out: names often differ in their ends. A wide letter takes two."""
    widths = [2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text]
    if sum(widths) <= columns:
        return text
    begin, end, room = 0, len(text), columns - 1  # one is the ellipsis's
    while True:
        from_begin = begin <= len(text) - end  # by turns
        room -= widths[begin if from_begin else end - 1]
        if room < 0:
            return f"{text[:begin]}…{text[end:]}"
        begin, end = (begin + 1, end) if from_begin else (begin, end - 1)


def literal(text: str) -> str:
    """For matplotlib, which would read a formula between two dollars."""
    return text.replace("$", r"\$")


def _one_line(text: str) -> str:
    return " ".join(str(text).split())


def _own_font() -> dict[str, str]:
    """Its family and its file."""
    from matplotlib.font_manager import findfont

    return {OWN_FAMILY: findfont(OWN_FAMILY)}


@cache
def _other_fonts() -> dict[str, str]:
    """Families of installed fonts and a file of each, those first that are made for many scripts."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    for path in set(findSystemFonts()) - {font.fname for font in fontManager.ttflist}:
        with contextlib.suppress(Exception):  # newer than matplotlib's list; or a format it cannot read
            fontManager.addfont(path)
    fonts = {font.name: font.fname for font in fontManager.ttflist if font.style == "normal"}
    names = [name for name in fonts if not name.startswith("Last Resort")]  # which has a box for every letter
    return {name: fonts[name] for name in sorted(names, key=lambda name: (not name.startswith("Noto Sans"), name))}


@cache
def _has_glyph(font: str, letter: str) -> bool:
    from matplotlib.font_manager import get_font

    return get_font(font).get_char_index(ord(letter)) != 0
