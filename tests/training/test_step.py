"""Gradient accumulation and clipping, against the larger batch and against NumPy."""

from gluon_classics.training.batches import device_batches
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
    """Two dense layers in float64, so that the order of a sum changes little."""
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


def trained(net, ctx, **settings):
    trainer = trainer_of(net)
    records = []
    step = Step(net, LOSS, trainer, **settings)
    train(batches(), None, net, LOSS, trainer, ctx, 2, step=step, log=str, on_epoch_end=records.append)
    return weights(net), records


@pytest.mark.parametrize("ctx, accumulate", [(mx.cpu(), 4), (mx.cpu(), 5), (TWO, 1), (TWO, 3), (TWO, 7)])
def test_slices_give_what_the_whole_batch_gives(ctx, accumulate):
    whole = network()
    sliced = network(ctx, like=whole)
    expected, expected_records = trained(whole, mx.cpu())
    got, records = trained(sliced, ctx, accumulate=accumulate)
    for one, other in zip(expected, got):
        assert np.abs(one - other).max() < 1e-13
    for one, other in zip(expected_records, records):
        assert one.train_loss == pytest.approx(other.train_loss, abs=1e-7)  # the losses' sums are read in float32
        assert one.train_acc == other.train_acc


def test_the_slices_are_so_many_on_each_device():
    (x, y), *_ = batches(1, 23)
    images, labels = next(device_batches([(x, y)], TWO, accumulate=3))
    assert [len(each) for each in images] == [4, 4, 4, 4, 4, 3]
    assert [each.context for each in images] == TWO * 3
    assert np.concatenate([each.asnumpy() for each in images]).tolist() == x.asnumpy().tolist()
    assert np.concatenate([each.asnumpy() for each in labels]).tolist() == y.asnumpy().tolist()


@pytest.mark.parametrize("ctx", [mx.cpu(), TWO])
def test_a_large_gradient_is_scaled_down_to_the_limit_and_a_small_one_is_left(ctx):
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


def test_the_norm_is_of_the_mean_loss_and_measured_now_and_then():
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
