"""Weights from a formula, so that the references and our networks have the same on every machine without a file."""

import re
import zlib

import numpy as np

# The last gamma of EfficientNet's residual branches. Large values make the signal grow from block to block and saturate
# the sigmoid gates, so that rounding alone changes the logits: PyTorch's float32 would not agree with its float64.
SMALL = re.compile(r"features\.\d+\.[1-9]\d*\.block\.[23]\.1\.weight")


def seeded_array(name, shape):
    """A tensor of a PyTorch state dict, batch norm's included, that depends only on its name and shape.

    NumPy guarantees that RandomState's stream never changes (NEP 19).
    """
    noise = np.random.RandomState(zlib.crc32(name.encode())).random_sample(shape).astype("float32")
    if SMALL.fullmatch(name):
        return noise * np.float32(0.5)
    if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):  # or batch norm's gamma
        return noise + np.float32(0.5)
    if len(shape) == 1:  # a bias or running mean
        return (noise - np.float32(0.5)) * np.float32(0.4)
    return (noise - np.float32(0.5)) * np.float32(2 * np.sqrt(6 / np.prod(shape[1:])))  # He et al. 2015


def seeded_images(n, channels, size):
    """A batch (n, channels, size, size) of noise."""
    return np.random.RandomState(size).normal(0, 1, (n, channels, size, size)).astype("float32")


def torch_name(name):
    """PyTorch's name for a parameter, with batch norm's gamma and beta called weight and bias."""
    return name.replace(".gamma", ".weight").replace(".beta", ".bias")


def fill(net):
    """Fill an initialized network with its reference's seeded weights."""
    for name, parameter in net._collect_params_with_prefix().items():
        parameter.set_data(seeded_array(torch_name(name), parameter.shape))
