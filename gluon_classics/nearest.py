"""Errors for unknown names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> ValueError:
    """Return the error for an unknown `name` of a `kind` ("network"), with the nearest choices and all of them."""
    plain = {_plain(choice): choice for choice in choices}
    near = [plain[match] for match in difflib.get_close_matches(_plain(str(name)), plain, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return ValueError(f"unknown {kind} {name!r}: {hint}The choices are {', '.join(plain.values())}")


def _plain(name: str) -> str:
    """Drop differences in case, - and _."""
    return name.lower().replace("-", "").replace("_", "")
