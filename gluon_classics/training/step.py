"""One update of the weights: forward, backward, and the optimizer."""

from __future__ import annotations

from gluon_classics.training.distributed import ALONE, Workers
from gluon_classics.training.loss_scaling import LossScaling, all_finite
from gluon_classics.training.precision import widen
from gluon_classics.training.randomness import step_seed

import mxnet as mx
from mxnet import autograd, gluon, nd

# Without clipping, the gradient's norm is only there to warn: measured each so many batches, it costs nothing.
NORM_EVERY = 20


def heads(output) -> tuple[nd.NDArray, list]:
    """A network's logits, and the logits of its auxiliary heads, if it returns any; in float32 at least."""
    logits, *aux = map(widen, output if isinstance(output, (list, tuple)) else [output])
    return logits, aux


def loss_of_heads(net, loss, output, label) -> nd.NDArray:
    """The loss of each image (n,): that of the logits, plus each auxiliary head's times its ``net.aux_weights``.

    Raises ValueError where these are not as many as the heads.
    """
    logits, aux = heads(output)
    weights = getattr(net, "aux_weights", ())
    if aux and len(aux) != len(weights):
        raise ValueError(f"the network returns {len(aux)} auxiliary outputs, but its aux_weights are {weights}")
    return sum((weight * loss(each, label) for weight, each in zip(weights, aux)), loss(logits, label))


class Step:
    """Callable with a batch's slices of images and labels; updates the weights once, on every device alike.

    Parameters
    ----------
    net, loss, trainer : an initialized Gluon network, a Gluon loss, a gluon.Trainer of the network's parameters.
    accumulate : slices of a batch that a device takes one after the other, adding up their gradients: what a batch
        gives that does not fit into memory. Batch norm sees the slices, not the batch.
    clip : the largest norm of the gradient of the mean loss, over all weights; a larger one is scaled down to it.
    dtype : what the network computes in; float16 has its loss scaled, and a step whose gradients overflow is left out.
        Where they are not finite without scaling either, their norm tells: `train` raises NonFiniteLoss for it.
    seed : makes random operators depend on (seed, epoch, batch, worker) alone, as an exact resume needs.
    workers : those that have made the trainer; each calls its Step with its part of the batch, all parts of one size.

    Raises ValueError for `accumulate` below 1, and AssertionError for `clip` or float16 with a
    Trainer that updates in its key-value store.
    """

    def __init__(
        self,
        net,
        loss,
        trainer: gluon.Trainer,
        accumulate: int = 1,
        clip: float | None = None,
        dtype: str = "float32",
        workers: Workers = ALONE,
        seed: int | None = None,
    ):
        if accumulate < 1:
            raise ValueError(f"accumulate is {accumulate}, but a batch is taken in at least 1 slice")
        self.net, self.loss, self.trainer = net, loss, trainer
        self.accumulate, self.clip, self.workers = accumulate, clip, workers
        self.seed = seed
        self.scaling = LossScaling(dtype)
        self.weights = [p for p in net.collect_params().values() if p.grad_req != "null"]
        if accumulate > 1:
            for p in self.weights:
                p.grad_req = "add"

    def __call__(
        self, images: list, labels: list, ctx: list, batch: int, epoch: int = 0
    ) -> tuple[list, list, nd.NDArray | None]:
        """Loss (n,) and logits (n, classes) of each slice; the gradient's norm (1,) where this batch's is measured."""
        if self.seed is not None:
            mx.random.seed(step_seed(self.seed, epoch, batch, self.workers.rank))
        if self.accumulate > 1:
            for p in self.weights:
                p.zero_grad()
        losses, outputs = [], []
        for first in range(0, len(images), len(ctx)):
            now = slice(first, first + len(ctx))
            with autograd.record():
                answers = [heads(self.net(X)) for X in images[now]]
                values = [
                    loss_of_heads(self.net, self.loss, [logits, *aux], y)
                    for (logits, aux), y in zip(answers, labels[now])
                ]
                scaled = [each * self.scaling.factor for each in values] if self.scaling.active else values
            for each in scaled:
                each.backward()
            losses += values
            outputs += [logits for logits, _ in answers]
        self._idle_devices(images[0], ctx[len(images) :])
        return losses, outputs, self._update(sum(X.shape[0] for X in images), ctx, batch)

    def _update(self, batch_size: int, ctx: list, batch: int) -> nd.NDArray | None:
        if not (self.clip or self.scaling.active):
            self.trainer.step(batch_size)
            return self._norm(batch_size, ctx) if batch % NORM_EVERY == 0 else None
        self.trainer.allreduce_grads()
        divisor = batch_size * self.scaling.factor  # of the gradients, which are sums over the batch
        if self.scaling.active:
            scaled = self.scaling.factor > 1
            if not self.scaling.update(all_finite([p.grad(ctx[0]) for p in self.weights])):
                return None if scaled else self._norm(divisor, ctx)  # Metrics stops the training for such a norm
        norm = self._norm(divisor, ctx)
        if self.clip:
            self._scale(self.clip / (norm + 1e-8), ctx)
        self.trainer.update(divisor)
        return norm

    def _norm(self, divisor: float, ctx: list) -> nd.NDArray:
        """That of the mean loss; the gradients are equal on every device, and the sum over all workers."""
        flat = [p.grad(ctx[0]).reshape(-1) for p in self.weights]
        return nd.add_n(*[nd.dot(g, g) for g in flat]).sqrt() / (divisor * self.workers.size)

    def _scale(self, factor: nd.NDArray, ctx: list) -> None:
        """Multiply every gradient by a factor that is at most 1. (gluon.utils.clip_global_norm takes no float64.)"""
        for each in ctx:
            here = nd.minimum(factor, 1).as_in_context(each)
            for p in self.weights:
                p.grad(each)[:] *= here

    def _idle_devices(self, images: nd.NDArray, devices: list) -> None:
        """Zero gradients on the devices that a short batch left without an example, for the Trainer to add up."""
        for device in devices:
            with autograd.record():
                logits, aux = heads(self.net(images[:1].as_in_context(device)))
                nothing = sum((each.sum() for each in aux), logits.sum()) * 0
            nothing.backward()
