"""Text from elsewhere, such as file names, made safe to print."""

from __future__ import annotations

import os
import unicodedata


def printable(name: str | os.PathLike) -> str:
    """A file's name as any terminal can show it: control characters, and bytes that are no UTF-8, as escapes."""
    return "".join(_escape(c) if unicodedata.category(c) in ("Cc", "Cs") else c for c in str(name))


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code:02x}"  # surrogateescape: PEP 383
