"""The averaged weights against the recurrence written out in NumPy, and the network before, inside and after."""

from gluon_classics.training.weight_average import WeightAverage

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

LOSS = gluon.loss.SoftmaxCrossEntropyLoss()
STATIC = {"static_alloc": True, "static_shape": True}
# of tf.train.ExponentialMovingAverage: min(decay, (1 + t) / (10 + t)) with decay 0.2, t from 0
DECAYS = [1 / 10, 2 / 11, 0.2, 0.2, 0.2]


def small_net(ctx=None, static=False):
    """Return a network with all kinds of parameters; `static` as do_exp.py runs it."""
    mx.random.seed(0)
    net = nn.HybridSequential()
    net.add(nn.Conv2D(8, 3), nn.BatchNorm(), nn.Activation("relu"), nn.Conv2D(8, 3), nn.GlobalAvgPool2D(), nn.Dense(4))
    net.initialize(mx.init.Xavier(), ctx=ctx)
    for device in ctx or [mx.cpu()]:
        net(nd.zeros((1, 3, 12, 12), ctx=device))
    if static:
        net.hybridize(**STATIC)
    return net


def sgd(net):
    settings = {"learning_rate": 0.1, "momentum": 0.9}
    return gluon.Trainer(net.collect_params(), "sgd", settings, update_on_kvstore=False)


def batch(seed, ctx=None, size=12):
    rng = np.random.default_rng(seed)
    return nd.array(rng.normal(0, 1, (16, 3, size, size)), ctx=ctx), nd.array(rng.integers(0, 4, 16), ctx=ctx)


def step(net, trainer, seed, ctx=None, size=12):
    ctx = ctx or [mx.cpu()]
    with autograd.record():
        losses = [LOSS(net(x), y) for x, y in (batch(seed + i, each, size) for i, each in enumerate(ctx))]
    for loss in losses:
        loss.backward()
    trainer.step(16 * len(ctx))


def values(net, device=0):
    nd.waitall()
    return {name: p.list_data()[device].asnumpy() for name, p in net._collect_params_with_prefix().items()}


def numpy_values(arrays):
    return {name: array.asnumpy() for name, array in arrays.items()}


def equal(one, other):
    return one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


@pytest.mark.parametrize("static", [False, True])
def test_equals_the_recurrence_for_every_parameter(static):
    net = small_net(static=static)
    trainer, average = sgd(net), WeightAverage(net, 0.2)
    expected = {name: value.astype("float64") for name, value in values(net).items()}
    seen = []
    for t in range(5):
        step(net, trainer, t)
        average.update()  # with the engine still at work
        seen.append(values(net))
    for decay, weights in zip(DECAYS, seen):
        expected = {name: decay * old + (1 - decay) * weights[name] for name, old in expected.items()}
    assert average.updates == 5
    arrays = numpy_values(average.arrays())
    assert arrays.keys() == values(net).keys()
    for name, value in arrays.items():
        assert np.allclose(value, expected[name], rtol=1e-5, atol=1e-6), name
    assert np.abs(arrays["5.weight"] - seen[-1]["5.weight"]).max() > 1e-3  # the average differs from the last weights


def test_running_statistics_are_those_after_the_step():
    # with static_shape, the engine lets them be read before they are written
    net = small_net(static=True)
    trainer, average = sgd(net), WeightAverage(net, 0.0)  # without memory: the last weights
    for t in range(10):
        step(net, trainer, t)
        average.update()
        taken = {name: array.copy() for name, array in average.arrays().items()}
        assert equal(numpy_values(taken), values(net)), t


def test_an_average_of_constant_weights_does_not_drift():
    # d and 1 - d, each rounded to float32, do not add up to 1: the weights would grow or shrink, by up to 1e-4
    net = small_net()
    average = WeightAverage(net, 0.9999)
    average.updates = 1_000_000  # past the warm-up of the decay
    for _ in range(2000):
        average.update()
    before = values(net)
    for name, value in numpy_values(average.arrays()).items():
        assert np.allclose(value, before[name], rtol=1e-6, atol=0), name


