"""Ends a process group when its owner is gone, however it went: python watchdog.py GROUP FOLDER.

Standard input is a pipe whose other end the owner alone holds. When it ends, the group gets SIGTERM, and after ten
seconds SIGKILL, and the folder is removed. The file imports nothing of this package, so that it starts at once.
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
    with contextlib.suppress(ProcessLookupError):  # the usual end: the owner has ended it
        os.killpg(group, signal.SIGTERM)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(0.1)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
