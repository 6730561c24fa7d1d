"""Multi Model Server on this machine only, as one process tree that ends with its owner.

Its management interface loads models from anywhere and runs their code, so here it is a socket in a folder that only
this user can enter. Archives are extracted by our own `extract`: the server's does not check where entries lead.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import io
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from gluon_classics.data import extract
from gluon_classics.deploy.archive import INSTALL
from gluon_classics.deploy.server_config import HOST, LOG4J, METRICS_LOG, SERVER_LOG, Settings, config_properties
from gluon_classics.deploy.temporary import TemporaryFolder

from PIL import Image

START_SECONDS = 90
PROBE_SECONDS = 10  # between the predictions that `check` asks for, and the longest time to wait for one
SILENT_SECONDS = 100  # without a prediction, for anyone; a worker that stops is replaced after RESPONSE_SECONDS
STOP_SECONDS = 10
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOG_LINES = 15
SOCKET = ".mms.sock.9000"  # a worker's socket, in the server's TMPDIR
SOCKET_BYTES = 107  # the longest path of a Unix socket on Linux


def require_server() -> None:
    """Raise ValueError, with what to install, if Multi Model Server or Java is missing."""
    if importlib.util.find_spec("mms") is None:
        raise ValueError(f"serve needs Multi Model Server: {INSTALL}")
    java = Path(os.environ["JAVA_HOME"], "bin/java") if os.environ.get("JAVA_HOME") else "java"
    if shutil.which(java) is None:
        raise ValueError(f"serve needs Java, and there is no {java}: on Debian, apt install default-jre-headless")


class Server:
    """Serve NAME.mar inside a block: `with Server(archive, settings) as server:`.

    When the block begins, `server.url` has answered a prediction. Raises ValueError if the server does not start, the
    port is taken, or the path of the temporary folder is too long for a socket.
    """

    def __init__(self, archive: Path, settings: Settings):
        self.archive, self.settings = archive, settings
        self.name = archive.stem
        self.path = f"/predictions/{self.name}"
        self.url = f"http://{HOST}:{settings.port}{self.path}"
        self._temporary = TemporaryFolder()
        self.folder = self._temporary.path
        self.log = self.folder / "logs" / SERVER_LOG
        self.output = self.folder / "output.log"  # of the processes themselves, if they do not even start
        self.process: subprocess.Popen | None = None
        self._predicted = self._probed = 0.0  # when, by time.monotonic()
        self._metrics_size = 0

    def __enter__(self) -> Server:
        try:
            _check_port(self.settings.port)
            self._start()
            self._wait(self._register)
            self._wait(self._predict)
            self._predicted = self._probed = time.monotonic()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def check(self) -> None:
        """Raise ValueError, with the last lines of the log, if the server has ended or no longer answers.

        Every PROBE_SECONDS this asks for a prediction, and takes up to that time. Without one for SILENT_SECONDS the
        server is lost, unless it is answering others: while its queue is full, it refuses this request, too.
        """
        self._check_process()
        now = time.monotonic()
        if now - self._probed < PROBE_SECONDS:
            return
        delay, problem = self.settings.batch_delay / 1000, None
        try:
            self._predict(PROBE_SECONDS + delay)
        except (OSError, http.client.HTTPException) as error:
            problem = error
        self._check_process()
        size = _size(self.folder / "logs" / METRICS_LOG)  # the handler's times of each batch
        self._probed = time.monotonic()
        if problem is None or size != self._metrics_size:
            self._predicted = self._probed
        elif self._probed - self._predicted > SILENT_SECONDS + delay:
            seconds = round(self._probed - self._predicted)
            raise ValueError(f"Multi Model Server has not answered for {seconds} s: {problem}\n{self._last_lines()}")
        self._metrics_size = size

    def _check_process(self) -> None:
        assert self.process is not None
        if self.process.poll() is not None:
            raise ValueError(f"Multi Model Server ended with status {self.process.returncode}:\n{self._last_lines()}")

    def stop(self) -> None:
        """End every process of the tree and remove the temporary folder. A second Ctrl-C does not interrupt this."""
        with contextlib.ExitStack() as stack:
            if threading.current_thread() is threading.main_thread():  # only there can handlers be changed
                for number in STOPPING:
                    stack.callback(signal.signal, number, signal.signal(number, signal.SIG_IGN))
            if self.process:
                self._end_group(self.process)
            self._temporary.close()

    def _end_group(self, process: subprocess.Popen) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            end = time.monotonic() + STOP_SECONDS
            while time.monotonic() < end:
                if not _runs(process.pid):
                    process.wait()
                    return
                time.sleep(0.05)

    def _start(self) -> None:
        store, temporary = self.folder / "store", self.folder / "tmp"
        _check_socket(temporary / SOCKET)
        temporary.mkdir()
        extract(self.archive, store / self.name)
        config, log_config = self.folder / "config.properties", self.folder / "log4j2.xml"
        config.write_text(config_properties(self.settings, self.folder, store))
        log_config.write_text(LOG4J)
        environment = {**os.environ, "TEMP": str(temporary), "TMPDIR": str(temporary)}
        environment.update(LOG_LOCATION=str(self.folder / "logs"), METRICS_LOCATION=str(self.folder / "logs"))
        # the server looks up the workers' Python in PATH
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
        command = [sys.executable, "-m", "mms.model_server", "--start", "--foreground", "--mms-config", str(config)]
        command += ["--log-config", str(log_config)]
        options: dict[str, Any] = {}
        user = self.settings.user
        if user:
            options = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
            for path in [self.folder, *self.folder.rglob("*")]:
                shutil.chown(path, user)
        options.update(cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, **options)
        self._temporary.end_with(self.process.pid)

    def _register(self) -> None:
        """Load the model through the management socket."""
        settings = {
            "url": self.name,
            "model_name": self.name,
            "batch_size": self.settings.batch_size,
            "max_batch_delay": self.settings.batch_delay,
            "initial_workers": self.settings.workers,
            "synchronous": "true",
        }
        connection = http.client.HTTPConnection("localhost", timeout=START_SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(START_SECONDS)
        with contextlib.closing(connection):
            connection.sock.connect(f"{self.folder}/management")
            status, answer = _post(connection, f"/models?{urlencode(settings)}")
        if status != 200:
            raise ValueError(f"the server does not accept {self.archive}: {answer}\n{self._last_lines()}")

    def _predict(self, timeout: float = START_SECONDS) -> None:
        """Ask for one prediction: /ping answers before the workers are ready, and after they are gone."""
        picture = io.BytesIO()
        Image.new("RGB", (32, 32)).save(picture, "PNG")
        connection = http.client.HTTPConnection(HOST, self.settings.port, timeout=timeout)
        with contextlib.closing(connection):
            status, answer = _post(connection, self.path, picture.getvalue(), {"Content-Type": "image/png"})
        if status != 200:
            raise ConnectionError(f"{status} {answer}")

    def _wait(self, ready: Callable[[], None]) -> None:
        """Call `ready` until the server answers it."""
        end = time.monotonic() + START_SECONDS
        while True:
            self._check_process()
            try:
                return ready()
            # FileNotFoundError: there is no socket yet
            except (ConnectionError, FileNotFoundError, http.client.HTTPException) as error:
                if time.monotonic() > end:
                    problem = f"Multi Model Server is not ready after {START_SECONDS} s: {error}"
                    raise ValueError(f"{problem}\n{self._last_lines()}") from error
                time.sleep(0.1)

    def _last_lines(self) -> str:
        texts = [path.read_text(errors="replace") for path in (self.output, self.log) if path.exists()]
        return "\n".join("".join(texts).splitlines()[-LOG_LINES:])


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _post(
    connection: http.client.HTTPConnection,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    connection.request("POST", path, body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(errors="replace").strip()


def _runs(group: int) -> bool:
    """Whether a process of the group runs. Zombies do not count: in a container init may never reap them."""
    import psutil  # installed with Multi Model Server

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ValueError(f"port {port} of {HOST}: {error.strerror}; choose another --port") from error


def _check_socket(path: Path) -> None:
    excess = len(os.fsencode(path)) - SOCKET_BYTES
    if excess > 0:
        raise ValueError(
            f"{path.parents[2]}, the folder for temporary files, is {excess} bytes too long for the server's sockets; "
            "name another one with TMPDIR"
        )
