"""Temporary folders that a killed process does not leave."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


class TemporaryFolder:
    """A new folder, `path`, that only this user can enter. It is removed even if this process is killed.

    A second process makes and removes it; see `watchdog`. Raises OSError.
    """

    def __init__(self):
        self.path = Path(tempfile.gettempdir(), f"gluon-classics-{secrets.token_hex(4)}")
        command = [sys.executable, "-IS", str(Path(__file__).with_name("watchdog.py")), str(self.path)]
        self._watchdog = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
        )
        number = self._watchdog.stdout.readline().strip()
        if number != "0":
            self.close()
            number = int(number or 0)
            raise OSError(number, os.strerror(number) if number else "the watchdog does not start", str(self.path))

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_error: object) -> None:
        self.close()

    def end_with(self, group: int) -> None:
        """Also end this process group, before the folder is removed."""
        self._watchdog.stdin.write(f"{group}\n")
        self._watchdog.stdin.flush()

    def close(self) -> None:
        """Remove the folder. May be called again."""
        with contextlib.suppress(BrokenPipeError):
            self._watchdog.stdin.close()
        self._watchdog.wait()
        self._watchdog.stdout.close()
        shutil.rmtree(self.path, ignore_errors=True)  # in case the watchdog was killed
