"""Losses that MXNet does not have."""

from __future__ import annotations

from mxnet.gluon.loss import Loss


class LabelSmoothing(Loss):
    """Cross-entropy with smoothed labels (Szegedy et al. 2016): logits (n, k) and integer labels (n,) give losses (n,).

    The target has probability epsilon / k for each of the k classes, and 1 - epsilon more for the label, as PyTorch's
    ``CrossEntropyLoss(label_smoothing=epsilon, reduction="none")``. Raises ValueError unless 0 <= epsilon < 1.
    """

    def __init__(self, epsilon: float, **kwargs):
        if not 0 <= epsilon < 1:
            raise ValueError(f"epsilon is {epsilon}, but must be from 0 to below 1; 0.1 is usual")
        super().__init__(weight=None, batch_axis=0, **kwargs)
        self.epsilon = epsilon

    def hybrid_forward(self, F, logits, labels):
        minus_log_p = -F.log_softmax(logits, axis=-1)
        of_label = F.pick(minus_log_p, labels, axis=-1)
        return (1 - self.epsilon) * of_label + self.epsilon * minus_log_p.mean(axis=-1)
