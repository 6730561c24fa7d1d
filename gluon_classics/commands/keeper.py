"""What launch does on each machine: check that a process can run there, run it, and end it with the job.

It runs as a file of its own, and imports nothing of gluon_classics: that would set threads for the process it runs.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import socket
import subprocess
import sys
import threading

PR_SET_PDEATHSIG = 1  # of Linux' prctl(2): the signal that a process gets when its parent ends


def must_be_free(address: str, wanted: int) -> None:
    """Raise ValueError for a port (0: any) in use or not permitted, and for an address of another machine."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((address, wanted))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise ValueError(f"{address} is not an address of this machine") from None
            problem = f"port {wanted} of {address} cannot be taken: {error.strerror}. Name another with --port"
            raise ValueError(problem) from None


def test(address: str, wanted: str) -> int:
    """Check the address and port on this machine, before anything starts on it. Returns the exit status."""
    try:
        must_be_free(address, int(wanted))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def keep(silence: str, command: list[str]) -> int:
    """Run a command for a `launch.py` elsewhere: each byte on standard input is a signal to send to it.

    When standard input ends, launch.py is gone or ends the job: the command and all that it started are killed. The
    same happens after `silence` seconds without a byte: the machines no longer reach each other.
    """
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_parent
        )
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return 127

    def listen() -> None:
        while heard := select.select([0], [], [], float(silence) if silence else None)[0]:
            byte = os.read(0, 1)
            if not byte:
                break
            os.killpg(process.pid, byte[0])
        if not heard:
            say(f"nothing has come from the launching machine for {silence} s: this process is ended")
        os.killpg(process.pid, signal.SIGKILL)

    threading.Thread(target=listen, daemon=True).start()
    return as_shell(process.wait())


def _die_with_parent() -> None:
    """Let the new process be killed when its keeper is."""  # as training/trial.py, which imports MXNet
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def as_shell(status: int) -> int:
    """Return a process's exit status as a shell does: 128 + signal, where subprocess has -signal."""
    return status if status >= 0 else 128 - status


def say(words: str) -> None:
    print(f"launch.py: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    action, *arguments = sys.argv[1:]
    sys.exit(keep(arguments[0], arguments[1:]) if action == "--keep" else test(*arguments))
