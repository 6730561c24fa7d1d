"""Weight decay without biases and batch norm."""

from __future__ import annotations

from mxnet.gluon import Block


def weight_decay_on_weights_only(net: Block) -> None:
    """Switch weight decay off for parameters of one dimension: biases, and batch norm's scale and shift.

    That is "no bias decay" (Goyal et al. 2017, He et al. 2019), by the number of dimensions as in timm. It applies to
    every Trainer of these parameters, including existing ones.
    """
    for p in net.collect_params().values():
        if len(p.shape) <= 1:
            p.wd_mult = 0.0
