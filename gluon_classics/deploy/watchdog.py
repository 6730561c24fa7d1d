"""A folder that is removed when its owner is gone, even if the owner was killed: python watchdog.py FOLDER.

This process makes the folder and writes the errno, 0 for success, to standard output. Standard input is a pipe whose
other end only the owner holds: each line is a process group. When the pipe closes, the groups get SIGTERM, ten seconds
later SIGKILL, and the folder is removed. This file imports nothing of the package, so that it starts fast.
"""

import contextlib
import os
import shutil
import signal
import sys
import time

SECONDS = 10


def main() -> None:
    folder = sys.argv[1]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # a service manager sends them to every process
        signal.signal(number, signal.SIG_IGN)
    try:
        os.mkdir(folder, 0o700)
    except OSError as error:
        print(error.errno, flush=True)
        return
    with contextlib.suppress(OSError):  # the owner is gone already
        print(0, flush=True)
    for group in sys.stdin.read().split():
        end_group(int(group))
    end = time.monotonic() + SECONDS
    while os.path.exists(folder) and time.monotonic() < end:  # a process that has not ended yet may write to it
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.01)


def end_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # usually the owner has already ended the group
        os.killpg(group, signal.SIGTERM)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(0.1)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
