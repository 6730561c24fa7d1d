"""python -m gluon_classics COMMAND; --help lists the commands."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from gluon_classics.insight import listing


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
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser("list", help="the networks: paper, input, parameters, multiply-accumulates, file")
    listing.add_list_arguments(command)
    command.set_defaults(run=listing.run_list)

    command = commands.add_parser("summary", help="a network's layers: sizes, parameters, MACs, receptive fields")
    listing.add_summary_arguments(command)
    command.set_defaults(run=listing.run_summary)

    command = commands.add_parser("draw", help="a diagram of a network's architecture, as SVG or PNG")
    if argv[:1] == ["draw"]:
        from gluon_classics.insight import draw

        draw.add_arguments(command)
        command.set_defaults(run=draw.run)

    command = commands.add_parser("convert", help="bring weights from PyTorch or gluoncv")
    if argv[:1] == ["convert"]:
        from gluon_classics.convert import command as convert

        convert.add_arguments(command)
        command.set_defaults(run=convert.run)

    command = commands.add_parser("predict", help="what a trained network takes pictures for")
    if argv[:1] == ["predict"]:
        from gluon_classics.deploy import predict

        predict.add_arguments(command)
        command.set_defaults(run=predict.run)

    command = commands.add_parser("look", help="what a trained network sees in a picture, as a page")
    if argv[:1] == ["look"]:
        from gluon_classics.insight import look

        look.add_arguments(command)
        command.set_defaults(run=look.run)

    command = commands.add_parser("export", help="a trained network as files that any process with MXNet can use")
    if argv[:1] == ["export"]:
        from gluon_classics.deploy import export_command

        export_command.add_export_arguments(command)
        command.set_defaults(run=export_command.run_export)

    command = commands.add_parser("serve", help="a trained network behind Multi Model Server")
    if argv[:1] == ["serve"]:
        from gluon_classics.deploy import serve

        serve.add_arguments(command)
        command.set_defaults(run=serve.run)

    command = commands.add_parser("verify", help="whether exported files are what was exported, and answer the same")
    if argv[:1] == ["verify"]:
        from gluon_classics.deploy import export_command

        export_command.add_verify_arguments(command)
        command.set_defaults(run=export_command.run_verify)
    return parser


if __name__ == "__main__":
    sys.exit(main())
