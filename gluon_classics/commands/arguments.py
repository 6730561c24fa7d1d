"""Types of command-line arguments."""

from __future__ import annotations

import argparse


def whole_number(text: str) -> int:
    """For argparse: 1 or more. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, at least 1")
    return int(text)
