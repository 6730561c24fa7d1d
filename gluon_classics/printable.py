"""Text from elsewhere, such as file and class names, made safe to print and to open in a spreadsheet."""

from __future__ import annotations

import os
import re
import unicodedata

#: What spreadsheets take for a formula, also after white space that they remove; and what `csv_cell` made of it
FORMULA = r"'*[\s\0]*[=+\-@＝＋－＠]"


def printable(name: str | os.PathLike) -> str:
    """Return a file name that any terminal can show: control characters and bytes that are not UTF-8 are escaped."""
    return "".join(_escape(c) if unicodedata.category(c) in ("Cc", "Cs") else c for c in str(name))


def csv_cell(text: str) -> str:
    """Return the text as a cell that no spreadsheet takes for a formula: with an apostrophe before = + - @."""
    return f"'{text}" if re.match(FORMULA, text) else text


def csv_text(cell: str) -> str:
    """Return the text of which `csv_cell` made the cell."""
    return cell[1:] if cell.startswith("'") and re.match(FORMULA, cell) else cell


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code:02x}"  # surrogateescape: PEP 383