@pytest.mark.parametrize("static", [False, True])
def test_the_network_computes_with_the_average_inside_and_with_its_own_weights_after(static):
    net = small_net(static=static)
    trainer, average = sgd(net), WeightAverage(net, 0.2)
    for t in range(3):
        step(net, trainer, t)
        average.update()
    before, images = values(net), batch(99)[0]
    logits = net(images).asnumpy()
    plain = small_net()
    for name, p in plain._collect_params_with_prefix().items():
        p.set_data(average.arrays()[name])
    with average.applied():
        inside = net(images).asnumpy()
        assert equal(values(net), numpy_values(average.arrays()))
    assert np.allclose(inside, plain(images).asnumpy(), rtol=1e-5, atol=1e-6)
    assert np.abs(inside - logits).max() > 1e-3
    assert equal(values(net), before)
    assert (net(images).asnumpy() == logits).all()


def test_applying_the_average_does_not_change_the_training():
    nets = [small_net(static=True), small_net(static=True)]
    ends = []
    for net, evaluates in zip(nets, [False, True]):
        trainer, average = sgd(net), WeightAverage(net, 0.2)
        for t in range(6):
            step(net, trainer, t)
            average.update()
            if evaluates and t % 2:
                with average.applied():
                    net(batch(99)[0])  # not waited for
        ends.append((values(net), numpy_values(average.arrays())))
    assert equal(ends[0][0], ends[1][0])
    assert equal(ends[0][1], ends[1][1])


def test_an_error_inside_leaves_the_trained_weights():
    twin, net = small_net(static=True), small_net(static=True)
    step(twin, sgd(twin), 0, size=96)
    average = WeightAverage(net, 0.5)
    step(net, sgd(net), 0, size=96)
    with pytest.raises(KeyError), average.applied():  # with the engine still at work
        raise KeyError
    assert equal(values(net), values(twin))


def test_on_two_devices_each_gets_its_own_weights_back():
    two = [mx.cpu(0), mx.cpu(1)]
    net = small_net(two)
    trainer, average = sgd(net), WeightAverage(net, 0.2)
    for t in range(0, 6, 2):
        step(net, trainer, t, two)
        average.update()
    before = values(net, 0), values(net, 1)
    assert not equal(*before)  # the running statistics are of each device's images
    with average.applied():
        inside = values(net, 0), values(net, 1)
    assert equal(*inside)
    assert equal(inside[0], numpy_values(average.arrays()))
    assert (equal(values(net, 0), before[0]), equal(values(net, 1), before[1])) == (True, True)


def test_continues_bit_for_bit_from_its_arrays(tmp_path):
    whole, cut = small_net(static=True), small_net(static=True)
    ends = []
    for net, stop in ((whole, None), (cut, 3)):
        trainer, average = sgd(net), WeightAverage(net, 0.99)
        for t in range(6):
            if t == stop:
                nd.waitall()
                nd.save(str(tmp_path / "average.params"), average.arrays())
                updates = average.updates
                average = WeightAverage(net, 0.99)
                saved = nd.load(str(tmp_path / "average.params"))
                average.set_arrays(saved)
                average.updates = updates
            step(net, trainer, t)
            average.update()
        ends.append(numpy_values(average.arrays()))
    assert equal(*ends)
    assert equal(numpy_values(saved), numpy_values(nd.load(str(tmp_path / "average.params"))))  # a copy was taken


def test_arrays_of_another_network_are_refused_and_change_nothing():
    average = WeightAverage(small_net(), 0.5)
    before = numpy_values(average.arrays())
    other = {name: array + 1 for name, array in average.arrays().items()}
    with pytest.raises(ValueError, match=r"only the network has 0\.bias"):
        average.set_arrays({name: array for name, array in other.items() if name != "0.bias"})
    with pytest.raises(ValueError, match="only the stored average has more"):
        average.set_arrays({**other, "more": nd.zeros(1)})
    with pytest.raises(ValueError, match=r"5\.weight is \(3, 8\), not \(4, 8\)"):
        average.set_arrays({**other, "5.weight": nd.zeros((3, 8))})
    assert equal(numpy_values(average.arrays()), before)


@pytest.mark.parametrize("decay", [-0.1, 1, 1.5, float("nan")])
def test_a_decay_outside_0_to_1_is_refused(decay):
    with pytest.raises(ValueError, match=f"decay is {decay}"):
        WeightAverage(small_net(), decay)
