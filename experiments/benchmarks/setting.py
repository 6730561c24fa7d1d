"""What `train` and `models` run, and on which side. Imports no framework: PyTorch's process reads it, too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """A network and its batches (batch_size, channels, size, size), the same on all sides."""

    network: str
    batch_size: int
    size: int
    channels: int


@dataclass(frozen=True)
class Side:
    framework: str  # pytorch, or the name of a function in train_side_mxnet.py
    dtype: str = "float32"
    channels_last: bool = False
    default_threads: bool = False  # MXNet's default: half of the visible processors
