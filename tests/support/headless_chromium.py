"""Chromium without a window, driven over its debugging pipe: JSON messages that end in a zero byte."""

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
SECONDS = 60  # that an answer may take, on a machine that is busy


def find_chromium():
    """Its path, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Chromium:
    """One page; `profile` is an empty folder. Raises EOFError if the program ends, TimeoutError if it is silent."""

    def __init__(self, profile):
        (its_input, my_output), (my_input, its_output) = os.pipe(), os.pipe()
        # it reads from 3 and writes to 4: numbers out of the way until the shell has put them there
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
        os.close(self._output)  # it ends with its pipe
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
        """Load a page in a window so wide, of a system that is 'light' or 'dark'."""
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
        """What the events of these kinds say."""
        return [event["params"] for event in self.events if event["method"] in methods]

    def _receive(self):
        """The next message; an event is kept, too."""
        end = time.monotonic() + SECONDS
        while b"\0" not in self._received:
            if not select.select([self._input], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("Chromium is silent")
            content = os.read(self._input, 1 << 20)
            if not content:
                raise EOFError("Chromium has ended")
            self._received += content
        message, self._received = self._received.split(b"\0", 1)
        message = json.loads(message)
        if "method" in message:
            self.events.append(message)
        return message
