"""One update of the weights: forward, backward, and the optimizer."""

from __future__ import annotations

from collections.abc import Sequence

from gluon_classics.training.distributed import ALONE, Workers
from gluon_classics.training.loss_scaling import LossScaling, all_finite
from gluon_classics.training.precision import widen
from gluon_classics.training.randomness import step_seed

import mxnet as mx
from mxnet import autograd, gluon, nd

# Without clipping, the gradient's norm only serves warnings, and is measured every that many batches.
NORM_EVERY = 20


def heads(output: nd.NDArray | Sequence[nd.NDArray]) -> tuple[nd.NDArray, list[nd.NDArray]]:
    """Return a network's logits, and those of its auxiliary heads, in float32 at least."""
    logits, *aux = map(widen, output if isinstance(output, (list, tuple)) else [output])
    return logits, aux


def loss_of_heads(
    net: gluon.Block, loss: gluon.loss.Loss, output: nd.NDArray | Sequence[nd.NDArray], label: nd.NDArray
) -> nd.NDArray:
    """Return the loss of each image (n,), plus the auxiliary heads' losses times ``net.aux_weights``.

    Raises ValueError if there are not as many weights as heads.
    """
    logits, aux = heads(output)
    weights = getattr(net, "aux_weights", ())
    if aux and len(aux) != len(weights):
        raise ValueError(f"the network returns {len(aux)} auxiliary outputs, but its aux_weights are {weights}")
    return sum((weight * loss(each, label) for weight, each in zip(weights, aux)), loss(logits, label))


class Step:
    """Updates the weights once, equally on all devices, when called with a batch's slices of images and labels.

    Parameters
    ----------
    net, loss, trainer : an initialized Gluon network, a Gluon loss, a gluon.Trainer of the network's parameters.
    accumulate : slices of a batch that a device processes one after the other, summing their gradients, to save
        memory. Batch norm sees the slices, not the batch.
    clip : largest norm of the gradient of the mean loss, over all weights; a larger gradient is scaled down to it.
    dtype : the network's dtype. For float16 the loss is scaled, and a step is skipped if its gradients overflow. If
        they are not finite without scaling either, their norm is not, and `train` raises NonFiniteLoss.
    workers : the workers that made the trainer. Each calls its Step with its part of the batch, of equal sizes.
    seed : makes random operators depend only on (seed, epoch, batch, worker), which an exact resume needs.

    Raises ValueError for `accumulate` below 1, and AssertionError for `clip` or float16 with a Trainer that updates in
    its key-value store.
    """

    def __init__(
        self,
        net: gluon.Block,
        loss: gluon.loss.Loss,
        trainer: gluon.Trainer,
        accumulate: int = 1,
        clip: float | None = None,
        dtype: str = "float32",
        workers: Workers = ALONE,
        seed: int | None = None,
    ):
        if accumulate < 1:
            raise ValueError(f"accumulate is {accumulate}, but a batch has at least 1 slice")
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
        """Return loss (n,) and logits (n, classes) of each slice, and the gradient's norm (1,) if it was measured."""
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
        divisor = batch_size * self.scaling.factor  # the gradients are sums over the batch
        if self.scaling.active:
            scaled = self.scaling.factor > 1
            if not self.scaling.update(all_finite([p.grad(ctx[0]) for p in self.weights])):
                return None if scaled else self._norm(divisor, ctx)  # Metrics raises NonFiniteLoss for it
        norm = self._norm(divisor, ctx)
        if self.clip:
            self._scale(self.clip / (norm + 1e-8), ctx)
        self.trainer.update(divisor)
        return norm

    def _norm(self, divisor: float, ctx: list) -> nd.NDArray:
        """Return the norm of the mean loss's gradient. Gradients are equal on all devices, and summed over workers."""
        flat = [p.grad(ctx[0]).reshape(-1) for p in self.weights]
        return nd.add_n(*[nd.dot(g, g) for g in flat]).sqrt() / (divisor * self.workers.size)

    def _scale(self, factor: nd.NDArray, ctx: list) -> None:
        """Multiply all gradients by min(factor, 1). gluon.utils.clip_global_norm does not accept float64."""
        for each in ctx:
            here = nd.minimum(factor, 1).as_in_context(each)
            for p in self.weights:
                p.grad(each)[:] *= here

    def _idle_devices(self, images: nd.NDArray, devices: list) -> None:
        """Make zero gradients on the devices without an image of a short batch: the Trainer sums over all."""
        for device in devices:
            with autograd.record():
                logits, aux = heads(self.net(images[:1].as_in_context(device)))
                nothing = sum((each.sum() for each in aux), logits.sum()) * 0
            nothing.backward()
