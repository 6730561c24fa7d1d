"""The served LeNet under load, each request a PNG of 28x28, all on this machine: `benchmark.py serve`.

Clients are threads of one process, each with a connection of its own, that send the next request when they have the
answer to the last one. Every answer is looked at. The server's own times are those that its handler has logged.
"""

from __future__ import annotations

import argparse
import http.client
import io
import re
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

from gluon_classics import models
from gluon_classics.data import ImageTransform
from gluon_classics.deploy import Trained, export
from gluon_classics.deploy.archive import pack
from gluon_classics.deploy.server import Server, require_server
from gluon_classics.deploy.server_config import HOST, Settings

import mxnet as mx
import numpy as np
from mxnet import nd
from PIL import Image

BATCHES = ((1, 1), (8, 5))  # the most requests that a worker takes at once, and milliseconds it waits for them
TIMES = ("DecodeTime", "ForwardTime", "PredictionTime")  # the last is the handler's whole


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16], metavar="N", help="default 1 4 16")
    parser.add_argument("--seconds", type=float, default=5, help="of each load (default 5)")
    parser.add_argument("--workers", type=int, default=1, help="default 1")
    parser.add_argument("--port", type=int, default=18080, help="default 18080")
    parser.add_argument("--requests", type=int, default=20_000, help="at the end, for the memory (default 20000)")


def benchmark_serve(args: argparse.Namespace) -> None:
    require_server()
    with tempfile.TemporaryDirectory() as folder:
        archive = make_archive(Path(folder))
        for batch_size, delay in BATCHES:
            settings = Settings(args.port, args.workers, batch_size, delay)
            with Server(archive, settings) as server:
                print(f"LeNet, {args.workers} worker(s), batches of up to {batch_size}, delay {delay} ms")
                load(server, 2, seconds=2)
                for clients in args.clients:
                    report(server, clients, args.seconds)
                if batch_size == BATCHES[-1][0]:
                    report_memory(server, max(args.clients), args.requests)


def make_archive(folder: Path) -> Path:
    net = models.get_model("lenet", in_channels=1, num_classes=10)
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, 28, 28)))
    trained = Trained("lenet", net, tuple("0123456789"), 1, (28, 28), ImageTransform(28), {})
    return pack(export(trained, folder / "artifact", preprocess=True), folder)


def load(server: Server, clients: int, seconds: float = 1e9, requests: int = 10**9) -> tuple[list[float], float]:
    """The times of all answers, in milliseconds, and how many came in a second."""
    file = io.BytesIO()
    Image.fromarray(np.random.RandomState(0).randint(0, 256, (28, 28), dtype=np.uint8)).save(file, "PNG")
    picture, began = file.getvalue(), perf_counter()

    def client(_number: int) -> list[float]:
        connection, times = http.client.HTTPConnection(HOST, server.settings.port, timeout=60), []
        while perf_counter() - began < seconds and len(times) < requests / clients:
            sent = perf_counter()
            connection.request("POST", server.path, picture, {"Content-Type": "image/png"})
            answer = connection.getresponse()
            if answer.status != 200 or b"predictions" not in answer.read():
                raise RuntimeError(f"the server answered {answer.status}")
            times.append(1e3 * (perf_counter() - sent))
        connection.close()
        return times

    with ThreadPoolExecutor(clients) as pool:
        times = sum(pool.map(client, range(clients)), [])
    return times, len(times) / (perf_counter() - began)


def report(server: Server, clients: int, seconds: float) -> None:
    seen = len(logged(server))
    times, rate = load(server, clients, seconds)
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    print(f"  {clients:3} clients {rate:8,.0f} requests/s   p50 {p50:6.1f}  p95 {p95:6.1f}  p99 {p99:6.1f} ms", end="")
    own = {name: [value for key, value in logged(server)[seen:] if key == name] for name in TIMES}
    decode, forward, whole = (statistics.median(own[name]) for name in TIMES)
    print(f"   a batch in the handler {whole:.1f} ms: decode {decode:.1f}, forward {forward:.1f}", flush=True)


def logged(server: Server) -> list[tuple[str, float]]:
    """What the handler has logged so far: names and milliseconds."""
    text = (server.folder / "logs" / "model_metrics.log").read_text()
    return [(name, float(value)) for name, value in re.findall(r" (\w+Time)\.Milliseconds:([\d.]+)", text)]


def report_memory(server: Server, clients: int, requests: int) -> None:
    print(f"  resident memory: {memory(server)}")
    for round in (1, 2):
        load(server, clients, requests=requests)
        print(f"    after {round * requests:,} more requests: {memory(server)}")


def memory(server: Server) -> str:
    """Of Java, whose heap grows up to the 1 GB that it is given, and of the others, which are Python."""
    import psutil

    sizes = {"Java": 0.0, "Python": 0.0}
    for process in psutil.Process(server.process.pid).children(recursive=True):
        sizes["Java" if process.name() == "java" else "Python"] += process.memory_info().rss / 2**20
    return ", ".join(f"{name} {size:,.0f} MB" for name, size in sizes.items())
