"""Requests/s and latencies of a served LeNet under load, with the clients on the same machine.

Each request is a PNG of 28x28. Clients are threads of one process, each with its own connection, that send the next
request after the answer to the last one. Every answer is checked. The times in the handler are those that it logs.
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

from gluon_classics.deploy import export
from gluon_classics.deploy.archive import pack
from gluon_classics.deploy.server import Server, require_server
from gluon_classics.deploy.server_config import HOST, Settings

import numpy as np
from PIL import Image

from .inference import random_network

BATCHES = ((1, 1), (8, 5))  # the largest batch of a worker, and the milliseconds that it waits for one
TIMES = ("DecodeTime", "ForwardTime", "PredictionTime")  # the last is the handler's total


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--clients", type=int, nargs="+", default=[1, 4, 16], metavar="N", help="loads to test (default 1 4 16)")
    add("--seconds", type=float, default=5, help="length of each load (default 5)")
    add("--workers", type=int, default=1, help="workers of the server (default 1)")
    add("--port", type=int, default=18080, help="default 18080")
    add("--requests", type=int, default=20_000, help="for the memory test at the end (default 20000)")


def run(args: argparse.Namespace) -> None:
    require_server()
    with tempfile.TemporaryDirectory() as folder:
        artifact = export(random_network("lenet", 1, 28), Path(folder) / "artifact", preprocess=True)
        archive = pack(artifact, Path(folder))
        for batch_size, delay in BATCHES:
            settings = Settings(args.port, args.workers, batch_size, delay)
            with Server(archive, settings) as server:
                print(f"LeNet, {args.workers} worker(s), batches of up to {batch_size}, delay {delay} ms")
                load(server, 2, seconds=2)
                for clients in args.clients:
                    report(server, clients, args.seconds)
                if batch_size == BATCHES[-1][0]:
                    report_memory(server, max(args.clients), args.requests)


def load(server: Server, clients: int, seconds: float = 1e9, requests: int = 10**9) -> tuple[list[float], float]:
    """Return the latencies of all answers in milliseconds, and the answers per second."""
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
    decode, forward, total = (statistics.median(own[name]) for name in TIMES)
    print(f"   a batch in the handler {total:.1f} ms: decode {decode:.1f}, forward {forward:.1f}", flush=True)


def logged(server: Server) -> list[tuple[str, float]]:
    """Return the names and milliseconds that the handler has logged so far."""
    text = (server.folder / "logs" / "model_metrics.log").read_text()
    return [(name, float(value)) for name, value in re.findall(r" (\w+Time)\.Milliseconds:([\d.]+)", text)]


def report_memory(server: Server, clients: int, requests: int) -> None:
    print(f"  resident memory: {memory(server)}")
    for round in (1, 2):
        load(server, clients, requests=requests)
        print(f"    after {round * requests:,} more requests: {memory(server)}")


def memory(server: Server) -> str:
    """Format the resident memory of Java, whose heap may grow to 1 GB, and of the Python processes."""
    import psutil

    sizes = {"Java": 0.0, "Python": 0.0}
    for process in psutil.Process(server.process.pid).children(recursive=True):
        sizes["Java" if process.name() == "java" else "Python"] += process.memory_info().rss / 2**20
    return ", ".join(f"{name} {size:,.0f} MB" for name, size in sizes.items())
