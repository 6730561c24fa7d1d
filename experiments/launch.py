"""Start the processes of a training with parameter servers, on this machine or on several, and end them together:

python experiments/launch.py -n 2 -s 1 -- python experiments/do_exp.py --net lenet --distributed dist_sync
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from keeper import as_shell, keep, must_be_free, say, test

HERE = Path(__file__).resolve()
ROOT = HERE.parents[1]
# MXNet, imported in these roles, serves until the workers are done. gluon_classics makes it importable.
SERVE = ("-c", "import gluon_classics")
GRACE = 3  # seconds in which the others may end by themselves after one has failed, and say why
PATIENCE = 10  # seconds that workers have for their checkpoint, after Ctrl-C or SIGTERM
HEARTBEAT, SILENCE = 10, 60  # seconds: so often other machines hear of this one, and so long they go on without
# What the processes on other machines get of this one's environment: names that are, or begin with, one of these.
FORWARDED = ("PATH", "LD_LIBRARY_PATH", "OMP_", "GOMP_", "MXNET_", "PS_", "CUDA_VISIBLE_DEVICES", "DNNL_")
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=10")


class Host(NamedTuple):
    """A machine, by the name or address that the others reach it by; None stands for this one, on loopback."""

    name: str | None
    slots: int

    @property
    def address(self) -> str:
        """Raises ValueError for a name that is not known."""
        try:
            return "127.0.0.1" if self.name is None else socket.gethostbyname(self.name)
        except OSError as error:
            hint = f". Write {self.name.replace(':', ' slots=')}" if self.name.count(":") == 1 else ""
            raise ValueError(f"{self.name} cannot be found: {error.strerror}{hint}") from None


class Role(NamedTuple):
    """One process of the job."""

    name: str  # scheduler, server 0, worker 1
    host: Host
    environment: dict[str, str]
    command: list[str]


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("-n", "--workers", type=number, help="workers (default: a host file's slots, else 2)")
    add("-s", "--servers", type=number, default=1, help="servers, which share the weights among them (default 1)")
    add(
        "--hosts",
        metavar="FILE",
        help="the machines, a line each: NAME slots=WORKERS; all, this one too, reached by ssh without password",
    )
    add("--port", type=port, help="of the scheduler, on the first machine (default: a free one; with --hosts 9091)")
    add("--print-env", action="store_true", help="start nothing: print environment and command of each process")
    add("command", nargs=argparse.REMAINDER, help="after --: what each worker runs")
    return parser


def number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, at least 1")
    return int(text)


def port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 1 to 65535")
    return int(text)


def read_hosts(file: str) -> list[Host]:
    """The machines of a host file as Open MPI's and Horovod's: a line each, NAME or NAME slots=N; # begins a comment.

    Raises ValueError, naming the line or the machine, and OSError.
    """
    hosts = []
    for i, line in enumerate(Path(file).read_text().splitlines(), 1):
        name, *rest = line.partition("#")[0].split() or [""]
        if not name:
            continue
        key, _, slots = (rest or ["slots=1"])[0].partition("=")
        if len(rest) > 1 or key != "slots" or not slots.isdecimal() or int(slots) < 1 or name.startswith("-"):
            raise ValueError(f"{file}, line {i}: {line.strip()!r} is not NAME slots=N, as node1 slots=2")
        hosts.append(Host(name, int(slots)))
    if not hosts:
        raise ValueError(f"{file} names no machine: write a line for each, NAME slots=N")
    if len({host.name for host in hosts}) < len(hosts):
        raise ValueError(f"{file} names a machine twice: give it one line, with all its slots")
    loopback = [host.name for host in hosts if ipaddress.ip_address(host.address).is_loopback]
    if loopback and len(loopback) < len(hosts):
        raise ValueError(f"{file}: {loopback[0]} is a loopback address here, where no other machine finds it")
    return hosts


def roles(hosts: list[Host], workers: int, servers: int, root_port: int, command: list[str]) -> list[Role]:
    """All processes: the scheduler on the first machine, a server on each in turn, the workers by slots.

    Raises ValueError for more workers than slots.
    """
    slots = [(host, local) for host in hosts for local in range(host.slots)]
    if workers > len(slots):
        raise ValueError(f"-n {workers}: the machines have {len(slots)} slots: name fewer workers, or more slots")
    places = slots[:workers]
    common = {
        "DMLC_PS_ROOT_URI": hosts[0].address,
        "DMLC_PS_ROOT_PORT": str(root_port),
        "DMLC_NUM_WORKER": str(workers),
        "DMLC_NUM_SERVER": str(servers),
    }

    def role(kind: str, i: int, host: Host, command: list[str], **more: str) -> Role:
        name = kind if kind == "scheduler" else f"{kind} {i}"
        # the address that the process listens on, and that the others find it at
        own = {"DMLC_ROLE": kind, "DMLC_NODE_HOST": host.address, **more}
        return Role(name, host, {**common, **own}, command)

    serve = [sys.executable, *SERVE]
    one_thread = {"OMP_NUM_THREADS": "1"}  # they add arrays up; the cores are for the workers
    return [
        role("scheduler", 0, hosts[0], serve, **one_thread),
        *(role("server", i, hosts[i % len(hosts)], serve, **one_thread) for i in range(servers)),
        *(
            role(
                "worker",
                i,
                host,
                command,
                DMLC_TASK_ID=str(i),
                LOCAL_RANK=str(local),
                LOCAL_WORLD_SIZE=str(sum(each is host for each, _ in places)),
            )
            for i, (host, local) in enumerate(places)
        ),
    ]


def free_port(address: str) -> int:
    with socket.socket() as found:
        found.bind((address, 0))
        return found.getsockname()[1]


def must_answer(hosts: list[Host], root_port: int) -> None:
    """Raises ValueError, naming them, for machines that cannot take part.

    Those are out of ssh's reach, have not this folder, Python or program, or do not get their address or port.
    """
    asked = []
    for host in hosts:
        test = [sys.executable, str(HERE), "--test", host.address, str(root_port if host is hosts[0] else 0)]
        remote = f"cd {shlex.quote(os.getcwd())} && exec {shlex.join(test)}"
        command = [*SSH, host.name, remote]
        asked.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
    problems = []
    for host, process in zip(hosts, asked):
        error = process.communicate()[1].strip()
        if process.returncode:
            problems.append(f"{host.name}: {error or f'ssh ended with status {process.returncode}'}")
    if problems:
        raise ValueError("not every machine can take part: " + "; ".join(problems))


class Process:
    """A process of the job, behind a keeper (see `keep`), whose lines come out with its name before them."""

    def __init__(self, role: Role):
        self.role = role
        silence = "" if role.host.name is None else str(SILENCE)
        keeper = [sys.executable, str(HERE), "--keep", silence, *role.command]
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
        environment.update(role.environment)
        if role.host.name is None:
            command, environment = keeper, {**os.environ, **environment}
        else:
            mine = {name: value for name, value in os.environ.items() if name.startswith(FORWARDED)}
            words = [f"{name}={value}" for name, value in {**mine, **environment}.items()]
            remote = f"cd {shlex.quote(os.getcwd())} && exec env {shlex.join(words)} {shlex.join(keeper)}"
            command, environment = [*SSH, role.host.name, remote], None
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this program alone, which tells the workers
        )
        self._printer = threading.Thread(target=self._print, daemon=True)
        self._printer.start()

    @property
    def status(self) -> int | None:
        """The exit status as a shell gives it; None while the process runs."""
        status = self._process.poll()
        return status if status is None else as_shell(status)

    def tell(self, number: int) -> None:
        """Have the keeper send a signal; 0 only says that this program is there."""
        with contextlib.suppress(OSError):  # it may have ended
            self._process.stdin.write(bytes([number]))
            self._process.stdin.flush()

    def end(self) -> None:
        """Kill what still runs, and print its last lines."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # at which the keeper kills all that it has started
        try:
            self._process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:  # a machine that does not answer any more
            self._process.kill()
            self._process.wait()
        self._printer.join(timeout=PATIENCE)

    def _print(self) -> None:
        for line in self._process.stdout:
            try:
                sys.stdout.buffer.write(f"[{self.role.name}] ".encode() + line)
                sys.stdout.buffer.flush()
            except BrokenPipeError:  # who reads the lines, as `| head`, has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                os.kill(os.getpid(), signal.SIGTERM)


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
                _wait(workers, GRACE)
                if failed.status or any(process.status is None for process in workers):
                    say(f"{failed.role.name} {_how(failed.status)}: the others are ended")
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
            if not asked:
                say(f"{failed.role.name} {_how(failed.status)}")
            return failed.status
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


def main(argv: list[str] | None = None) -> int:
    """The first failure's exit status, or 0; 2 for what cannot be started."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["--keep"]:
        return keep(arguments[1], arguments[2:])
    if arguments[:1] == ["--test"]:
        return test(*arguments[1:])
    parser = make_parser()
    args = parser.parse_args(arguments)
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        parser.error("what shall the workers run? Add -- and a command, as python experiments/do_exp.py")
    try:
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
        file = getattr(error, "filename", None)
        say(f"error: {file}: {error.strerror}" if file else f"error: {error}")
        return 2
    return supervise([Process(role) for role in job])


if __name__ == "__main__":
    sys.exit(main())
