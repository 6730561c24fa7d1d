"""A tiny data set with Fashion-MNIST's file names, a web server with faults, and an isolated environment."""

import gzip
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gluon_classics.data.files import fetch, sources
from gluon_classics.data.files.verified import FileSpec
from gluon_classics.data.formats import cifar, fashion_mnist, mnist

import pytest


@pytest.fixture
def island(monkeypatch, tmp_path):
    """Isolate the test from the network and from data sets outside tmp_path. Returns MXNet's usual folder."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "mxnet"))
    monkeypatch.setattr(sources, "SYSTEM_FOLDERS", (str(tmp_path / "system"),))
    for module, name in ((fashion_mnist, "FASHION_MNIST"), (mnist, "MNIST"), (cifar, "CIFAR10"), (cifar, "CIFAR100")):
        monkeypatch.setattr(module, name, getattr(module, name)._replace(mirrors=()))
    monkeypatch.setattr(fetch, "CONNECT_TIMEOUT", 2)
    monkeypatch.setattr(fetch, "READ_TIMEOUT", 1)
    return tmp_path / "mxnet" / "datasets" / "fashion-mnist"


@pytest.fixture
def tiny(island, monkeypatch):
    """Four tiny idx files by name, in place of Fashion-MNIST's."""
    files = {}
    for part, count in (("train", 20), ("t10k", 10)):
        pixels = bytes(i * 31 % 251 for i in range(count * 28 * 28))
        files[f"{part}-images-idx3-ubyte"] = (
            bytes.fromhex("00000803") + count.to_bytes(4, "big") + bytes.fromhex("0000001c0000001c") + pixels
        )
        files[f"{part}-labels-idx1-ubyte"] = (
            bytes.fromhex("00000801") + count.to_bytes(4, "big") + bytes(i % 10 for i in range(count))
        )
    specs = tuple(FileSpec(name, len(raw), hashlib.sha256(raw).hexdigest()) for name, raw in files.items())
    monkeypatch.setattr(fashion_mnist, "FASHION_MNIST", fashion_mnist.FASHION_MNIST._replace(files=specs))
    return files


class Web:
    """A server of files as NAME or NAME.gz: unchanged in /good/, in other folders with the fault of that name."""

    def __init__(self, files):
        self.files = files
        self.asked = []
        self.both_here = threading.Barrier(2)
        self.released = threading.Event()  # set at the end, to stop handlers that hang
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                web.asked.append(self.path)
                web.answer(self)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def mirror(self, fault):
        return f"http://127.0.0.1:{self.server.server_port}/{fault}/"

    def answer(self, handler):
        _, fault, name = handler.path.split("/")
        if name in self.files:
            body = self.files[name]
        else:
            name = name[: -len(".gz")]
            body = gzip.compress(self.files[name])
        if fault == "missing" or (fault == "labels-only" and "images" in name):
            handler.send_error(404)
            return
        if fault == "together":
            self.both_here.wait(20)
        if fault == "page":
            body = b"<html>please log in to the hotel's network</html>"
        if fault == "swapped":
            other = name.replace("images-idx3", "labels-idx1") if "images" in name else name.replace("train", "t10k")
            body = gzip.compress(self.files[other])
        if fault == "endless":
            body = gzip.compress(bytes(3_000_000), 0)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if fault in ("half", "hang"):
            handler.wfile.write(body[: len(body) // 2])
            handler.wfile.flush()
            if fault == "hang":
                self.released.wait(30)
        elif fault == "drip":
            for i in range(len(body)):
                if self.released.wait(0.05):
                    break
                handler.wfile.write(body[i : i + 1])
        else:
            handler.wfile.write(body)

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def serve(island):
    """Return a function that starts a web server for files, a dictionary of bytes by name."""
    servers = []

    def start(files):
        servers.append(Web(files))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def web(tiny, serve):
    return serve(tiny)
