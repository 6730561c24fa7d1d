"""The PyTorch sides of `train` and `models`: eager, SGD with momentum, one synthetic batch that stays in memory.

Each function of a side runs a number of batches and returns when they are done.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch.nn import functional as F

from .setting import Setting, Side
from .torch_networks import build_torch


def pytorch(side: Side, setting: Setting) -> dict[str, Callable[[int], None]]:
    """Compute in the layout and the precision of the side; bfloat16 is autocast's."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    shape = (setting.channels, setting.size, setting.size)
    layout = torch.channels_last if side.channels_last else torch.contiguous_format
    net = build_torch(setting.network, shape).to(memory_format=layout)
    X = torch.rand(setting.batch_size, *shape).to(memory_format=layout)
    y = torch.arange(setting.batch_size) % 10
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    precision = torch.autocast("cpu", torch.bfloat16, enabled=side.dtype == "bfloat16")

    def steps(count, update):
        net.train()
        for _ in range(count):
            optimizer.zero_grad()
            with precision:
                loss = F.cross_entropy(net(X), y)
            loss.backward()
            if update:
                optimizer.step()

    def infer(count):
        net.eval()
        with torch.inference_mode(), precision:  # around all batches, so that autocast casts the weights once
            for _ in range(count):
                net(X)

    return {
        "train": lambda count: steps(count, update=True),
        "infer": infer,
        "forward_backward": lambda count: steps(count, update=False),
    }
