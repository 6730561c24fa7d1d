"""Start, watch and kill jobs of several processes, as a user would."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
DO_EXP = [sys.executable, str(ROOT / "experiments" / "do_exp.py")]
LAUNCH = [sys.executable, str(ROOT / "experiments" / "launch.py")]
SAMPLE = ["--dataset", "fashion-mnist-sample", "--limit-test", "50", "--out", "run"]


def environment(**more):
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}


def engine_launcher(engine, flags=()):
    """The launcher's command for two workers on this machine; the worker's command follows it."""
    if engine == "dist_sync":
        return [*LAUNCH, "-n", "2", *flags, "--"]
    horovodrun = Path(sys.executable).with_name("horovodrun")
    return [str(horovodrun), "--gloo", "-np", "2", "-H", "localhost:2", "--network-interfaces", "lo"]


def run(command, cwd, **more):
    """Run a command; return its exit status and its output."""
    done = subprocess.run(
        command, cwd=cwd, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300
    )
    return done.returncode, done.stdout.decode()


@contextlib.contextmanager
def started(command, cwd, **more):
    """Start a process that writes to output.txt; at the end kill it and all its descendants."""
    with open(cwd / "output.txt", "a") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment(**more), stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        for pid in [*descendants(process.pid), process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def wait_until(condition, process, cwd, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        said = (cwd / "output.txt").read_text()
        assert process.poll() is None and time.monotonic() < deadline, said
        time.sleep(0.01)


def descendants(pid):
    """The process ids of all descendants of a process."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found, new = [], [pid]
    while new:
        new = [child for child, parent in parents.items() if parent in new]
        found += new
    return found


def with_variables(pids, **variables):
    """The first of these processes with these environment variables and without a descendant that has them too."""
    wanted = {f"{name}={value}".encode() for name, value in variables.items()}
    fitting = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if wanted <= set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")):
                fitting.append(pid)
    return next((pid for pid in fitting if not set(descendants(pid)) & set(fitting)), None)


def listening(pids):
    """The addresses that these processes listen on, in hexadecimal as in /proc/net/tcp."""
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for file in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    inodes.add(os.readlink(file))
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {words[1].partition(":")[0] for words in lines if words[3] == "0A" and f"socket:[{words[9]}]" in inodes}
