"""What the command lines share: a parser that suggests the nearest flag, and types of arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from gluon_classics.nearest import nearest, unknown_name


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that answers a mistake with one line and the nearest match, not with the usage."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        args = sys.argv[1:] if args is None else list(args)
        flag = self._unknown_flag(args)
        if flag:  # argparse would report missing arguments first
            near = nearest(flag, self._flags())
            self.error(f"unknown flag {flag}" + (f": did you mean {near[0]}?" if near else ""))
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\nsee {self.prog} --help\n")

    def _check_value(self, action, value):
        if action.choices is not None and value not in action.choices:
            kind = "command" if action.nargs == argparse.PARSER else "/".join(action.option_strings) or action.dest
            raise argparse.ArgumentError(None, str(unknown_name(kind, value, map(str, action.choices))))

    def _flags(self) -> list[str]:
        return [flag for action in self._actions for flag in action.option_strings]

    def _unknown_flag(self, args: list[str]) -> str | None:
        flags = self._flags()
        has_commands = any(action.nargs in (argparse.PARSER, argparse.REMAINDER) for action in self._actions)
        for text in args:
            if text == "--" or (has_commands and not text.startswith("-")):
                return None  # what follows is for another parser
            # argparse takes "-", numbers, and what has a space for values
            if not text.startswith("-") or text == "-" or " " in text or _is_number(text) or text[:2] in flags:
                continue
            name = text.partition("=")[0]
            if not any(flag.startswith(name) if self.allow_abbrev else flag == name for flag in flags):
                return name
        return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def whole_number(text: str) -> int:
    """Convert an argument that must be 1 or more. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def run_folder(text: str) -> Path:
    """Convert a run or artifact; `latest` is the newest finished run in runs. Raises ArgumentTypeError."""
    if text != "latest" or Path(text).exists():
        return Path(text)
    results = sorted(Path("runs").glob("*/result.json"), key=lambda file: file.stat().st_mtime)
    if not results:
        raise argparse.ArgumentTypeError("latest: there is no finished run in the folder runs; name the run's folder")
    return results[-1].parent
