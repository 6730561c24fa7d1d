"""The processes of a training with parameter servers: which there are, where they run, and how one is started."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from gluon_classics import runtime
from gluon_classics.commands import keeper
from gluon_classics.commands.keeper import as_shell

ROOT = Path(__file__).resolve().parents[2]
# MXNet, imported in these roles, serves until the workers are done. gluon_classics makes it importable.
SERVE = ("-c", "import gluon_classics, mxnet")
PATIENCE = 10  # seconds that workers have for their checkpoint, after Ctrl-C or SIGTERM
SILENCE = 60  # seconds after which a process on another machine ends if it hears nothing from this one
# What the processes on other machines get of this one's environment: names that are, or begin with, one of these.
FORWARDED = ("PATH", "LD_LIBRARY_PATH", "OMP_", "GOMP_", "MXNET_", "PS_", "CUDA_VISIBLE_DEVICES", "DNNL_")
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=10")


class Host(NamedTuple):
    """A machine, by the name or address that the others use; None is this one, on loopback."""

    name: str | None
    slots: int

    @property
    def address(self) -> str:
        """Return the address. Raises ValueError for an unknown name."""
        if self.name is None:
            return "127.0.0.1"
        try:
            return socket.gethostbyname(self.name)
        except OSError as error:
            hint = f". Write {self.name.replace(':', ' slots=')}" if self.name.count(":") == 1 else ""
            raise ValueError(f"{self.name} cannot be found: {error.strerror}{hint}") from None


class Role(NamedTuple):
    """One process of the job."""

    name: str  # scheduler, server 0, worker 1
    host: Host
    environment: dict[str, str]
    command: list[str]


def read_hosts(file: str) -> list[Host]:
    """Read a host file like Open MPI's and Horovod's: one machine a line, NAME or NAME slots=N; # begins a comment.

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
    """Return all processes: the scheduler on the first machine, servers in turn on each, workers by slots.

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
    """Raise ValueError with the names of the machines that cannot take part.

    ssh does not reach them, they lack this folder, Python or the program, or their address or port is not available.
    """
    asked = []
    for host in hosts:
        test = [sys.executable, keeper.__file__, "--test", host.address, str(root_port if host is hosts[0] else 0)]
        remote = f"cd {shlex.quote(os.getcwd())} && exec {shlex.join(test)}"
        assert host.name is not None
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
    """A process of the job, run by a keeper (see `keep`). Its lines are printed with its name in front."""

    def __init__(self, role: Role):
        self.role = role
        silence = "" if role.host.name is None else str(SILENCE)
        kept = [sys.executable, keeper.__file__, "--keep", silence, *role.command]
        started_with = runtime.started_with()  # without the threads that importing gluon_classics has set here
        path = os.pathsep.join(filter(None, [str(ROOT), started_with.get("PYTHONPATH")]))
        own = {"PYTHONPATH": path, **role.environment}
        command: list[str] = kept
        environment: dict[str, str] | None = {**started_with, **own}
        if role.host.name is not None:
            mine = {name: value for name, value in started_with.items() if name.startswith(FORWARDED)}
            words = [f"{name}={value}" for name, value in {**mine, **own}.items()]
            remote = f"cd {shlex.quote(os.getcwd())} && exec env {shlex.join(words)} {shlex.join(kept)}"
            command, environment = [*SSH, role.host.name, remote], None
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only this program, which passes it on to the workers
        )
        assert self._process.stdin and self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
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
            self._stdin.write(bytes([number]))
            self._stdin.flush()

    def end(self) -> None:
        """Kill what still runs, and print its last lines."""
        with contextlib.suppress(OSError):
            self._stdin.close()  # at which the keeper kills all that it has started
        try:
            self._process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:  # a machine that does not answer any more
            self._process.kill()
            self._process.wait()
        self._printer.join(timeout=PATIENCE)

    def _print(self) -> None:
        for line in self._stdout:
            try:
                sys.stdout.buffer.write(f"[{self.role.name}] ".encode() + line)
                sys.stdout.buffer.flush()
            except BrokenPipeError:  # who reads the lines, as `| head`, has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                os.kill(os.getpid(), signal.SIGTERM)
