"""The real Multi Model Server: how it starts and ends, and what it refuses to start with."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from gluon_classics.data import BadArchive
from gluon_classics.deploy import server as server_module
from gluon_classics.deploy.server import Server
from gluon_classics.deploy.server_config import HOST, Settings

import pytest

from serving import NEEDS, free_port

pytestmark = [pytest.mark.thorough, *NEEDS]


@pytest.fixture
def short_tmp_path():
    """A short folder, since a socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="gc-", dir="/tmp") as folder:
        yield Path(folder)


def serve_command(artifact, temporary):
    command = [sys.executable, "-m", "gluon_classics", "serve", str(artifact.path), "--port", str(free_port())]
    return command, {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(temporary)}


def test_ends_with_all_of_its_processes(artifact, short_tmp_path):
    psutil = pytest.importorskip("psutil")
    command, env = serve_command(artifact, short_tmp_path)
    root = os.geteuid() == 0
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        serving = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = serving.stdout.readline()
        assert first.startswith(f"serving {artifact.path} at http://127.0.0.1:"), serving.communicate()
        assert "curl -T picture.png http://127.0.0.1:" in serving.stdout.readline()
        tree = psutil.Process(serving.pid).children(recursive=True)
        assert len(tree) >= 5  # mms, java, the worker's two, and the watchdog
        serving.send_signal(number)
        time.sleep(0.2)
        serving.send_signal(number)  # an impatient second Ctrl-C
        out, err = serving.communicate(timeout=40)
        assert (serving.returncode, out) == (0, "stopped\n")
        assert ("root" in err and "--user NAME" in err) if root else err == ""
        assert psutil.wait_procs(tree, timeout=5)[1] == []
        assert list(short_tmp_path.iterdir()) == []


def test_ends_when_its_owner_is_killed(artifact, short_tmp_path):
    psutil = pytest.importorskip("psutil")
    command, env = serve_command(artifact, short_tmp_path)
    serving = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert serving.stdout.readline().startswith("serving ")
    tree = psutil.Process(serving.pid).children(recursive=True)
    serving.kill()
    serving.communicate()
    assert psutil.wait_procs(tree, timeout=30)[1] == []
    assert list(short_tmp_path.iterdir()) == []


STAGES = {
    "the first folder": "gluon-classics-*",
    "the archive's sources": "gluon-classics-*/source/*",
    "the archive": "gluon-classics-*/*.mar",
    "the server's configuration": "gluon-classics-*/config.properties",
    "the server's log": "gluon-classics-*/logs",
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("flags", [[], ["--archive-only", "-o", "store"]], ids=["serve", "archive-only"])
def test_a_killed_start_leaves_nothing(artifact, short_tmp_path, tmp_path, stage, flags):
    if flags and "server" in stage:
        pytest.skip("--archive-only starts no server")
    command, env = serve_command(artifact, short_tmp_path)
    serving = subprocess.Popen([*command, *flags], env=env, cwd=tmp_path, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not any(short_tmp_path.glob(STAGES[stage])) and serving.poll() is None and time.monotonic() < end:
        time.sleep(0.001)
    serving.kill()
    assert serving.wait() == -signal.SIGKILL
    end = time.monotonic() + 30
    while any(short_tmp_path.iterdir()) and time.monotonic() < end:
        time.sleep(0.1)
    assert list(short_tmp_path.iterdir()) == []


def workers(server):
    """The processes of workers, parents first."""
    psutil = pytest.importorskip("psutil")
    tree = psutil.Process(server.process.pid).children(recursive=True)
    return [process for process in tree if "model_service_worker" in " ".join(process.cmdline())]


def java(server):
    psutil = pytest.importorskip("psutil")
    return [each for each in psutil.Process(server.process.pid).children() if "java" in each.name()]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("processes", [workers, java])
def test_a_server_that_no_longer_answers_is_noticed(archive, monkeypatch, processes, number):
    monkeypatch.setattr(server_module, "PROBE_SECONDS", 2)
    monkeypatch.setattr(server_module, "SILENT_SECONDS", 4)
    with Server(archive, Settings(free_port())) as server:
        for process in processes(server):
            process.send_signal(number)
        end = time.monotonic() + 60
        with pytest.raises(ValueError, match="has not answered for|ended with status"):
            while time.monotonic() < end:
                server.check()
                time.sleep(0.1)


def test_a_server_that_is_too_busy_for_the_watch_goes_on(archive, monkeypatch):
    monkeypatch.setattr(server_module, "PROBE_SECONDS", 0.5)
    monkeypatch.setattr(server_module, "SILENT_SECONDS", 2)
    with Server(archive, Settings(free_port())) as server:
        predict = server._predict

        def refused(*_timeout):
            raise ConnectionError("503 the queue is full")

        monkeypatch.setattr(server, "_predict", refused)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            predict()  # another client gets its answer
            server.check()
            time.sleep(0.1)
        with pytest.raises(ValueError, match="has not answered for . s: 503 the queue is full"):
            while time.monotonic() < end + 30:
                server.check()
                time.sleep(0.1)


def test_the_log_is_rotated(archive, monkeypatch):
    monkeypatch.setattr(server_module, "LOG4J", server_module.LOG4J.replace("10 MB", "30 KB"))
    with Server(archive, Settings(free_port())) as server:
        for _i in range(100):
            connection = http.client.HTTPConnection(HOST, server.settings.port, timeout=60)
            connection.request("POST", server.path, b"a=%zz", {"Content-Type": "application/x-www-form-urlencoded"})
            assert connection.getresponse().status == 500  # and a stack trace in the log
            connection.close()
        sizes = {path.name: path.stat().st_size for path in server.log.parent.glob("server*.log")}
    assert {"server.log", "server.1.log"} <= set(sizes)
    assert sum(sizes.values()) < 3 * 50_000


def test_another_users_processes(archive):
    psutil = pytest.importorskip("psutil")
    if os.geteuid() != 0:
        pytest.skip("only root may start another user's processes")
    try:
        subprocess.run([sys.executable, "-c", "import mxnet"], user="nobody", check=True, capture_output=True)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("nobody cannot run this Python")
    with Server(archive, Settings(free_port(), user="nobody")) as server:
        tree = psutil.Process(server.process.pid)
        assert {each.username() for each in [tree, *tree.children(recursive=True)]} == {"nobody"}


def test_a_port_that_is_taken(archive):
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port} of 127.0.0.1.*--port"):
            Server(archive, Settings(port)).__enter__()


def test_the_longest_temporary_folder(archive, short_tmp_path, monkeypatch):
    socket_path = short_tmp_path / "x" / "gluon-classics-12345678/tmp/.mms.sock.9000"
    longest = short_tmp_path / ("x" * (107 - len(str(socket_path)) + 1))
    longest.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(longest))
    with Server(archive, Settings(free_port())):  # it has answered a prediction
        assert len(list(longest.iterdir())) == 1
    assert list(longest.iterdir()) == []
    longer = longest.rename(f"{longest}xx")
    monkeypatch.setattr(tempfile, "tempdir", str(longer))
    words = f"{longer}, the folder for temporary files, is 2 bytes too long for the server's sockets"
    with pytest.raises(ValueError, match=words):
        Server(archive, Settings(free_port())).__enter__()
    assert list(longer.iterdir()) == []


