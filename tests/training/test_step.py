"""Gradient accumulation, several devices and clipping give the weights of NumPy with the whole batch."""

from gluon_classics.devices import hybridize
from gluon_classics.training.batches import device_batches
from gluon_classics.training.callbacks import History, Log
from gluon_classics.training.loop import train
from gluon_classics.training.step import Step

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

LOSS = gluon.loss.SoftmaxCrossEntropyLoss()
TWO = [mx.cpu(0), mx.cpu(1)]


def network(ctx=None, like=None):
    """Return two dense layers in float64, in which the order of a sum hardly matters."""
    net = nn.HybridSequential()
    net.add(nn.Dense(16, "tanh", in_units=12, dtype="float64"), nn.Dense(10, in_units=16, dtype="float64"))
    mx.random.seed(0)
    net.initialize(mx.init.Xavier(), ctx=ctx or mx.cpu())
    for mine, other in zip(net.collect_params().values(), like.collect_params().values() if like else ()):
        mine.set_data(other.data(other.list_ctx()[0]))
    return net


def batches(count=5, size=24):
    random = np.random.RandomState(0)
    x, y = random.randn(count, size, 12), random.randint(0, 10, (count, size))
    return [(nd.array(a, dtype="float64"), nd.array(b, dtype="float64")) for a, b in zip(x, y)]


def trainer_of(net, lr=0.5):
    return gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": lr, "momentum": 0.9}, update_on_kvstore=False)


def weights(net):
    return [p.data(p.list_ctx()[0]).asnumpy() for p in net.collect_params().values()]


def in_numpy(net, data, epochs, clip=None):
    """Train by SGD with momentum on whole batches. Return weights, norms of the gradients, and losses of the images."""
    w1, b1, w2, b2 = (each.copy() for each in weights(net))
    momenta = [np.zeros_like(each) for each in (w1, b1, w2, b2)]
    lr, momentum = (float(np.float32(each)) for each in (0.5, 0.9))  # MXNet's operators store them in float32
    norms, losses = [], []
    for x, y in [(x.asnumpy(), y.asnumpy().astype(int)) for x, y in data] * epochs:
        hidden = np.tanh(x @ w1.T + b1)
        logits = hidden @ w2.T + b2
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        losses.append(-np.log(p[range(len(y)), y]))
        d_logits = p - np.eye(10)[y]
        d_hidden = d_logits @ w2 * (1 - hidden**2)
        gradients = [d_hidden.T @ x, d_hidden.sum(axis=0), d_logits.T @ hidden, d_logits.sum(axis=0)]
        norms.append(np.sqrt(sum((g**2).sum() for g in gradients)) / len(x))
        factor = 1 if clip is None else min(1, clip / (norms[-1] + 1e-8))
        for weight, gradient, velocity in zip((w1, b1, w2, b2), gradients, momenta):
            velocity *= momentum
            velocity -= lr * factor * float(np.float32(1 / len(x))) * gradient
            weight += velocity
    return [w1, b1, w2, b2], norms, losses


@pytest.mark.parametrize("clip", [None, 0.7])
@pytest.mark.parametrize("ctx", [[mx.cpu()], TWO], ids=len)
@pytest.mark.parametrize("accumulate", [1, 3, 7])
@pytest.mark.parametrize("last", [23, 5, 1])  # uneven, and smaller than the slices and than the devices
def test_slices_give_what_the_whole_batch_gives(last, accumulate, ctx, clip):
    data = [*batches(4, 24), *batches(1, last)]
    net = network(ctx)
    expected, norms, losses = in_numpy(net, data, 2, clip)
    assert clip is None or min(norms) < clip < max(norms)
    hybridize(net, ctx)  # as do_exp.py does
    trainer, history = trainer_of(net), History()
    step = Step(net, LOSS, trainer, accumulate, clip)
    train(data, None, net, LOSS, trainer, ctx, 2, step=step, callbacks=[Log(log=str), history])
    loss = np.concatenate(losses[5:]).mean()
    assert history.records[1].train_loss == pytest.approx(loss, rel=1e-6)  # read in float32
    for device in ctx:
        for one, p in zip(expected, net.collect_params().values()):
            assert np.abs(one - p.data(device).asnumpy()).max() < 1e-12


def test_each_device_gets_the_same_number_of_slices():
    (x, y), *_ = batches(1, 23)
    images, labels = next(device_batches([(x, y)], TWO, accumulate=3))
    assert [len(each) for each in images] == [4, 4, 4, 4, 4, 3]
    assert [each.context for each in images] == TWO * 3
    assert np.concatenate([each.asnumpy() for each in images]).tolist() == x.asnumpy().tolist()
    assert np.concatenate([each.asnumpy() for each in labels]).tolist() == y.asnumpy().tolist()


@pytest.mark.parametrize("ctx", [mx.cpu(), TWO])
def test_only_a_gradient_above_the_limit_is_scaled_down(ctx):
    (x, y), *_ = batches(1)
    net = network()
    with autograd.record():
        loss = LOSS(net(x), y).mean()
    loss.backward()
    gradients = [p.grad().asnumpy() for p in net.collect_params().values()]
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    for limit, factor in ((norm / 3, 1 / 3), (norm * 3, 1)):
        other = network(ctx, like=net)
        trainer = trainer_of(other, lr=1.0)
        devices = ctx if isinstance(ctx, list) else [ctx]
        images, labels = next(device_batches([(x, y)], devices))
        _, _, measured = Step(other, LOSS, trainer, clip=limit)(images, labels, devices, 0)
        assert measured.asscalar() == pytest.approx(norm, rel=1e-6)
        for before, after, gradient in zip(weights(net), weights(other), gradients):
            assert after == pytest.approx(before - factor * gradient, abs=1e-7)


def test_the_norm_is_of_the_mean_loss_and_measured_every_20_batches():
    net = network()
    step = Step(net, LOSS, trainer_of(net))
    (x, y), *_ = batches(1)
    norms = [step([x], [y], [mx.cpu()], batch)[2] for batch in (0, 1, 19, 20)]
    assert [norm is not None for norm in norms] == [True, False, False, True]
    fresh = network()
    with autograd.record():
        loss = LOSS(fresh(x), y).mean()
    loss.backward()
    expected = np.sqrt(sum((p.grad().asnumpy() ** 2).sum() for p in fresh.collect_params().values()))
    assert norms[0].asscalar() == pytest.approx(expected, rel=1e-6)


def test_no_slice_is_refused():
    net = network()
    with pytest.raises(ValueError, match="accumulate is 0"):
        Step(net, LOSS, trainer_of(net), accumulate=0)


def test_an_output_in_16_bits_is_widened_once(monkeypatch):
    class Narrow(nn.Dense):
        def hybrid_forward(self, F, x, weight, bias):
            return F.amp_cast(super().hybrid_forward(F, x, weight, bias), dtype="float16")

    def counted(*arguments, **named):
        casts.append(named["dtype"])
        return cast(*arguments, **named)

    cast, casts = nd.amp_cast, []
    monkeypatch.setattr(nd, "amp_cast", counted)
    net = Narrow(10, in_units=12)
    net.initialize()
    images, labels = (each.astype("float32") for each in batches(1)[0])
    losses, outputs, _ = Step(net, LOSS, trainer_of(net))([images], [labels], [mx.cpu()], 1)
    assert casts == ["float16", "float32"]
    assert losses[0].dtype == outputs[0].dtype == np.float32
