"""python -m gluon_classics serve: serve a trained network with Multi Model Server, on this machine only."""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import shlex
import signal
import sys
import time
from pathlib import Path

from gluon_classics import deploy, inference
from gluon_classics.commands.arguments import run_folder, whole_number
from gluon_classics.deploy.server_config import LAST_PORT, Settings, config_properties
from gluon_classics.deploy.temporary import TemporaryFolder
from gluon_classics.whole_file import whole_file

NOTES = """\
RUN is a run folder of do_exp.py, which is exported first, or a folder that export wrote. The answer to a picture is its
five most probable classes, as JSON. A bad request is answered with 4xx and {"error": ...}.

Only this machine can reach the server, and only this user can manage it. Ctrl-C ends all of its processes.

examples:
  python -m gluon_classics serve runs/lenet-fashion-mnist-20170901-120000
  curl -T boot.png http://127.0.0.1:8080/predictions/lenet
  python -m gluon_classics serve lenet --archive-only -o store
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, NOTES
    default = Settings()
    add = parser.add_argument
    add("folder", type=run_folder, metavar="RUN", help="latest, or the run folder, or the exported artifact")
    add("--port", type=_port, default=default.port, help=f"port of 127.0.0.1 (default {default.port})")
    add("--workers", type=whole_number, default=default.workers, metavar="N", help="worker processes (default 1)")
    add("--batch-size", type=whole_number, default=default.batch_size, metavar="N",
        help="most requests in a batch (default 1)")  # fmt: skip
    add("--batch-delay", type=whole_number, default=default.batch_delay, metavar="MS",
        help=f"milliseconds to wait for a full batch (default {default.batch_delay})")  # fmt: skip
    add("--user", type=_user, help="for root: the user who runs the server, and must be able to run this Python")
    add("--archive-only", action="store_true", help="write NAME.mar and config.properties to OUT; start no server")
    add("-o", "--out", type=Path, metavar="OUT", help="the folder for --archive-only; it may exist")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM. Raises ValueError if the server does not start, or ends."""
    if args.archive_only != bool(args.out):
        raise ValueError("--archive-only and --out OUT go together: OUT is the folder for the archive")
    if args.archive_only and (args.user or (args.batch_size, args.batch_delay) != Settings()[2:4]):
        raise ValueError(
            "config.properties has no --user, --batch-size or --batch-delay: leave them out; docs/export-and-serve.md "
            "shows how to set batches in a running server"
        )
    if args.user and os.geteuid() != 0:
        raise ValueError(f"--user {args.user}: only root can start another user's processes")
    settings = Settings(args.port, args.workers, args.batch_size, args.batch_delay, args.user)
    if args.archive_only:
        return _write_store(args.folder, args.out, settings)
    deploy.require_server()
    if os.geteuid() == 0 and not args.user:
        print("note: the server runs as root; --user NAME runs it as another user", file=sys.stderr)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # all act as Ctrl-C: `with` ends the server
        signal.signal(number, signal.default_int_handler)
    try:
        with contextlib.ExitStack() as stack:
            with TemporaryFolder() as temporary:
                archive = deploy.pack(_artifact(args.folder, temporary), temporary)
                server = stack.enter_context(deploy.Server(archive, settings))
            print(f"serving {args.folder} at {server.url} until Ctrl-C; log: {server.log}")
            print(f"curl -T picture.png {server.url}", flush=True)
            while True:
                server.check()
                time.sleep(0.5)
    except KeyboardInterrupt:
        print("stopped")
    except OSError as error:
        raise ValueError(f"the server cannot be started: {error}") from error
    return 0


def _write_store(folder: Path, out: Path, settings: Settings) -> int:
    try:
        out.mkdir(parents=True, exist_ok=True)
        config = out / "config.properties"
        if config.exists():
            raise ValueError(f"{config} exists and is for another model: remove it, or name another folder")
        with TemporaryFolder() as temporary:
            archive = deploy.pack(_artifact(folder, temporary), out)
        with whole_file(config) as part:
            part.write_text(config_properties(settings, out.resolve(), out.resolve(), archive.name))
    except OSError as error:
        raise ValueError(f"{error.filename or out}: cannot be written: {error.strerror or error}") from error
    print(f"{archive} and {config}")
    print(f"multi-model-server --start --foreground --mms-config {shlex.quote(str(config))}")
    return 0


def _artifact(folder: Path, temporary: Path) -> inference.Artifact:
    if inference.is_artifact(folder):
        return inference.read_artifact(folder)
    inference.say_if_unfinished(folder)
    return deploy.export_run(folder, temporary / "artifact", preprocess=True)


def _user(text: str) -> str:
    try:
        pwd.getpwnam(text)
    except KeyError:
        raise argparse.ArgumentTypeError(f"there is no user {text!r}") from None
    return text


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to {LAST_PORT}")
    return int(text)
