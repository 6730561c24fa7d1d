"""The real Multi Model Server, started here: what it answers, what it survives, and whom it lets in."""

import contextlib
import http.client
import importlib.util
import io
import json
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gluon_classics.data import BadArchive, ImageTransform
from gluon_classics.deploy import Trained, export
from gluon_classics.deploy.archive import pack
from gluon_classics.deploy.server import Server
from gluon_classics.deploy.server_config import HOST, Settings
from gluon_classics.models import get_model

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd
from PIL import Image

pytestmark = [
    pytest.mark.serving,
    pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("mms") is None, reason="multi-model-server is not installed"),
]
NAMES = ("Katze", "дом", "b/c")


def free_port():
    """One that the server takes: none of those that systems hand out."""
    for port in np.random.RandomState(os.getpid() + time.time_ns() % 2**20).randint(20_000, 30_000, 100).tolist():
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise OSError("no port is free")


def png(seed=0, size=(28, 28)):
    pixels = np.random.RandomState(seed).randint(0, 256, size, dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def black(size):
    file = io.BytesIO()
    Image.new("L", size).save(file, "PNG")
    return file.getvalue()


def bomb():
    """A PNG of 60,000 x 60,000 pixels, all black, in a few bytes more than its header."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10_000_000))) + chunk(b"IEND", b"")


def send(port, body, kind="image/png", path="/predictions/lenet", method="POST", timeout=60):
    """Status and body of the answer."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request(method, path, body, {} if kind is None else {"Content-Type": kind})
        answer = connection.getresponse()
        if path.startswith("/predictions/lenet"):
            assert answer.status == 404 or answer.getheader("Content-Type") == "application/json"
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    mx.random.seed(0)
    net = get_model("lenet", num_classes=3, in_channels=1)
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, 28, 28)))
    trained = Trained("lenet", net, NAMES, 1, (28, 28), ImageTransform(28), {})
    return export(trained, tmp_path_factory.mktemp("serving") / "artifact", preprocess=True)


@pytest.fixture(scope="module")
def archive(artifact, tmp_path_factory):
    return pack(artifact, tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def server(archive):
    with Server(archive, Settings(free_port(), workers=2, batch_size=4, batch_delay=5)) as server:
        yield server


@pytest.fixture
def port(server):
    return server.settings.port


@pytest.fixture(scope="module")
def expected(artifact):
    """The probabilities of a PNG by its seed, from the artifact in this process."""
    net = artifact.load_net(mx.cpu())

    def probabilities(seed):
        pixels = np.random.RandomState(seed).randint(0, 256, (1, 28, 28, 1), dtype=np.uint8)
        return dict(zip(NAMES, nd.softmax(net(nd.array(pixels, dtype="uint8"))).asnumpy()[0].tolist()))

    return probabilities


def is_right(answer, wanted):
    status, body = answer
    if status != 200:
        return False
    told = {each["class"]: each["probability"] for each in json.loads(body)["predictions"]}
    ordered = [each["probability"] for each in json.loads(body)["predictions"]]
    return told == pytest.approx(wanted, abs=1e-4) and ordered == sorted(ordered, reverse=True)


def test_answers_as_the_artifact_does(port, expected):
    for seed in range(5):
        assert is_right(send(port, png(seed)), expected(seed))


def test_other_kinds_of_pictures(port):
    pixels = np.random.RandomState(0).randint(0, 256, (50, 70, 3), dtype=np.uint8)
    for kind in ("JPEG", "WEBP", "BMP"):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, kind)
        assert send(port, file.getvalue(), f"image/{kind.lower()}")[0] == 200


BAD = {
    "empty": (b"", "image/png", 400, "the body is empty"),
    "text": (b"hello", "image/png", 400, "is no image"),
    "truncated": (png()[:300], "image/png", 400, "is damaged"),
    "20 MB": (bytes(20_000_000), "image/png", 413, "20,000,000 bytes of 10,000,000"),
    "bomb": (bomb(), "image/png", 400, "is too large"),
    "large": (black((4097, 4097)), "image/png", 413, "4,097 x 4,097 of 16,777,216 pixels"),
    "type": (png(), "text/plain", 415, "the Content-Type is text/plain"),
    "no type": (png(), None, 415, "the Content-Type is none"),
    "json": (b'{"a": ', "application/json", 415, "the Content-Type is application/json"),
    "multipart": (
        b'--x\r\nContent-Disposition: form-data; name="body"; filename="a.png"\r\n\r\n' + png() + b"\r\n--x--\r\n",
        "multipart/form-data; boundary=x",
        415,
        "the Content-Type is multipart/form-data",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests_are_told_why_and_the_next_one_is_answered(port, name, expected):
    body, kind, status, words = BAD[name]
    answer = send(port, body, kind)
    assert answer[0] == status
    assert words in json.loads(answer[1])["error"]
    began = time.monotonic()
    assert is_right(send(port, png(1)), expected(1))
    assert time.monotonic() - began < 4  # a worker that died takes 5 s to come back


def test_large_bodies_from_all_sides(port, expected):
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _i: send(port, BAD["20 MB"][0]), range(32)))
    assert {status for status, _body in answers} == {413}
    assert is_right(send(port, png(1)), expected(1))


