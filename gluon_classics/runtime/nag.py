"""A replacement for MXNet 1.9.1's optimizer "nag", which is not reproducible with weight decay."""

from __future__ import annotations

import mxnet as mx
from mxnet import nd


class NAG(mx.optimizer.NAG):
    """mxnet.optimizer.NAG (Nesterov 1983, as in Sutskever et al. 2013), reproducible with weight decay.

    MXNet's operator writes the weight first and then reads it again for the momentum's weight decay. It reads the new
    weight if it works in place, and the old one if oneDNN holds the weight in a layout of its own, which depends on the
    timing of the engine's threads. This class does not work in place.
    """

    def _update_impl(self, index, weight, grad, state, multi_precision=False):
        if multi_precision or state is None or self._get_wd(index) == 0:  # MXNet's own is correct there
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


# for every Trainer; MXNet's own register() would warn
mx.optimizer.Optimizer.opt_registry["nag"] = NAG
