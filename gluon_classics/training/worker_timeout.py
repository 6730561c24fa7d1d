"""The end of a worker that waits too long for the others."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from time import monotonic

from gluon_classics.training.signals import write_line


class Watch:
    """Ends the process where it waits too long: neither engine gives up by itself when another worker is stuck.

    A thread does it, for the main thread waits inside MXNet, where no exception reaches it.
    """

    def __init__(self, timeout: float, worker: str = "this worker") -> None:
        self.timeout, self.worker = timeout, worker
        self._deadline: float | None = None
        self._seconds, self._for = timeout, ""
        threading.Thread(target=self._run, daemon=True).start()

    def within(self, seconds: float, what: str = "for the other workers") -> None:
        """From now on the next call has to come within so many seconds."""
        self._seconds, self._for = seconds, what
        self._deadline = monotonic() + seconds

    @contextlib.contextmanager
    def waiting(self, seconds: float, what: str = "for the other workers") -> Iterator[None]:
        """What is inside has to end within so many seconds; afterwards time does not count."""
        self.within(seconds, what)
        try:
            yield
        finally:
            self._deadline = None

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(0.5):
            deadline = self._deadline
            if deadline is not None and monotonic() > deadline:
                words = (
                    f"{self.worker} has waited {self._seconds:g} s {self._for}: one of them is gone or stuck, or is "
                    "slower than --distributed-timeout allows. It ends; checkpoints written before stand"
                )
                write_line(words)
                os._exit(1)
