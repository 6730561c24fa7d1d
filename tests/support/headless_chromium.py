"""Drive headless Chromium over its debugging pipe, with JSON messages that end in a zero byte."""

import fcntl
import json
import os
import select
import shutil
import subprocess
import time

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
]
SECONDS = 60  # timeout for an answer on a busy machine


def find_chromium():
    """The program's path, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Chromium:
    """A browser with one page; `profile` is an empty folder. Raises EOFError if it exits, TimeoutError if it hangs."""

    def __init__(self, profile):
        (its_input, my_output), (my_input, its_output) = os.pipe(), os.pipe()
        # Chromium reads from 3 and writes to 4; use higher numbers until the shell moves them there
        its_ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (its_input, its_output)]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{its_ends[0]} 4>&{its_ends[1]}', "bash", find_chromium(), *FLAGS]
            + [f"--user-data-dir={profile}", "about:blank"],
            pass_fds=its_ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (its_input, its_output, *its_ends):
            os.close(end)
        self._input, self._output = my_input, my_output
        self._received, self._session, self._number = b"", None, 0
        self.events = []
        try:
            pages = [each for each in self.call("Target.getTargets")["targetInfos"] if each["type"] == "page"]
            attached = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def close(self):
        os.close(self._output)  # Chromium exits when its pipe closes
        os.close(self._input)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def call(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._output, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, url, width, scheme):
        """Load a page in a window of `width` pixels, with the colour scheme 'light' or 'dark'."""
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=url)
        while not self.of("Page.loadEventFired"):
            self._receive()

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def of(self, *methods):
        """The parameters of all events with these names."""
        return [event["params"] for event in self.events if event["method"] in methods]

    def _receive(self):
        """Return the next message; events are also stored."""
        end = time.monotonic() + SECONDS
        while b"\0" not in self._received:
            if not select.select([self._input], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f"Chromium did not answer within {SECONDS} s")
            content = os.read(self._input, 1 << 20)
            if not content:
                raise EOFError("Chromium exited")
            self._received += content
        message, self._received = self._received.split(b"\0", 1)
        message = json.loads(message)
        if "method" in message:
            self.events.append(message)
        return message
