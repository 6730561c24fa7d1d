"""python -m gluon_classics COMMAND; --help lists the commands."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence

from gluon_classics import __version__

COMMANDS = {
    "list": "the networks: paper, input size, parameters, multiply-accumulates, file",
    "summary": "a network's layers: sizes, parameters, MACs, receptive fields",
    "draw": "a diagram of a network, as SVG or PNG",
    "convert": "convert weights from PyTorch or gluoncv",
    "predict": "classify pictures with a trained network",
    "look": "a page that shows what a trained network sees in a picture",
    "export": "write a trained network as files that any process with MXNet can load",
    "verify": "check that exported files are intact and give the same answers",
    "serve": "serve a trained network with Multi Model Server",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns its exit status: 2 for bad input, 130 after Ctrl-C."""
    if argv is None:  # the process runs this command alone: SIGTERM ends it as Ctrl-C does, half-written files removed
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        argv = sys.argv[1:]
    args = _parser(list(argv)).parse_args(argv)
    try:
        status = args.run(args)
        sys.stdout.flush()
        return status
    except ValueError as error:
        print(f"gluon_classics: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, as `| head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return 1
    except KeyboardInterrupt:
        return 130


def _parser(argv: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gluon_classics", description="Classic convolutional networks")
    parser.add_argument("--version", action="version", version=f"gluon-classics {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, help_text in COMMANDS.items():
        command = commands.add_parser(name, help=help_text)
        if argv[:1] == [name]:  # only the command that runs is imported
            module = importlib.import_module(f"gluon_classics.commands.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
