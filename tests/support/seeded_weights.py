"""Weights by formula: the same in the reference and here, on every machine, without a file."""

import re
import zlib

import numpy as np

# The last gamma of EfficientNet's residual branches. With large ones, the signal grows from block to block, its sigmoid
# gates turn to switches, and rounding alone changes the logits: PyTorch's float32 would not agree with its float64.
SMALL = re.compile(r"features\.\d+\.[1-9]\d*\.block\.[23]\.1\.weight")


def seeded_array(name, shape):
    """A tensor of a PyTorch state dict by its name and shape alone, batch norm's four included.

    RandomState's stream is frozen by NumPy's policy (NEP 19), which makes this a formula.
    """
    noise = np.random.RandomState(zlib.crc32(name.encode())).random_sample(shape).astype("float32")
    if SMALL.fullmatch(name):
        return noise * np.float32(0.5)
    if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):  # the latter: batch norm's gamma
        return noise + np.float32(0.5)
    if len(shape) == 1:  # a bias, or a running mean
        return (noise - np.float32(0.5)) * np.float32(0.4)
    return (noise - np.float32(0.5)) * np.float32(2 * np.sqrt(6 / np.prod(shape[1:])))  # He et al. 2015


def seeded_images(n, channels, size):
    """A batch (n, channels, size, size) of noise."""
    return np.random.RandomState(size).normal(0, 1, (n, channels, size, size)).astype("float32")


def torch_name(name):
    """PyTorch's name of a parameter: batch norm's gamma and beta are weight and bias there."""
    return name.replace(".gamma", ".weight").replace(".beta", ".bias")


def fill(net):
    """Give an initialized network the seeded weights that its reference has."""
    for name, parameter in net._collect_params_with_prefix().items():
        parameter.set_data(seeded_array(torch_name(name), parameter.shape))
