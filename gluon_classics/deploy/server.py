"""Multi Model Server, on this machine alone, as one process tree that ends with its owner.

Its management interface takes models from anywhere and runs their code: here it is a socket in a folder that only this
user can enter. The archive is extracted by our own `extract`, for the server's does not look where entries lead.
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
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

from gluon_classics.data import extract
from gluon_classics.deploy.archive import INSTALL
from gluon_classics.deploy.server_config import HOST, LOG4J, Settings, config_properties

from PIL import Image

START_SECONDS = 90
STOP_SECONDS = 10
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOG_LINES = 15
SOCKET = ".mms.sock.9000"  # a worker's, in the server's TMPDIR
SOCKET_BYTES = 107  # a Unix socket's path can have no more on Linux


class ServerFailed(ValueError):
    """The server did not start, or ended. The message has its last lines."""


def require_server() -> None:
    """ValueError, with what to install, where Multi Model Server or Java is missing."""
    if importlib.util.find_spec("mms") is None:
        raise ValueError(f"serve needs Multi Model Server: {INSTALL}")
    java = Path(os.environ["JAVA_HOME"], "bin/java") if os.environ.get("JAVA_HOME") else "java"
    if shutil.which(java) is None:
        raise ValueError(f"serve needs Java, and there is no {java}: on Debian, apt install default-jre-headless")


class Server:
    """`with Server(archive, settings) as server:` serves NAME.mar until the end of the block.

    Inside, `server.url` has answered a prediction. Raises ServerFailed, and ValueError for a port that is taken, or a
    temporary folder whose name leaves no room for a socket's.
    """

    def __init__(self, archive: Path, settings: Settings):
        self.archive, self.settings = archive, settings
        self.name = archive.stem
        self.path = f"/predictions/{self.name}"
        self.url = f"http://{HOST}:{settings.port}{self.path}"
        self.folder = Path(tempfile.mkdtemp(prefix="gluon-classics-"))  # mode 0700
        self.log = self.folder / "server.log"
        self.process: subprocess.Popen | None = None
        self._watchdog: subprocess.Popen | None = None

    def __enter__(self) -> Server:
        try:
            _check_port(self.settings.port)
            self._start()
            self._wait(self._register)
            self._wait(self._predict)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error) -> None:
        self.stop()

    def check(self) -> None:
        """Raises ServerFailed where the server has ended."""
        if self.process.poll() is not None:
            raise ServerFailed(f"Multi Model Server ended with status {self.process.returncode}:\n{self._last_lines()}")

    def stop(self) -> None:
        """End every process of the tree, first with SIGTERM, and remove the temporary folder.

        No second Ctrl-C comes between.
        """
        with _undisturbed():
            self._end_processes()
            if self._watchdog:
                self._watchdog.communicate()  # ends its input, and waits
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_processes(self) -> None:
        if self.process:
            for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, number)
                if self._wait_for_group(seconds):
                    break

    def _start(self) -> None:
        store, temporary = self.folder / "store", self.folder / "tmp"
        _check_socket(temporary / SOCKET)
        temporary.mkdir()
        extract(self.archive, store / self.name)
        config = self.folder / "config.properties"
        config.write_text(config_properties(self.settings, self.folder, store))
        log_config = self.folder / "log4j2.xml"
        log_config.write_text(LOG4J)
        environment = {**os.environ, "TEMP": str(temporary), "TMPDIR": str(temporary)}
        environment.update(LOG_LOCATION=str(self.folder / "logs"), METRICS_LOCATION=str(self.folder / "logs"))
        # the workers' Python is looked up there
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
        command = [sys.executable, "-m", "mms.model_server", "--start", "--foreground", "--mms-config", str(config)]
        command += ["--log-config", str(log_config)]
        user = self.settings.user
        if user:
            for path in [self.folder, *self.folder.rglob("*")]:
                shutil.chown(path, user)
        as_user = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **as_user,
            )
        # should this process be killed, or run out of memory
        self._watchdog = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("watchdog.py")), str(self.process.pid), str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _register(self) -> None:
        """Over the management socket."""
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
            connection.request("POST", f"/models?{urlencode(settings)}")
            answer = connection.getresponse()
            said = answer.read().decode(errors="replace")
        if answer.status != 200:
            raise ServerFailed(f"the server does not take {self.archive}: {said.strip()}\n{self._last_lines()}")

    def _predict(self) -> None:
        """One real prediction: /ping is answered before the workers are there."""
        picture = io.BytesIO()
        Image.new("RGB", (32, 32)).save(picture, "PNG")
        connection = http.client.HTTPConnection(HOST, self.settings.port, timeout=START_SECONDS)
        with contextlib.closing(connection):
            connection.request("POST", self.path, picture.getvalue(), {"Content-Type": "image/png"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise ConnectionError(f"{answer.status} {answer.read().decode(errors='replace').strip()}")

    def _wait(self, ready) -> None:
        """Until `ready()` raises no ConnectionError, or FileNotFoundError for a socket that is not there yet."""
        end = time.monotonic() + START_SECONDS
        while True:
            self.check()
            try:
                return ready()
            except (ConnectionError, FileNotFoundError, http.client.HTTPException) as error:
                if time.monotonic() > end:
                    raise ServerFailed(
                        f"Multi Model Server is not ready after {START_SECONDS} s: {error}\n{self._last_lines()}"
                    ) from error
                time.sleep(0.1)

    def _wait_for_group(self, seconds: float) -> bool:
        """Whether all of the process group has ended within so many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not _runs(self.process.pid):
                self.process.wait()
                return True
            time.sleep(0.05)
        return False

    def _last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_LINES:])


def _runs(group: int) -> bool:
    """Whether a process of the group runs; one that has ended may stay in it, for not every init takes note."""
    import psutil  # it comes with Multi Model Server

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


@contextlib.contextmanager
def _undisturbed():
    """Inside, signals that would end this process do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ValueError(
                f"port {port} of {HOST} cannot be had: {error.strerror}; name another with --port"
            ) from error


def _check_socket(path: Path) -> None:
    excess = len(os.fsencode(path)) - SOCKET_BYTES
    if excess > 0:
        raise ValueError(
            f"{path.parents[2]}, the folder for temporary files, is {excess} bytes too long for the server's sockets; "
            "name another one with TMPDIR"
        )
