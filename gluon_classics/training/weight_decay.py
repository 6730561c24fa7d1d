"""Which parameters weight decay pulls to zero."""

from __future__ import annotations


def weight_decay_on_weights_only(net) -> None:
    """No weight decay for parameters of one dimension: biases, and batch norm's scale and shift.

    The rule of Goyal et al. 2017 and He et al. 2019 ("no bias decay"), decided by the number of dimensions as timm
    does. It holds for every Trainer of the network's parameters, an existing one included.
    """
    for p in net.collect_params().values():
        if len(p.shape) <= 1:
            p.wd_mult = 0.0
