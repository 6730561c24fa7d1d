"""python -m gluon_classics launch, which is python experiments/launch.py: a training with parameter servers.

It starts the processes, on this machine or on several, and ends them together.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
from collections.abc import Iterator
from time import monotonic, sleep

from gluon_classics.commands.arguments import Parser, whole_number
from gluon_classics.commands.job import PATIENCE, ROOT, Host, Process, Role, free_port, must_answer, read_hosts, roles
from gluon_classics.commands.keeper import must_be_free, say

DESCRIPTION = """\
Start the processes of a training with parameter servers, on this machine or on several, and end them together:

python experiments/launch.py -n 2 -s 1 -- python experiments/do_exp.py --net lenet --distributed dist_sync
"""
GRACE = 3  # seconds that the others have to end by themselves after one has failed, and to say why
HEARTBEAT = 10  # seconds between two signs of life to the other machines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.formatter_class = DESCRIPTION, argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("-n", "--workers", type=whole_number, help="workers (default: a host file's slots, else 2)")
    add("-s", "--servers", type=whole_number, default=1, help="servers, which share the weights (default 1)")
    add(
        "--hosts",
        metavar="FILE",
        help="the machines, a line each: NAME slots=WORKERS; all, including this one, reached by ssh without password",
    )
    add("--port", type=port, help="the scheduler's port, on the first machine (default: a free one; with --hosts 9091)")
    add("--print-env", action="store_true", help="start nothing: print environment and command of each process")
    add("command", nargs=argparse.REMAINDER, help="after --: what each worker runs")


def port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 1 to 65535")
    return int(text)


def supervise(processes: list[Process]) -> int:
    """Wait for all workers; end everything when one process fails. Returns the first failure's status, or 0."""
    asked: list[int] = []  # signals that this program got
    before = {
        each: signal.signal(each, lambda number, _: asked.append(number)) for each in (signal.SIGINT, signal.SIGTERM)
    }
    workers = [process for process in processes if process.role.name.startswith("worker")]
    told, deadline, beaten = 0, None, monotonic()
    try:
        while any(process.status is None for process in workers):
            failed = _first_failure(processes, workers)
            if failed and not asked:
                _wait(workers, GRACE if failed.status else PATIENCE)  # servers end as soon as the workers are done
                if failed.status or any(process.status is None for process in workers):
                    say(f"{failed.role.name} {_how(failed.status or 0)}: the others are ended")
                    return failed.status or 1
                continue  # servers end with the last worker
            if failed and deadline is None:
                deadline = monotonic() + GRACE
            if len(asked) > told:
                told = len(asked)
                if told > 1 and asked[-1] == signal.SIGINT:
                    say("stopped at once; checkpoints written before stand, and --resume goes on")
                    return 130
                deadline = deadline or monotonic() + PATIENCE
                for process in workers:
                    process.tell(signal.Signals(asked[-1]))
            if deadline is not None and monotonic() > deadline:
                break
            if monotonic() - beaten > HEARTBEAT:
                beaten = monotonic()
                for process in processes:
                    process.tell(0)
            sleep(0.1)
        else:
            _wait(processes, GRACE)  # scheduler and servers end after the workers
        statuses = [process.status for process in workers]
        failed = next((process for process in workers if process.status), None)
        if failed:
            status = failed.status or 1
            if not asked:
                say(f"{failed.role.name} {_how(status)}")
            return status
        return 128 + asked[0] if asked and None in statuses else 0
    finally:
        for process in processes:
            process.end()
        for each, handler in before.items():
            signal.signal(each, handler)


def _first_failure(processes: list[Process], workers: list[Process]) -> Process | None:
    """One that has ended with a failure, or before the workers whom it serves."""
    return next(
        (p for p in processes if p.status is not None and (p.status or p not in workers)),
        None,
    )


def _how(status: int) -> str:
    name = {128 + each: each.name for each in signal.Signals}.get(status)
    if name is None:
        return f"ended with status {status}"
    return f"ended after {name}" if name in ("SIGINT", "SIGTERM") else f"was killed by {name}"


def _wait(processes: list[Process], seconds: float) -> None:
    deadline = monotonic() + seconds
    while monotonic() < deadline and any(process.status is None for process in processes):
        sleep(0.1)


def printed(job: list[Role]) -> Iterator[str]:
    """Environment and command of each process, for a shell."""
    for role in job:
        where = f" on {role.host.name}" if role.host.name else ""
        yield f"# {role.name}{where}"
        environment = {**role.environment, "PYTHONPATH": str(ROOT)}
        words = shlex.join(f"{name}={value}" for name, value in environment.items())
        yield f"cd {shlex.quote(os.getcwd())} && env {words} {shlex.join(role.command)}"


def run(args: argparse.Namespace) -> int:
    """Returns the first failure's exit status, or 0; 2 if nothing can be started."""
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    try:
        if not command:
            raise ValueError("what shall the workers run? Add -- and a command, as python experiments/do_exp.py")
        hosts = read_hosts(args.hosts) if args.hosts else [Host(None, args.workers or 2)]
        root_port = args.port or (9091 if args.hosts else free_port(hosts[0].address))
        workers = args.workers or sum(host.slots for host in hosts)
        job = roles(hosts, workers, args.servers, root_port, command)
        if args.print_env:
            print("\n".join(printed(job)))
            return 0
        if args.hosts:
            must_answer(hosts, root_port)
        else:
            must_be_free(hosts[0].address, root_port)
    except (ValueError, OSError) as error:
        named = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else error
        say(f"error: {named}")
        return 2
    return supervise([Process(role) for role in job])


def main(argv: list[str] | None = None) -> int:
    """What experiments/launch.py calls."""
    parser = Parser(prog="launch.py")
    add_arguments(parser)
    return run(parser.parse_args(argv))
