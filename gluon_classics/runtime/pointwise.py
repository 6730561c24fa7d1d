"""A workaround for oneDNN 2.4.4's AMX kernel for 1x1 convolutions with stride 1, in bfloat16 and int8.

For maps of 27, 33, 36, 39, 42, 45 or 48 pixels (three tiles) the kernel writes beyond its buffer. GoogLeNet at 224x224
(6x6 at the end) and ResNet-50 at 192x192 corrupt the heap and crash soon after. The kernel supports no dilation, and a
dilation has no effect on a 1x1 convolution: a dilation of 2 makes oneDNN use its general AMX kernel. That one is as
fast in training, and up to a quarter slower in inference.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Callable

import mxnet as mx


def dilate() -> None:
    """Give a dilation of 2 to every 1x1 convolution of stride 1 that is called or traced from now on."""
    for namespace in (mx.nd, mx.sym):
        namespace.Convolution = _dilated(namespace.Convolution)


@contextlib.contextmanager
def dilated() -> Iterator[None]:
    """Do as `dilate` within a `with` block."""
    before = mx.nd.Convolution, mx.sym.Convolution
    dilate()
    try:
        yield
    finally:
        mx.nd.Convolution, mx.sym.Convolution = before


def _dilated(convolution: Callable) -> Callable:
    @functools.wraps(convolution)
    def call(*args, **kwargs):
        if tuple(kwargs.get("kernel", ())) == (1, 1) == tuple(kwargs.get("stride") or (1, 1)):
            kwargs["dilate"] = (2, 2)
        return convolution(*args, **kwargs)

    return call
