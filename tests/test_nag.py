import subprocess
import sys

from gluon_classics.runtime.nag import NAG

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("wd", [0.0, 0.1])
def test_the_steps_are_those_of_the_formula(wd, clip):
    # torch.optim.SGD(nesterov=True): d = g + wd w; b = momentum b + d; w -= lr (d + momentum b). MXNet clips g.
    random = np.random.RandomState(0)
    expected, momentum, lr, mu = random.randn(4, 3), np.zeros((4, 3)), 0.1, 0.9
    optimizer = mx.optimizer.create("nag", learning_rate=lr, momentum=mu, wd=wd, clip_gradient=clip, rescale_grad=0.5)
    weight = nd.array(expected, dtype="float64")
    state = optimizer.create_state(0, weight)
    for _ in range(5):
        gradient = random.randn(4, 3)
        optimizer.update(0, weight, nd.array(gradient, dtype="float64"), state)
        direction = gradient / 2 if clip is None else np.clip(gradient / 2, -clip, clip)
        direction = direction + wd * expected
        momentum = mu * momentum + direction
        expected = expected - lr * (direction + mu * momentum)
        np.testing.assert_allclose(weight.asnumpy(), expected, rtol=0, atol=1e-7)


def test_it_replaces_mxnets_without_a_warning():
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", "import gluon_classics, mxnet"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert type(mx.optimizer.create("nag")) is NAG