@pytest.mark.parametrize("path", ["/predictions/lenetx", "/nothing", "/models"])
def test_unknown_models_and_paths(port, path):
    status, body = send(port, png(), path=path)
    assert status == 404
    assert json.loads(body)["message"]


def test_many_clients_with_good_and_bad_requests(port, expected):
    wanted = [expected(seed) for seed in range(8)]
    pictures = [png(seed) for seed in range(8)]
    bad = [BAD[name] for name in ("empty", "text", "truncated", "bomb", "type", "no type", "json", "multipart")]

    def client(number):
        wrong = []
        connection = http.client.HTTPConnection(HOST, port, timeout=120)
        random = np.random.RandomState(number)
        for _i in range(500):
            seed = random.randint(8)
            good = random.randint(4) > 0
            body, kind, status, _words = (
                (pictures[seed], "image/png", 200, "") if good else bad[random.randint(len(bad))]
            )
            connection.request("POST", "/predictions/lenet", body, {} if kind is None else {"Content-Type": kind})
            response = connection.getresponse()
            answer = response.status, response.read()
            if not (is_right(answer, wanted[seed]) if good else answer[0] == status):
                wrong.append((good, status, answer))
        connection.close()
        return wrong

    with ThreadPoolExecutor(16) as pool:
        wrong = sum(pool.map(client, range(16)), [])
    assert wrong == []


def worker_pids(server):
    """The processes that hold a network: the children of those that Java has started."""
    psutil = pytest.importorskip("psutil")
    tree = psutil.Process(server.process.pid).children(recursive=True)
    alive = [process for process in tree if process.status() != psutil.STATUS_ZOMBIE]
    workers = [process for process in alive if "model_service_worker" in " ".join(process.cmdline())]
    return [p.pid for p in workers if p.ppid() in {each.pid for each in workers}]


def test_a_killed_worker_comes_back(server, port, expected):
    wanted, picture = expected(3), png(3)
    failed, answered, over = [], [], threading.Event()

    def client(_number):
        while not over.is_set():
            try:
                answer = send(port, picture, timeout=40)
            except OSError as error:
                answer = repr(error), b""
            (answered if is_right(answer, wanted) else failed).append(answer[0])

    before = worker_pids(server)
    assert len(before) == 2
    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(client, i) for i in range(4)]
        time.sleep(0.3)
        os.kill(before[0], signal.SIGKILL)
        end = time.monotonic() + 60
        while len(set(worker_pids(server)) - {before[0]}) < 2 and time.monotonic() < end:
            time.sleep(0.2)
        over.set()
        for each in clients:
            each.result()
    print(f"{len(failed)} of {len(failed) + len(answered)} requests failed")
    assert len(failed) <= 8, failed  # what the dead one held: at most two batches of 4
    assert answered
    after = worker_pids(server)
    assert len(after) == 2 and before[0] not in after
    assert is_right(send(port, picture), wanted)


def test_listens_on_one_port_of_this_machine_and_lets_nobody_else_manage_it(server, port):
    psutil = pytest.importorskip("psutil")
    root = psutil.Process(server.process.pid)
    listening = [
        each.laddr
        for process in [root, *root.children(recursive=True)]
        for each in process.net_connections("inet")
        if each.status == psutil.CONN_LISTEN
    ]
    assert {(address.ip.replace("::ffff:", ""), address.port) for address in listening} == {(HOST, port)}
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
    assert (server.folder / "management").is_socket()
    for path in ("/models?url=http://127.0.0.1:1/x.mar", "/models?url=lenet"):
        assert send(port, b"", None, path)[0] == 404


def test_no_body_is_logged(server, port):
    marker = b"a secret that must not be logged"
    send(port, marker)
    send(port, marker, "application/json")
    logs = [server.log, *(path for path in (server.folder / "logs").rglob("*") if path.is_file())]
    assert {path.name for path in logs} == {"server.log", "model_metrics.log"}
    for path in logs:
        assert marker not in path.read_bytes(), path


# Start and end


