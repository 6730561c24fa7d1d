import os

# One thread: the tests' networks are small, and on a busy machine two threads that wait for each other after every
# small operator take minutes for what one does in seconds.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import gluon_classics  # noqa: F401  (first of all: it makes `import mxnet` work in every test file)

import numpy as np
import pytest
from PIL import Image

import run_folders


@pytest.fixture
def write_run():
    """Write a run folder of a network with random weights, as do_exp.py would leave it."""
    return run_folders.write_run


@pytest.fixture
def run(write_run, tmp_path):
    return write_run(tmp_path / "run")


@pytest.fixture
def picture():
    """Write a picture of noise, its own for each seed."""

    def write(path, seed=0, size=(28, 28)):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.RandomState(seed).randint(0, 256, size, dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return write
