"""Loss scaling: MXNet's own scaler gives the numbers; a power of two changes no weight."""

import json

from gluon_classics.training.loss_scaling import LossScaling, all_finite
from gluon_classics.training.step import Step

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, nd
from mxnet.contrib.amp.loss_scaler import LossScaler
from mxnet.gluon import nn


class Gradient:
    """What MXNet's scaler takes for a parameter."""

    def __init__(self, value):
        self._grad = [nd.array([value])]


def test_the_factor_is_that_of_mxnets_scaler():
    good, bad = [Gradient(1.0)], [Gradient(np.inf)]
    theirs, ours = LossScaler(), LossScaling("float16")
    assert ours.factor == theirs.loss_scale
    # both have to count from the start after an overflow, halve at once, and stop at 2**24
    flags = [True] * 1999 + [False] + [True] * 2000 + [False, False, True, False] + [True] * 2001
    for finite in flags:
        overflow = theirs.has_overflow(good if finite else bad)
        assert ours.update(finite) is not overflow
        assert ours.factor == theirs._next_loss_scale
    assert ours.factor == 2.0**14  # halved 4 times, doubled twice


def test_the_factor_has_bounds():
    scaling = LossScaling("float16")
    scaling.set_state({"factor": 2.0**24, "good_steps": 1999})
    assert scaling.update(True) and scaling.state() == {"factor": 2.0**24, "good_steps": 0}
    scaling.set_state({"factor": 2.0, "good_steps": 5})
    assert not scaling.update(False) and scaling.state() == {"factor": 1.0, "good_steps": 0}
    with pytest.raises(ArithmeticError, match="NaN or infinite"):
        scaling.update(False)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_other_dtypes_are_not_scaled(dtype):
    scaling = LossScaling(dtype)
    assert not scaling.active and scaling.factor == 1


def test_the_state_goes_through_json():
    scaling = LossScaling("float16")
    for finite in (True, False, True, True):
        scaling.update(finite)
    other = LossScaling("float16")
    other.set_state(json.loads(json.dumps(scaling.state())))
    assert (other.factor, other.good_steps) == (2.0**15, 2)


@pytest.mark.parametrize("value, finite", [(3e38, True), (np.inf, False), (-np.inf, False), (np.nan, False)])
@pytest.mark.parametrize("place", [0, 199, 200, 449])
def test_all_finite_looks_at_every_array(value, finite, place):
    gradients = [nd.ones((2, 3)) for _ in range(450)]
    gradients[place][1, 2] = value
    assert all_finite(gradients) is finite


def train(scaling, ctx, overflow_at=None):
    """Weights after 6 steps, each of two slices for each device, with clipping; as the training step does it."""
    mx.random.seed(0)
    net = nn.HybridSequential()
    net.add(nn.Dense(16, "relu", in_units=12), nn.Dense(10, in_units=16))
    net.initialize(mx.init.Xavier(), ctx=ctx)
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    settings = {"learning_rate": 0.5, "momentum": 0.9}
    trainer = gluon.Trainer(net.collect_params(), "sgd", settings, update_on_kvstore=False)
    parameters = list(net.collect_params().values())
    for p in parameters:
        p.grad_req = "add"
    random = np.random.RandomState(0)
    made = 0
    for i in range(6):
        x, y = random.randn(8, 12), random.randint(0, 10, 8)
        factor = scaling.factor
        for p in parameters:
            p.zero_grad()
        for first in range(0, 8, 2):
            device = ctx[first // 2 % len(ctx)]
            with autograd.record():
                value = loss(
                    net(nd.array(x[first : first + 2], ctx=device)), nd.array(y[first : first + 2], ctx=device)
                )
            value.backward(nd.full(value.shape, factor, ctx=device))
        trainer.allreduce_grads()
        if i == overflow_at:
            parameters[0].grad(ctx[0])[0, 0] = np.inf
        if not scaling.update(all_finite([p.grad(ctx[0]) for p in parameters])):
            continue
        for device in ctx:
            gluon.utils.clip_global_norm([p.grad(device) for p in parameters], 0.5 * 8 * factor, check_isfinite=False)
        trainer.update(8 * factor)
        made += 1
    return [p.data(ctx[0]).asnumpy() for p in parameters], made


@pytest.mark.parametrize("ctx", [[mx.cpu()], [mx.cpu(0), mx.cpu(1)]])
def test_scaled_and_divided_again_gives_the_same_weights(ctx):
    plain, _ = train(LossScaling("float32"), ctx)
    scaled, _ = train(LossScaling("float16"), ctx)
    for one, other in zip(plain, scaled):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)  # clipping adds 1e-8 to the norm


def test_an_overflow_skips_its_step_alone():
    scaling = LossScaling("float16")
    weights, made = train(scaling, [mx.cpu()], overflow_at=2)
    assert made == 5 and scaling.state() == {"factor": 2.0**15, "good_steps": 3}
    assert all(np.isfinite(each).all() for each in weights)


@pytest.mark.parametrize("settings", [{}, {"accumulate": 2}, {"clip": 0.3}])
def test_the_step_scales_the_loss_and_divides_the_gradients(settings):
    """In float32, for a CPU has no float16: the scaling alone must change nothing."""

    def trained(dtype):
        mx.random.seed(0)
        net = nn.Dense(3, in_units=4)
        net.initialize(mx.init.Xavier())
        optimizer = {"learning_rate": 0.1, "momentum": 0.9}
        trainer = gluon.Trainer(net.collect_params(), "sgd", optimizer, update_on_kvstore=False)
        step = Step(net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer, dtype=dtype, **settings)
        slices = settings.get("accumulate", 1)
        random = np.random.RandomState(0)
        for i in range(4):
            images = [nd.array(random.randn(4, 4)) for _ in range(slices)]
            step(images, [nd.array([0, 1, 2, 0])] * slices, [mx.cpu()], i)
        return net.weight.data().asnumpy()

    plain, scaled = trained("float32"), trained("float16")
    np.testing.assert_allclose(plain, scaled, rtol=1e-6)
