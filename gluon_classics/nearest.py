"""The answer to a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> ValueError:
    """The error to raise for `name`, which is no `kind` ("network"): with the nearest choices, and with all."""
    plain = {_plain(choice): choice for choice in choices}
    near = [plain[match] for match in difflib.get_close_matches(_plain(str(name)), plain, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return ValueError(f"unknown {kind} {name!r}: {hint}The choices are {', '.join(plain.values())}")


def _plain(name: str) -> str:
    """Upper case, - and _ are no difference."""
    return name.lower().replace("-", "").replace("_", "")
