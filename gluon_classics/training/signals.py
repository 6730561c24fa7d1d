"""Ctrl-C and SIGTERM as a request: the batch is finished and a checkpoint written, then the process ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from time import monotonic

from gluon_classics.whole_file import remove_parts

# A scheduler sends SIGKILL some time after SIGTERM, often 10 seconds. Batches that take longer cannot be waited for.
PATIENCE = 8


class StopSignals:
    """`with StopSignals() as stop:` notes the first SIGTERM or SIGINT (Ctrl-C) in ``stop.signal``.

    :data:`PATIENCE` seconds after SIGTERM, and at a second Ctrl-C, the process ends as it stands; and at once as long
    as ``stop.training`` is False, for there is nothing to save. Exit statuses are a shell's: 143 and 130. A thread does
    all this, for Python calls its handlers in the main thread alone, and not while that waits inside MXNet.
    """

    def __init__(self):
        self.signal: int | None = None
        self.training = False  # set it when there is

    def __enter__(self) -> StopSignals:
        self._end, self._begin = os.pipe()
        os.set_blocking(self._begin, False)
        self._before = {number: signal.signal(number, _noted) for number in (signal.SIGTERM, signal.SIGINT)}
        self._wakeup = signal.set_wakeup_fd(self._begin, warn_on_full_buffer=False)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_error) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._begin)
        self._watcher.join()
        os.close(self._end)

    @property
    def status(self) -> int:
        """The exit status that tells of the signal."""
        return 128 + self.signal

    def _watch(self) -> None:
        deadline = None
        while True:
            left = None if deadline is None else max(0.0, deadline - monotonic())
            if not select.select([self._end], [], [], left)[0]:
                _leave(f"not ready {PATIENCE} s after SIGTERM", 143)
            byte = os.read(self._end, 1)
            if not byte:  # closed
                return
            if byte[0] in self._before and not self.training:
                _leave("stopped before the training", 128 + byte[0])
            if byte[0] == signal.SIGTERM:
                deadline = deadline or monotonic() + PATIENCE
            elif byte[0] != signal.SIGINT:
                continue
            elif self.signal is not None:
                _leave("stopped at once", 130)
            else:
                write_line("\nCtrl-C: finishing this batch and writing a checkpoint; once more stops at once")
            self.signal = self.signal or byte[0]


def _noted(_number, _frame) -> None:
    """Only a signal with a handler in Python reaches the pipe."""


def write_line(words: str) -> None:
    """Write a line to the standard error where somebody reads it; return within a second where nobody does.

    For threads beside the main one: print() may be in the middle of a line of the main thread's.
    """
    with contextlib.suppress(OSError):  # the reader is gone
        if select.select([], [2], [], 1)[1]:
            os.write(2, f"{words}\n".encode())


def _leave(words: str, status: int) -> None:
    write_line(f"{words}: the process ends; checkpoints written before stand")
    remove_parts()
    os._exit(status)