def test_an_archive_with_a_path_out_of_its_folder_never_reaches_the_server(archive, tmp_path):
    hostile = shutil.copy(archive, tmp_path / "lenet.mar")
    with zipfile.ZipFile(hostile, "a") as opened:
        opened.writestr("../../escaped.py", "print('escaped')")
    with pytest.raises(BadArchive, match=r"'\.\./\.\./escaped\.py'"):
        Server(tmp_path / "lenet.mar", Settings(free_port())).__enter__()


def test_a_tampered_artifact_is_not_served(archive, tmp_path):
    folder = tmp_path / "lenet"
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    with open(folder / "artifact" / "lenet-0000.params", "r+b") as file:
        file.seek(5000)
        file.write(b"!!!!")
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    os.rename(packed, tmp_path / "lenet.mar")
    with pytest.raises(ValueError, match="does not accept"):
        Server(tmp_path / "lenet.mar", Settings(free_port())).__enter__()


def test_missing_java_is_named(artifact, monkeypatch, capsys):
    from gluon_classics.__main__ import main

    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    assert main(["serve", str(artifact.path)]) == 2
    assert "serve needs Java, and there is no java" in capsys.readouterr().err


def test_an_archive_and_its_configuration_for_a_fleet(artifact, tmp_path, capsys):
    from gluon_classics.__main__ import main

    out = tmp_path / "store"
    port = free_port()
    flags = ["--archive-only", "-o", str(out), "--port", str(port), "--workers", "3"]
    assert main(["serve", str(artifact.path), *flags]) == 0
    assert f"multi-model-server --start --foreground --mms-config {out}/config.properties" in capsys.readouterr().out
    config = dict(line.split("=", 1) for line in (out / "config.properties").read_text().splitlines())
    assert config["inference_address"] == f"http://127.0.0.1:{port}"
    assert config["management_address"] == f"unix:{out}/management"
    assert (config["load_models"], config["model_store"]) == ("lenet.mar", str(out))
    assert (config["default_workers_per_model"], config["decode_input_request"]) == ("3", "false")
    assert int(config["default_response_timeout_seconds"]) <= 60
    assert "default_response_timeout" not in config  # it is in minutes
    with zipfile.ZipFile(out / "lenet.mar") as archive:
        names = set(archive.namelist())
        manifest = json.loads(archive.read("MAR-INF/MANIFEST.json"))
    assert {f"artifact/{path.name}" for path in artifact.path.iterdir()} <= names
    assert manifest["model"] == {"handler": "picture_handler:handle", "modelName": "lenet"}
    assert main(["serve", str(artifact.path), *flags]) == 2
    assert "config.properties exists" in capsys.readouterr().err
    (out / "config.properties").unlink()
    assert main(["serve", str(artifact.path), *flags]) == 2
    assert "lenet.mar exists" in capsys.readouterr().err
    assert main(["serve", str(artifact.path), *flags, "--batch-size", "8"]) == 2
    assert "config.properties has no --user, --batch-size or --batch-delay" in capsys.readouterr().err
    assert main(["serve", str(artifact.path), "--archive-only"]) == 2
    assert "--archive-only and --out OUT go together" in capsys.readouterr().err
