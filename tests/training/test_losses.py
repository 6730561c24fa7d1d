"""Label smoothing against PyTorch's numbers and its definition in NumPy; the loss of LeNet-5 against its equation."""

from gluon_classics.training.losses import LabelSmoothing, MaximumAPosteriori

import numpy as np
import pytest
from mxnet import autograd, gluon, nd

LOGITS = [[2.0, -1.0, 0.5], [0.25, 3.0, -2.0], [-4.0, 0.0, 60.0], [1.0, 1.0, 1.0]]
LABELS = [0, 2, 1, 2]
# PyTorch 2.13.0, in float64:
#   x = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
#   loss = torch.nn.CrossEntropyLoss(label_smoothing=epsilon, reduction="none")(x, torch.tensor(LABELS))
#   loss.tolist(), torch.autograd.grad(loss.sum(), x)[0].tolist()
PYTORCH = {
    0.1: (
        [0.3913113, 4.82661404, 58.13333333, 1.09861229],
        [
            [-0.1477363, 0.00577924, 0.14195706],
            [0.02637518, 0.90066492, -0.9270401],
            [-0.03333333, -0.93333333, 0.96666667],
            [0.3, 0.3, -0.6],
        ],
    ),
    0.3: (
        [0.6913113, 4.34328071, 54.4, 1.09861229],
        [
            [-0.01440297, -0.06088743, 0.07529039],
            [-0.04029149, 0.83399826, -0.79370677],
            [-0.1, -0.8, 0.9],
            [0.23333333, 0.23333333, -0.46666667],
        ],
    ),
}


def loss_and_gradient(loss, logits, labels, dtype="float64"):
    x = nd.array(logits, dtype=dtype)
    x.attach_grad()
    with autograd.record():
        values = loss(x, nd.array(labels))
    values.backward()
    return values.asnumpy(), x.grad.asnumpy()


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("epsilon", PYTORCH)
def test_equals_pytorch(epsilon, hybridize):
    loss = LabelSmoothing(epsilon)
    loss.hybridize(hybridize)
    values, gradient = loss_and_gradient(loss, LOGITS, LABELS)
    assert values.shape == (4,)
    assert np.allclose(values, PYTORCH[epsilon][0], rtol=0, atol=1e-8)
    assert np.allclose(gradient, PYTORCH[epsilon][1], rtol=0, atol=1e-8)


def test_equals_the_definition():
    rng = np.random.default_rng(0)
    logits, labels, epsilon = rng.normal(0, 3, (50, 10)), rng.integers(0, 10, 50), 0.2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = (1 - epsilon) * np.eye(10)[labels] + epsilon / 10
    values, gradient = loss_and_gradient(LabelSmoothing(epsilon), logits, labels)
    assert np.allclose(values, -(target * np.log(p)).sum(axis=1), rtol=1e-12)
    assert np.allclose(gradient, p - target, rtol=0, atol=1e-12)


def test_without_smoothing_it_is_the_cross_entropy():
    logits = np.random.default_rng(1).normal(0, 3, (20, 10))
    labels = np.arange(20) % 10
    mine = loss_and_gradient(LabelSmoothing(0.0), logits, labels, "float32")
    theirs = loss_and_gradient(gluon.loss.SoftmaxCrossEntropyLoss(), logits, labels, "float32")
    assert (mine[0] == theirs[0]).all()
    assert np.allclose(mine[1], theirs[1], rtol=0, atol=1e-7)


@pytest.mark.parametrize("epsilon", [-0.1, 1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(epsilon):
    with pytest.raises(ValueError, match=f"epsilon is {epsilon}"):
        LabelSmoothing(epsilon)


@pytest.mark.parametrize("j", [0.5, 10, 200])
def test_maximum_a_posteriori_is_equation_9(j):
    """y_D + log(exp(-j) + sum over i of exp(-y_i)), y being distances, which are minus the logits."""
    distances = np.array([[3.0, 20.0, 7.5], [90.0, 80.0, 110.0], [0.0, 0.0, 0.0]])
    labels = [0, 2, 1]
    expected = distances[range(3), labels] + np.log(np.exp(-j) + np.exp(-distances).sum(axis=1))
    losses = MaximumAPosteriori(j)(nd.array(-distances), nd.array(labels)).asnumpy()
    assert losses == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_maximum_a_posteriori_with_a_large_j_is_cross_entropy():
    expected = gluon.loss.SoftmaxCrossEntropyLoss()(nd.array(LOGITS), nd.array(LABELS)).asnumpy()
    assert MaximumAPosteriori(1000)(nd.array(LOGITS), nd.array(LABELS)).asnumpy() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("j", [0, -1, float("nan")])
def test_j_must_be_positive(j):
    with pytest.raises(ValueError, match=f"j is {j}"):
        MaximumAPosteriori(j)
