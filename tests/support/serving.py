"""Shared by the server's tests: marks for their requirements, and a free port."""

import contextlib
import importlib.util
import os
import shutil
import socket
import time

from gluon_classics.deploy.server_config import HOST

import numpy as np
import pytest

NEEDS = [
    pytest.mark.serving,
    pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("mms") is None, reason="multi-model-server is not installed"),
]
NAMES = ("Katze", "дом", "b/c")


def free_port():
    """A free port below those that systems assign automatically."""
    for port in np.random.RandomState(os.getpid() + time.time_ns() % 2**20).randint(20_000, 30_000, 100).tolist():
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise OSError("no port is free")
