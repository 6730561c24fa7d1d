"""Losses that MXNet does not have."""

from __future__ import annotations

from typing import Any

from mxnet.gluon.loss import Loss


class LabelSmoothing(Loss):
    """Cross-entropy with smoothed labels (Szegedy et al. 2016): logits (n, k) and integer labels (n,) give losses (n,).

    The target has probability epsilon / k for each of the k classes, and 1 - epsilon more for the label, as PyTorch's
    ``CrossEntropyLoss(label_smoothing=epsilon, reduction="none")``. Raises ValueError unless 0 <= epsilon < 1.
    """

    def __init__(self, epsilon: float, **kwargs: Any) -> None:
        if not 0 <= epsilon < 1:
            raise ValueError(f"epsilon is {epsilon}, but must be from 0 to below 1; 0.1 is usual")
        super().__init__(weight=None, batch_axis=0, **kwargs)
        self.epsilon = epsilon

    def hybrid_forward(self, F, logits, labels):
        minus_log_p = -F.log_softmax(logits, axis=-1)
        of_label = F.pick(minus_log_p, labels, axis=-1)
        return (1 - self.epsilon) * of_label + self.epsilon * minus_log_p.mean(axis=-1)


class MaximumAPosteriori(Loss):
    """Equation (9) of LeCun et al. 1998, for lenet5_1998: logits (n, k) and integer labels (n,) give losses (n,).

    It is cross-entropy with one more class, rubbish, whose logit is the constant -j. The logits are minus the squared
    distances to the classes' bitmaps, so the distance to the right bitmap is pulled below j. The paper gives no value
    of j; without the class (an infinite j) it is SoftmaxCrossEntropyLoss. Raises ValueError unless j is positive.
    """

    def __init__(self, j: float, **kwargs: Any) -> None:
        if not j > 0:
            raise ValueError(f"j is {j}, but must be positive: a squared distance, such as 10")
        super().__init__(weight=None, batch_axis=0, **kwargs)
        self.j = j

    def hybrid_forward(self, F, logits, labels):
        rubbish = F.zeros_like(F.slice_axis(logits, axis=-1, begin=0, end=1)) - self.j
        return -F.pick(F.log_softmax(F.concat(logits, rubbish, dim=-1), axis=-1), labels, axis=-1)
