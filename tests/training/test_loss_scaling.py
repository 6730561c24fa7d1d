"""Loss scaling: the factors of MXNet's own scaler, and an overflow that skips its step and changes nothing else."""

import json

from gluon_classics.training.batches import device_batches
from gluon_classics.training.callbacks import Log
from gluon_classics.training.loop import train
from gluon_classics.training.loss_scaling import LossScaling, all_finite
from gluon_classics.training.metrics import NonFiniteLoss
from gluon_classics.training.step import Step

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon, nd
from mxnet.contrib.amp.loss_scaler import LossScaler
from mxnet.gluon import nn

LOSS = gluon.loss.SoftmaxCrossEntropyLoss()


class Gradient:
    """A parameter, as far as MXNet's scaler needs one."""

    def __init__(self, value):
        self._grad = [nd.array([value])]


def test_the_factor_is_that_of_mxnets_scaler():
    good, bad = [Gradient(1.0)], [Gradient(np.inf)]
    theirs, ours = LossScaler(), LossScaling("float16")
    assert ours.factor == theirs.loss_scale
    # after an overflow both halve and count from 0; the factor stays at most 2**24
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
    assert not scaling.update(False) and scaling.state() == {"factor": 1.0, "good_steps": 0}


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


SETTINGS = [{}, {"accumulate": 3}, {"clip": 0.3}, {"accumulate": 3, "clip": 0.3}]
DEVICES = [[mx.cpu()], [mx.cpu(0), mx.cpu(1)]]


def new_step(ctx, dtype, init=None, **settings):
    """Return a step of softmax regression in float32, as a CPU has no float16: scaling alone must change nothing."""
    mx.random.seed(0)
    net = nn.Dense(3, in_units=4)
    net.initialize(init or mx.init.Xavier(), ctx=ctx)
    optimizer = {"learning_rate": 0.1, "momentum": 0.9}
    trainer = gluon.Trainer(net.collect_params(), "sgd", optimizer, update_on_kvstore=False)
    return Step(net, LOSS, trainer, dtype=dtype, **settings)


def batches(count, size=14):
    random = np.random.RandomState(0)
    return [(nd.array(random.randn(size, 4)), nd.array(random.randint(0, 3, size))) for _ in range(count)]


def weights_and_momenta(step, ctx):
    """Return the bytes of weights and momenta on each device."""
    momenta = [state for updater in step.trainer._updaters for state in updater.states.values()]
    arrays = [p.data(each) for p in step.weights for each in ctx] + momenta
    return [array.asnumpy().tobytes() for array in arrays]


@pytest.mark.parametrize("ctx", DEVICES, ids=len)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_an_overflow_skips_its_step_alone(ctx, settings):
    plain, scaled = new_step(ctx, "float32", **settings), new_step(ctx, "float16", **settings)
    good = batches(6)
    slices = [*device_batches(good, ctx, accumulate=scaled.accumulate)]
    for i, (images, labels) in enumerate(slices):
        plain(images, labels, ctx, i)
        if i == 3:
            before = weights_and_momenta(scaled, ctx)
            # a gradient of about 1e36, and 2**16 times that is above float32's 3.4e38
            large = [*images[:-1], images[-1] * 1e36]
            losses, outputs, norm = scaled(large, labels, ctx, i)
            assert norm is None and len(losses) == len(outputs) == len(images)
            assert all(np.isfinite(each.asnumpy()).all() for each in losses)
            assert any(not np.isfinite(p.grad(ctx[0]).asnumpy()).all() for p in scaled.weights)
            assert weights_and_momenta(scaled, ctx) == before
            assert scaled.scaling.state() == {"factor": 2.0**15, "good_steps": 0}
        scaled(images, labels, ctx, i)
    assert scaled.scaling.state() == {"factor": 2.0**15, "good_steps": 3}
    for one, other in zip(plain.weights, scaled.weights):
        for each in ctx:
            np.testing.assert_allclose(one.data(each).asnumpy(), other.data(each).asnumpy(), rtol=1e-5)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_without_scaling_the_training_stops_with_epoch_and_batch(settings):
    # equal probabilities have a loss of log 3; images of 3e38 make the gradient, a sum over the batch, infinite
    step = new_step([mx.cpu()], "float16", mx.init.Zero(), **settings)
    data = [(nd.zeros((6, 4)), nd.array([0, 1, 2] * 2))] * 12 + [(nd.full((6, 4), 3e38), nd.zeros(6))] * 3
    step.scaling.set_state({"factor": 4.0, "good_steps": 0})
    with pytest.raises(NonFiniteLoss, match="the gradient's norm is inf in epoch 0, batch 15"):
        train(data, None, step.net, LOSS, step.trainer, mx.cpu(), 1, step=step, callbacks=[Log(log=str)])
    assert step.scaling.factor == 1
    assert (step.net.weight.data().asnumpy() == 0).all()
