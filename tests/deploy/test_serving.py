"""The real Multi Model Server: what it answers, what it survives, and who can reach it."""

import http.client
import io
import json
import os
import signal
import stat
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

from gluon_classics.deploy.server import Server
from gluon_classics.deploy.server_config import HOST, Settings

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd
from PIL import Image

from serving import NAMES, NEEDS, free_port

pytestmark = [pytest.mark.thorough, *NEEDS]


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
    """A PNG of 60,000 x 60,000 black pixels, in little more than 10 kB."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10_000_000))) + chunk(b"IEND", b"")


def scans(count):
    """A progressive JPEG of 4096 x 4096 pixels with `count` empty scans more: 12 ms of libjpeg's time for each."""
    file = io.BytesIO()
    Image.new("L", (4096, 4096)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * count + data[-2:]


def segments(count):
    """A JPEG with `count` empty EXIF segments."""
    file = io.BytesIO()
    Image.new("L", (28, 28)).save(file, "JPEG")
    data = file.getvalue()
    return data[:2] + b"\xff\xe1\x00\x08Exif\0\0" * count + data[2:]


def send(port, body, kind="image/png", path="/predictions/lenet", method="POST", timeout=60):
    """Return status and body of the answer."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request(method, path, body, {} if kind is None else {"Content-Type": kind})
        answer = connection.getresponse()
        if path.startswith("/predictions/lenet"):
            assert answer.status in (404, 413) or answer.getheader("Content-Type") == "application/json"
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def server(archive):
    with Server(archive, Settings(free_port(), workers=2, batch_size=4, batch_delay=5)) as server:
        yield server


@pytest.fixture
def port(server):
    return server.settings.port


@pytest.fixture(scope="module")
def expected(artifact):
    """Return a function from a PNG's seed to its probabilities, computed by the artifact in this process."""
    net = artifact.load_net(mx.cpu())

    def probabilities(seed):
        pixels = np.random.RandomState(seed).randint(0, 256, (1, 28, 28, 1), dtype=np.uint8)
        return dict(zip(NAMES, nd.softmax(net(nd.array(pixels, dtype="uint8"))).asnumpy()[0].tolist()))

    return probabilities


def is_right(answer, wanted):
    status, body = answer
    if status != 200:
        return False
    given = {each["class"]: each["probability"] for each in json.loads(body)["predictions"]}
    ordered = [each["probability"] for each in json.loads(body)["predictions"]]
    return given == pytest.approx(wanted, abs=1e-4) and ordered == sorted(ordered, reverse=True)


def test_answers_as_the_artifact_does(port, expected):
    for seed in range(5):
        assert is_right(send(port, png(seed)), expected(seed))


def test_other_kinds_of_pictures(port):
    pixels = np.random.RandomState(0).randint(0, 256, (50, 70, 3), dtype=np.uint8)
    for kind in ("JPEG", "WEBP", "BMP"):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, kind)
        assert send(port, file.getvalue(), f"image/{kind.lower()}")[0] == 200


@pytest.mark.parametrize(
    "kind", [None, "", "image/jpg", "image/x-png", "image/*", "*/*", "binary/octet-stream", "IMAGE/PNG; q=1"]
)
def test_the_bytes_decide_what_a_picture_is(port, kind, expected):
    # the first example of Multi Model Server's own README, `curl -T`, is a PUT without a Content-Type
    assert is_right(send(port, png(2), kind, method="PUT"), expected(2))


def test_pictures_as_large_as_in_training(port):
    status, body = send(port, black((6000, 4000)))  # a usual camera's
    assert (status, len(json.loads(body)["predictions"])) == (200, 3)
    assert send(port, black((8192, 8192)))[0] == 200


BAD = {
    "empty": (b"", "image/png", 400, "the body is empty"),
    "text": (b"hello", "image/png", 400, "is not an image"),
    "truncated": (png()[:300], "image/png", 400, "is damaged"),
    "bomb": (bomb(), "image/png", 400, "is too large"),
    "large": (black((8193, 8192)), "image/png", 400, "8,193 x 8,192 pixels, and the limit is 67,108,864"),
    "scans": (scans(3000), "image/jpeg", 400, "more than 100 scans"),
    "segments": (segments(100_000), "image/jpeg", 400, "too many parts"),
    "type": (png(), "text/plain", 415, "the Content-Type is text/plain"),
    "text without a type": (b"hello", None, 400, "is not an image"),
    "nothing without a type": (b"", None, 400, "the body is empty"),
    "video": (png(), "video/mp4", 415, "the Content-Type is video/mp4"),
    "json": (b'{"a": ', "application/json", 415, "the Content-Type is application/json"),
    "multipart": (
        b'--x\r\nContent-Disposition: form-data; name="body"; filename="a.png"\r\n\r\n' + png() + b"\r\n--x--\r\n",
        "multipart/form-data; boundary=x",
        415,
        "the Content-Type is multipart/form-data",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_gets_a_reason_and_the_next_one_an_answer(port, name, expected):
    body, kind, status, words = BAD[name]
    answer = send(port, body, kind)
    assert answer[0] == status
    assert words in json.loads(answer[1])["error"]
    began = time.monotonic()
    assert is_right(send(port, png(1)), expected(1))
    assert time.monotonic() - began < 4  # a worker that was killed takes 5 s to come back


@pytest.mark.parametrize("size, status", [(24_000_000, 413), (10_000_001, 413), (9_900_000, 200)])
def test_large_bodies_from_many_clients(server, port, expected, size, status):
    psutil = pytest.importorskip("psutil")
    body = png(1) + bytes(size - len(png(1)))  # what follows the end of a PNG is ignored
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _i: send(port, body), range(40)))
    assert {status for status, _body in answers} == {status}
    assert is_right(send(port, png(1)), expected(1))
    java = next(each for each in psutil.Process(server.process.pid).children() if "java" in each.name())
    assert java.memory_info().rss < 1_900_000_000


@pytest.mark.parametrize("path", ["/predictions/lenetx", "/nothing", "/models"])
def test_unknown_models_and_paths(port, path):
    status, body = send(port, png(), path=path)
    assert status == 404
    assert json.loads(body)["message"]


def test_many_clients_with_good_and_bad_requests(port, expected):
    wanted = [expected(seed) for seed in range(8)]
    pictures = [png(seed) for seed in range(8)]
    names = ("empty", "text", "truncated", "bomb", "type", "text without a type", "json", "multipart")
    bad = [BAD[name] for name in names]

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
    """Return the processes that hold a network: children of the processes that Java has started."""
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
    assert len(failed) <= 8, failed  # those of the killed worker: at most two batches of 4
    assert answered
    after = worker_pids(server)
    assert len(after) == 2 and before[0] not in after
    assert is_right(send(port, picture), wanted)


def test_listens_on_one_port_and_only_this_user_manages_it(server, port):
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
    logs = [server.output, *(path for path in (server.folder / "logs").rglob("*") if path.is_file())]
    assert {path.name for path in logs} == {"output.log", "server.log", "model_metrics.log"}
    for path in logs:
        assert marker not in path.read_bytes(), path
