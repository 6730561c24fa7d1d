"""Ctrl-C and SIGTERM as a request: the batch is finished and a checkpoint written, then the process ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

# A scheduler sends SIGKILL some time after SIGTERM, often 10 seconds. Batches that take longer cannot be waited for.
PATIENCE = 8


class StopSignals:
    """`with StopSignals() as stop:` notes the first SIGTERM or SIGINT (Ctrl-C) in ``stop.signal``.

    A second one ends the process at once, and so do :data:`PATIENCE` seconds after SIGTERM: what waits inside MXNet
    cannot be interrupted, and the last checkpoint stands. Exit statuses are a shell's: 143 and 130.
    """

    def __init__(self):
        self.signal: int | None = None

    def __enter__(self) -> StopSignals:
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_error) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def status(self) -> int:
        """The exit status that tells of the signal."""
        return 128 + self.signal

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            self._leave("stopped at once", 128 + number)
        self.signal = number
        if number == signal.SIGTERM:
            watch = threading.Timer(PATIENCE, self._leave, [f"no checkpoint within {PATIENCE} s of SIGTERM", 143])
            watch.daemon = True
            watch.start()
        else:
            print("\nCtrl-C: finishing this batch and writing a checkpoint; once more stops at once", file=sys.stderr)

    @staticmethod
    def _leave(words: str, status: int) -> None:
        print(f"{words}; the last checkpoint stands", file=sys.stderr, flush=True)
        os._exit(status)
