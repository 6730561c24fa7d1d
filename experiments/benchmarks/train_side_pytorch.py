"""The sides of benchmark.py train that run in PyTorch: eager, SGD with momentum, one synthetic batch kept in memory.

Each function of a side takes a number of batches, and returns when they are done.
"""

from __future__ import annotations

import os
from typing import Callable

import torch
from torch.nn import functional as F
from torch_networks import build_torch
from train_side import Setting


def pytorch(setting: Setting) -> dict[str, Callable[[int], None]]:
    """In the layout and the precision of the setting; bfloat16 is autocast's."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    shape = (setting.channels, setting.size, setting.size)
    layout = torch.channels_last if setting.channels_last else torch.contiguous_format
    net = build_torch(setting.network, shape).to(memory_format=layout)
    X = torch.rand(setting.batch_size, *shape).to(memory_format=layout)
    y = torch.arange(setting.batch_size) % 10
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    precision = torch.autocast("cpu", torch.bfloat16, enabled=setting.dtype == "bfloat16")

    def train(count):
        net.train()
        for _ in range(count):
            optimizer.zero_grad()
            with precision:
                loss = F.cross_entropy(net(X), y)
            loss.backward()
            optimizer.step()

    def infer(count):
        net.eval()
        with torch.inference_mode(), precision:  # around all batches, so that autocast casts the weights once
            for _ in range(count):
                net(X)

    return {"train": train, "infer": infer}
