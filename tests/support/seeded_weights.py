"""Weights by formula: the same in the reference and here, on every machine, without a file."""

import zlib

import numpy as np


def seeded_array(name, shape):
    """A tensor of a PyTorch state dict by its name and shape alone, batch norm's four included.

    RandomState's stream is frozen by NumPy's policy (NEP 19), so that this is a formula, and not a library's mood.
    """
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("running_var"):
        return random.uniform(0.5, 1.5, shape).astype("float32")
    if name.endswith(("bias", "running_mean")):
        return random.normal(0, 0.1, shape).astype("float32")
    if len(shape) == 1:  # batch norm's gamma
        return random.uniform(0.5, 1.5, shape).astype("float32")
    return random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype("float32")


def seeded_images(n, channels, size):
    """A batch (n, channels, size, size) of noise."""
    return np.random.RandomState(size).normal(0, 1, (n, channels, size, size)).astype("float32")


def seeded_state(shapes):
    """{name: array} for {name: shape}."""
    return {name: seeded_array(name, tuple(shape)) for name, shape in shapes.items()}
