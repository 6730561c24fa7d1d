"""End a worker that waits too long for the others."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from time import monotonic

from gluon_classics.training.signals import write_line


class Watch:
    """Ends the process if it waits too long: neither engine gives up when another worker is stuck.

    A thread does so, because the main thread waits inside MXNet, where no exception reaches it.
    """

    def __init__(self, timeout: float, worker: str = "this worker") -> None:
        self.timeout, self.worker = timeout, worker
        self._deadline: float | None = None
        self._seconds, self._for = timeout, ""
        threading.Thread(target=self._run, daemon=True).start()

    def within(self, seconds: float, what: str = "for the other workers") -> None:
        """Expect the next call within that many seconds."""
        self._seconds, self._for = seconds, what
        self._deadline = monotonic() + seconds

    @contextlib.contextmanager
    def waiting(self, seconds: float, what: str = "for the other workers") -> Iterator[None]:
        """Expect the context to end within that many seconds; then stop watching."""
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
                write_line(
                    f"{self.worker} has waited {self._seconds:g} s {self._for}: one of them is gone, stuck, or slower "
                    "than --distributed-timeout allows. This one ends; checkpoints written before are intact"
                )
                os._exit(1)
