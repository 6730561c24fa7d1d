"""Text from elsewhere, such as file names, made safe to print."""

from __future__ import annotations

import os
import unicodedata


def printable(name: str | os.PathLike) -> str:
    """Return a file name that any terminal can show: control characters and bytes that are not UTF-8 are escaped."""
    return "".join(_escape(c) if unicodedata.category(c) in ("Cc", "Cs") else c for c in str(name))


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code:02x}"  # surrogateescape: PEP 383
