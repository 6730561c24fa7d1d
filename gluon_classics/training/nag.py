"""Nesterov's accelerated gradient, with MXNet's operator but not in place."""

from __future__ import annotations

import mxnet as mx
from mxnet import nd


class NAG(mx.optimizer.NAG):
    """mxnet.optimizer.NAG (Nesterov 1983, as in Sutskever et al. 2013), the same in every run also with weight decay.

    MXNet's own writes the weight first, and then takes the weight decay of the momentum from what it finds there: the
    new weight where it works in place, the old one where oneDNN holds the weight in a layout of its own. Which of
    both depends on when the engine's threads get to it, so that two equal runs come to differ.
    """

    def _update_impl(self, index, weight, grad, state, multi_precision=False):
        if multi_precision or state is None or self._get_wd(index) == 0:  # MXNet's own has no such fault there
            super()._update_impl(index, weight, grad, state, multi_precision)
            return
        self._update_count(index)
        clip = {"clip_gradient": self.clip_gradient} if self.clip_gradient else {}
        updated = nd.nag_mom_update(
            weight,
            grad,
            state,
            lr=self._get_lr(index),
            wd=self._get_wd(index),
            momentum=self.momentum,
            rescale_grad=self.rescale_grad,
            **clip,
        )
        updated.copyto(weight)


# by its name, whoever makes the Trainer; MXNet's register() would warn that there was one before
mx.optimizer.Optimizer.opt_registry["nag"] = NAG
