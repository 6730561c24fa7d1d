"""Dynamic loss scaling, for training in float16."""

from __future__ import annotations

from mxnet import nd


class LossScaling:
    """Dynamic loss scaling: keeps float16 gradients from underflowing to 0 or overflowing.

    Multiply the losses by `factor` (1 for other dtypes) before the backward pass, and divide the gradients by it
    afterwards. If a gradient overflows, the step is skipped and the factor halved; after 2000 good steps it doubles.
    Gradients that are not finite at factor 1 have another cause.

    The constants are those of MXNet's LossScaler. That one halves a step too late, so that each overflow costs two
    steps, and it works inside the Trainer, after the gradients are clipped.
    """

    FIRST, LARGEST, GOOD_STEPS = 2.0**16, 2.0**24, 2000

    def __init__(self, dtype: str):
        self.active = dtype == "float16"
        self.factor = self.FIRST if self.active else 1.0
        self.good_steps = 0  # since the factor changed

    def update(self, finite: bool) -> bool:
        """Adapt the factor to whether the step's gradients are finite. Return whether to update the weights."""
        if not finite:
            self.factor, self.good_steps = max(self.factor / 2, 1.0), 0
            return False
        self.good_steps += 1
        if self.good_steps == self.GOOD_STEPS:
            self.factor, self.good_steps = min(self.factor * 2, self.LARGEST), 0
        return True

    def state(self) -> dict:
        """Return the state for a checkpoint, as plain values."""
        return {"factor": self.factor, "good_steps": self.good_steps}

    def set_state(self, state: dict) -> None:
        self.factor, self.good_steps = state["factor"], state["good_steps"]


def all_finite(gradients: list[nd.NDArray]) -> bool:
    """Return whether all elements are finite. Waits for the backward pass, as each step in float16 has to."""
    finite = nd.ones((1,), ctx=gradients[0].context)
    for i in range(0, len(gradients), 200):  # the operator's limit
        some = gradients[i : i + 200]
        nd.multi_all_finite(*some, num_arrays=len(some), init_output=False, out=finite)
    return bool(finite.asscalar())