@pytest.fixture
def short_tmp_path():
    """For sockets, whose paths have 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="gc-", dir="/tmp") as folder:
        yield Path(folder)


def test_ends_with_all_of_its_processes(artifact, short_tmp_path):
    psutil = pytest.importorskip("psutil")
    command = [sys.executable, "-m", "gluon_classics", "serve", str(artifact.path), "--port", str(free_port())]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(short_tmp_path)}
    root = os.geteuid() == 0
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        serving = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = serving.stdout.readline()
        assert first.startswith(f"serving {artifact.path} at http://127.0.0.1:"), serving.communicate()
        assert "curl -X POST -H 'Content-Type: image/png'" in serving.stdout.readline()
        tree = psutil.Process(serving.pid).children(recursive=True)
        assert len(tree) >= 5  # mms, java, the worker's two, and the watchdog
        serving.send_signal(number)
        time.sleep(0.2)
        serving.send_signal(number)  # impatient
        out, err = serving.communicate(timeout=40)
        assert (serving.returncode, out) == (0, "stopped\n")
        assert err == (
            "note: the server's processes are root's; --user NAME makes them another user's\n" if root else ""
        )
        assert psutil.wait_procs(tree, timeout=5)[1] == []
        assert list(short_tmp_path.iterdir()) == []


def test_ends_when_its_owner_is_killed(artifact, short_tmp_path):
    psutil = pytest.importorskip("psutil")
    command = [sys.executable, "-m", "gluon_classics", "serve", str(artifact.path), "--port", str(free_port())]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(short_tmp_path)}
    serving = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert serving.stdout.readline().startswith("serving ")
    tree = psutil.Process(serving.pid).children(recursive=True)
    serving.kill()
    serving.communicate()
    assert psutil.wait_procs(tree, timeout=30)[1] == []
    assert list(short_tmp_path.iterdir()) == []


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
        with pytest.raises(ValueError, match=f"port {port} of 127.0.0.1 cannot be had: .*; name another with --port"):
            Server(archive, Settings(port)).__enter__()


def test_the_longest_temporary_folder(archive, short_tmp_path, monkeypatch):
    socket_path = short_tmp_path / "x" / "gluon-classics-12345678/tmp/.mms.sock.9000"
    longest = short_tmp_path / ("x" * (107 - len(str(socket_path)) + 1))
    longest.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(longest))
    with Server(archive, Settings(free_port())):  # it has answered
        assert len(list(longest.iterdir())) == 1
    assert list(longest.iterdir()) == []
    longer = longest.rename(f"{longest}xx")
    monkeypatch.setattr(tempfile, "tempdir", str(longer))
    words = f"{longer}, the folder for temporary files, is 2 bytes too long for the server's sockets"
    with pytest.raises(ValueError, match=words):
        Server(archive, Settings(free_port())).__enter__()
    assert list(longer.iterdir()) == []


def test_an_archive_that_leads_out_of_its_folder_never_reaches_the_server(archive, tmp_path):
    hostile = shutil.copy(archive, tmp_path / "lenet.mar")
    with zipfile.ZipFile(hostile, "a") as opened:
        opened.writestr("../../escaped.py", "print('escaped')")
    with pytest.raises(BadArchive, match=r"'\.\./\.\./escaped\.py', which is no plain relative path"):
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
    with pytest.raises(ValueError, match="the server does not take"):
        Server(tmp_path / "lenet.mar", Settings(free_port())).__enter__()


def test_what_is_missing_is_named(artifact, monkeypatch, capsys):
    from gluon_classics.__main__ import main

    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    assert main(["serve", str(artifact.path)]) == 2
    assert "serve needs Java, and there is no java: on Debian, apt install" in capsys.readouterr().err


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
    with zipfile.ZipFile(out / "lenet.mar") as archive:
        names = set(archive.namelist())
        manifest = json.loads(archive.read("MAR-INF/MANIFEST.json"))
    assert {f"artifact/{path.name}" for path in artifact.path.iterdir()} <= names
    assert manifest["model"] == {"handler": "picture_handler:handle", "modelName": "lenet"}
    assert main(["serve", str(artifact.path), *flags]) == 2
    assert "config.properties exists, and tells of another model" in capsys.readouterr().err
    (out / "config.properties").unlink()
    assert main(["serve", str(artifact.path), *flags]) == 2
    assert "lenet.mar exists: remove it, or name another folder" in capsys.readouterr().err
    assert main(["serve", str(artifact.path), *flags, "--batch-size", "8"]) == 2
    assert "--batch-size and --batch-delay are not in config.properties" in capsys.readouterr().err
    assert main(["serve", str(artifact.path), "--archive-only"]) == 2
    assert "--archive-only and --out OUT go together" in capsys.readouterr().err
