"""Initializers of weights, by name."""

from mxnet import init

INITIALIZERS = {
    "xavier": init.Xavier(),  # the tutorial's
    "he": init.Xavier("gaussian", factor_type="in", magnitude=2),  # He et al. 2015, for stacks of ReLU layers
}
