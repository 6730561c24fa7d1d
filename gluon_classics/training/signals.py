"""Ctrl-C and SIGTERM: finish the batch, write a checkpoint, then end the process."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from time import monotonic
from types import FrameType

from gluon_classics.whole_file import remove_parts

# Seconds after SIGTERM. Schedulers send SIGKILL after 10 or more, so longer batches cannot be finished.
PATIENCE = 8


class StopSignals:
    """`with StopSignals() as stop:` stores the first SIGTERM or SIGINT (Ctrl-C) in ``stop.signal``.

    The process ends without a checkpoint :data:`PATIENCE` seconds after SIGTERM, at a second Ctrl-C, and immediately
    while ``stop.training`` is False, when there is nothing to save. The exit status is a shell's, 143 or 130. All this
    happens in a thread: Python calls handlers in the main thread only, and not while that waits inside MXNet.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.training = False  # set it to True when there is something to save

    def __enter__(self) -> StopSignals:
        self._end, self._begin = os.pipe()
        os.set_blocking(self._begin, False)
        self._before = {number: signal.signal(number, _noted) for number in (signal.SIGTERM, signal.SIGINT)}
        self._wakeup = signal.set_wakeup_fd(self._begin, warn_on_full_buffer=False)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_error: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._begin)
        self._watcher.join()
        os.close(self._end)

    @property
    def status(self) -> int:
        """The exit status for the signal."""
        assert self.signal is not None
        return 128 + self.signal

    def _watch(self) -> None:
        deadline = None
        while True:
            left = None if deadline is None else max(0.0, deadline - monotonic())
            if not select.select([self._end], [], [], left)[0]:
                _leave(f"not ready {PATIENCE} s after SIGTERM", 143)
            byte = os.read(self._end, 1)
            if not byte:  # the pipe is closed
                return
            if byte[0] in self._before and not self.training:
                _leave("stopped before the training", 128 + byte[0])
            if byte[0] == signal.SIGTERM:
                deadline = deadline or monotonic() + PATIENCE
            elif byte[0] != signal.SIGINT:
                continue
            elif self.signal is not None:
                _leave("stopped immediately", 130)
            else:
                write_line("\nCtrl-C: finishing this batch and writing a checkpoint; again to stop immediately")
            self.signal = self.signal or byte[0]


def _noted(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: only signals with a Python handler reach the pipe."""


def write_line(words: str) -> None:
    """Write a line to standard error, and give up after a second if nobody reads it.

    Threads use it because the main thread may be in the middle of a print().
    """
    with contextlib.suppress(OSError):  # the reader has closed the pipe
        if select.select([], [2], [], 1)[1]:
            os.write(2, f"{words}\n".encode())


def _leave(words: str, status: int) -> None:
    write_line(f"{words}: the process ends; checkpoints written before are intact")
    remove_parts()
    os._exit(status)
