"""Suggestions and errors for unknown names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, choices: Iterable[str]) -> list[str]:
    """Return up to three choices that resemble `name`, the nearest first. Case, - and _ make no difference."""
    plain = {_plain(choice): choice for choice in choices}
    return [plain[match] for match in difflib.get_close_matches(_plain(str(name)), plain, cutoff=0.5)]


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> ValueError:
    """Return the error for an unknown `name` of a `kind` ("network"), with the nearest choices and all of them."""
    choices = list(choices)
    near = nearest(name, choices)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return ValueError(f"unknown {kind} {name!r}: {hint}The choices are {', '.join(choices)}")


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
