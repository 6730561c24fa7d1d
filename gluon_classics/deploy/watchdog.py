"""End a process group when its owner is gone, even if the owner was killed: python watchdog.py GROUP FOLDER.

Standard input is a pipe whose other end only the owner holds. When it closes, the group gets SIGTERM, ten seconds later
SIGKILL, and the folder is removed. This file imports nothing of the package, so that it starts fast.
"""

import contextlib
import os
import shutil
import signal
import sys
import time

SECONDS = 10


def main() -> None:
    group, folder = int(sys.argv[1]), sys.argv[2]
    sys.stdin.buffer.read()
    with contextlib.suppress(ProcessLookupError):  # usually the owner has already ended the group
        os.killpg(group, signal.SIGTERM)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(0.1)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
