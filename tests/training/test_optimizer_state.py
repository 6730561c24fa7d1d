"""A training continued from files gives the weights of an uninterrupted one, bit for bit."""

import json

from gluon_classics.training import OPTIMIZERS
from gluon_classics.training.checkpoint_files import Checkpoint, read_checkpoint, write_checkpoint
from gluon_classics.training.optimizer_state import get_state, set_state

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, lr_scheduler, nd
from mxnet.gluon import nn

LOSS = gluon.loss.SoftmaxCrossEntropyLoss()
SETTINGS = [
    ("sgd", {"learning_rate": 0.1}),
    ("sgd", {"learning_rate": 0.1, "momentum": 0.9, "wd": 1e-3}),
    ("nag", {"learning_rate": 0.1, "momentum": 0.9}),
    ("adam", {"learning_rate": 0.01}),
    ("nadam", {"learning_rate": 0.01}),
    ("rmsprop", {"learning_rate": 0.01}),
    ("rmsprop", {"learning_rate": 0.01, "centered": True}),
    ("adagrad", {"learning_rate": 0.01}),
    ("lamb", {"learning_rate": 0.01}),
]
SCHEDULES = {
    "factor": lambda: lr_scheduler.FactorScheduler(3, 0.7, base_lr=0.3, warmup_steps=4, warmup_begin_lr=0.01),
    "step": lambda: lr_scheduler.MultiFactorScheduler([7, 11], 0.1, base_lr=0.3, warmup_steps=4),
    "poly": lambda: lr_scheduler.PolyScheduler(15, base_lr=0.3, final_lr=0.01, warmup_steps=4),
    "cosine": lambda: lr_scheduler.CosineScheduler(15, base_lr=0.3, final_lr=0.01, warmup_steps=4),
}


def new_net(ctx, dtype="float32"):
    mx.random.seed(1)
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3, use_bias=False), nn.BatchNorm(), nn.Activation("tanh"), nn.Dense(8), nn.Dense(3))
    net.cast(dtype)
    net.initialize(mx.init.Xavier(), ctx=ctx)
    for device in ctx:
        net(nd.zeros((1, 1, 5, 5), ctx=device, dtype=dtype))
    return net


def new_trainer(net, optimizer, settings):
    params = net if isinstance(net, dict) else net.collect_params()
    return gluon.Trainer(params, optimizer, dict(settings), update_on_kvstore=False)


def steps(net, trainer, ctx, numbers):
    """Train on batches that depend only on their number."""
    dtype = net[0].weight.dtype
    for number in numbers:
        random = np.random.RandomState(number)
        images = nd.array(random.rand(6, 1, 5, 5), dtype=dtype)
        labels = nd.array(random.randint(0, 3, 6), dtype=dtype)
        slices = zip(*(gluon.utils.split_and_load(each, ctx) for each in (images, labels)))
        with autograd.record():
            losses = [LOSS(net(x), y) for x, y in slices]
        for loss in losses:
            loss.backward()
        trainer.step(6)


def weights(net, device=None, trained_only=False):
    return {
        name: p.data(device or p.list_ctx()[0])
        for name, p in net._collect_params_with_prefix().items()
        if p.grad_req != "null" or not trained_only
    }


def through_files(folder, net, trainer, into_net, into_trainer):
    """Write a checkpoint of one pair, and read it into another, as a run does."""
    arrays, description = get_state(trainer)
    state = {"epoch": 0, "batch": 3, "optimizer": description}
    stored = read_checkpoint(
        write_checkpoint(folder, Checkpoint({"weights": weights(net), "optimizer": arrays}, state))
    )
    nd.waitall()  # as the run does
    for name, p in into_net._collect_params_with_prefix().items():
        p.set_data(stored.arrays["weights"][name])
    set_state(into_trainer, stored.arrays.get("optimizer", {}), stored.state["optimizer"])


def assert_resumes_exactly(folder, optimizer, settings, ctx=None, dtype="float32", before=3):
    """Compare six steps with six steps interrupted after `before` by storing and reading. Return the weights."""
    ctx = ctx or [mx.cpu()]
    whole = new_net(ctx, dtype)
    whole_trainer = new_trainer(whole, optimizer, settings)
    steps(whole, whole_trainer, ctx, range(6))

    first = new_net(ctx, dtype)
    first_trainer = new_trainer(first, optimizer, settings)
    steps(first, first_trainer, ctx, range(before))
    second = new_net(ctx, dtype)
    second_trainer = new_trainer(second, optimizer, settings)
    through_files(folder, first, first_trainer, second, second_trainer)
    steps(first, first_trainer, ctx, range(100, 103))  # the first one's state has changed since
    steps(second, second_trainer, ctx, range(before, 6))
    for device in ctx:
        # devices differ in running statistics, and the checkpoint has the first one's
        wanted, found = (weights(each, device, trained_only=device != ctx[0]) for each in (whole, second))
        assert [name for name in wanted if wanted[name].asnumpy().tobytes() != found[name].asnumpy().tobytes()] == []
    assert second_trainer.optimizer.num_update == 6
    return weights(second)


@pytest.mark.parametrize("optimizer, settings", SETTINGS, ids=lambda value: value if isinstance(value, str) else "")
def test_three_steps_and_three_more_are_six(tmp_path, optimizer, settings):
    assert_resumes_exactly(tmp_path, optimizer, settings)


def test_without_the_state_the_weights_differ(tmp_path):
    # the test above can fail: momentum, Adam's counts and Nadam's schedule matter
    for optimizer in ("sgd", "adam", "nadam"):
        settings = {"learning_rate": 0.01, **({"momentum": 0.9} if optimizer == "sgd" else {})}
        resumed = assert_resumes_exactly(tmp_path, optimizer, settings)
        net = new_net([mx.cpu()])
        steps(net, new_trainer(net, optimizer, settings), [mx.cpu()], range(3))
        steps(net, new_trainer(net, optimizer, settings), [mx.cpu()], range(3, 6))
        assert any((resumed[name] != array).sum().asscalar() for name, array in weights(net).items())


@pytest.mark.parametrize("optimizer", ["sgd", "nag", "adam"])
def test_half_precision_with_a_single_precision_copy(optimizer):
    # no network: MXNet multiplies no float16 matrices on a CPU
    settings = {"learning_rate": 0.01, "multi_precision": True, **({} if optimizer == "adam" else {"momentum": 0.9})}

    def new():
        p = gluon.Parameter("p_weight", shape=(7,), dtype="float16", init="ones")
        p.initialize()
        return p, new_trainer({"p": p}, optimizer, settings)

    def step(p, trainer, number):
        with autograd.record():
            loss = (p.data() * nd.array(np.random.RandomState(number).randn(7), dtype="float16")).sum()
        loss.backward()
        trainer.step(1)

    whole, first, second = new(), new(), new()
    for number in range(6):
        step(*whole, number)
        if number < 3:
            step(*first, number)
            continue
        if number == 3:
            second[0].set_data(first[0].data())
            set_state(second[1], *get_state(first[1]))
        step(*second, number)
    assert whole[0].data().dtype == np.float16
    assert whole[0].data().asnumpy().tobytes() == second[0].data().asnumpy().tobytes()
    for mine, other in zip(get_state(whole[1])[0].values(), get_state(second[1])[0].values()):
        assert mine.dtype == np.float32
        assert mine.asnumpy().tobytes() == other.asnumpy().tobytes()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lamb"])
def test_on_two_devices(tmp_path, optimizer):
    settings = {"learning_rate": 0.01, **({"momentum": 0.9} if optimizer == "sgd" else {})}
    assert_resumes_exactly(tmp_path, optimizer, settings, ctx=[mx.cpu(0), mx.cpu(1)])


def test_from_one_device_to_two_and_back(tmp_path):
    one, two = [mx.cpu(0)], [mx.cpu(0), mx.cpu(1)]
    for source, target in ((one, two), (two, one)):
        net, other = new_net(source), new_net(target)
        trainer, other_trainer = (new_trainer(each, "adam", {}) for each in (net, other))
        steps(net, trainer, source, range(2))
        through_files(tmp_path / str(len(source)), net, trainer, other, other_trainer)
        wanted, description = get_state(trainer)
        for updater in other_trainer._updaters:
            for index, (mean, variance) in updater.states.items():
                assert mean.context == variance.context == target[other_trainer._updaters.index(updater)]
                assert (mean.asnumpy() == trainer._updaters[0].states[index][0].asnumpy()).all()
                assert (variance.asnumpy() == trainer._updaters[0].states[index][1].asnumpy()).all()
        assert wanted
        assert get_state(other_trainer)[1] == description


def test_before_the_first_step_there_is_no_array(tmp_path):
    net = new_net([mx.cpu()])
    arrays, description = get_state(new_trainer(net, "adam", {}))
    assert arrays == {}
    assert json.loads(json.dumps(description)) == description
    for optimizer, settings in SETTINGS[1:4]:
        assert_resumes_exactly(tmp_path, optimizer, settings, before=0)


def test_arrays_are_named_by_place_and_part():
    net = new_net([mx.cpu()])
    trainer = new_trainer(net, "adam", {})
    steps(net, trainer, [mx.cpu()], range(1))
    arrays, description = get_state(trainer)
    trained = [place for place, (name, _) in enumerate(description["parameters"]) if "running" not in name]
    assert sorted(arrays) == sorted(f"{place}/{part}" for place in trained for part in (0, 1))
    assert description["states"] == [place in trained for place in range(9)]


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_learning_rate_continues(tmp_path, name):
    def new(net):
        return new_trainer(net, "sgd", {"learning_rate": 0.3, "lr_scheduler": SCHEDULES[name]()})

    ctx = [mx.cpu()]
    whole = new_net(ctx)
    whole_trainer = new(whole)
    rates, resumed = [whole_trainer.learning_rate], {}
    for number in range(20):
        # update 18 is beyond the end of poly and cosine, where a new schedule would start again
        if number in (0, 2, 4, 9, 15, 18):
            net = new_net(ctx)
            resumed[number] = net, new(net)
            through_files(tmp_path, whole, whole_trainer, *resumed[number])
        steps(whole, whole_trainer, ctx, [number])
        rates.append(whole_trainer.learning_rate)
    assert len(set(rates)) > 5
    for number, (net, trainer) in resumed.items():
        found = [trainer.learning_rate]
        for later in range(number, number + 2):
            steps(net, trainer, ctx, [later])
            found.append(trainer.learning_rate)
        assert found == rates[number : number + 3]


def test_the_order_does_not_depend_on_the_networks_built_before(tmp_path):
    # MXNet counts layers in the process and sorts names as text: dense10 comes before dense9
    def build(first):
        net = nn.HybridSequential(prefix="net_")
        for number in range(first, first + 3):
            net.add(nn.Dense(4, in_units=4, prefix=f"dense{number}_"))
        net.initialize(mx.init.Xavier())
        return net

    def step(net, trainer):
        with autograd.record():
            loss = net(nd.arange(8).reshape((2, 4))).sum()
        loss.backward()
        trainer.step(2)

    source, target = build(8), build(18)
    trainer, other = (new_trainer(net, "sgd", {"learning_rate": 0.01, "momentum": 0.9}) for net in (source, target))
    step(source, trainer)
    through_files(tmp_path, source, trainer, target, other)
    assert trainer._param2idx["dense10_weight"] < trainer._param2idx["dense9_weight"]
    step(source, trainer)
    step(target, other)
    for name, array in weights(source).items():
        assert (array.asnumpy() == weights(target)[name].asnumpy()).all(), name


def test_a_state_that_does_not_fit_is_named_and_changes_nothing():
    net = new_net([mx.cpu()])
    trainer = new_trainer(net, "sgd", {"momentum": 0.9})
    steps(net, trainer, [mx.cpu()], range(1))
    arrays, description = get_state(trainer)

    def refused(message, optimizer="sgd", settings=None, net=None, arrays=arrays):
        other = new_trainer(net or new_net([mx.cpu()]), optimizer, {"momentum": 0.9} if settings is None else settings)
        with pytest.raises(ValueError, match=message):
            set_state(other, arrays, description)
        assert other._updaters[0].states == {}
        assert other.optimizer.num_update == 0

    refused("is of the optimizer SGD, not Adam", optimizer="adam", settings={})
    refused("float32 .* where the optimizer keeps no array: .* another momentum", settings={"momentum": 0})
    larger = nn.HybridSequential()
    larger.add(nn.Dense(3))
    larger.initialize()
    larger(nd.zeros((1, 25)))
    refused("of 9 parameters, but the Trainer has 2", net=larger)
    other = nn.HybridSequential()
    other.add(nn.Conv2D(4, 3, use_bias=False), nn.BatchNorm(), nn.Dense(8), nn.Dense(4))
    other.initialize()
    other(nd.zeros((1, 1, 5, 5)))
    refused(r"is of dense#_bias \[3\], where the Trainer has dense#_bias \[4\]", net=other)
    refused("has no array at", arrays={name: array for name, array in list(arrays.items())[1:]})


def test_a_trainer_that_hides_its_state_is_refused():
    net = new_net([mx.cpu(0), mx.cpu(1)])
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"momentum": 0.9}, update_on_kvstore=True)
    with pytest.raises(ValueError, match="make it with update_on_kvstore=False"):
        get_state(trainer)


class Hiding(mx.optimizer.SGD):
    """An optimizer of the user's own, which may keep more state than its base class."""


@pytest.mark.parametrize("optimizer", ["lbsgd", "lars", "ftml", Hiding()])
def test_an_optimizer_that_may_keep_state_elsewhere_is_refused(optimizer):
    net = new_net([mx.cpu()])
    trainer = new_trainer(net, optimizer, {})
    name = type(trainer.optimizer).__name__
    with pytest.raises(ValueError, match=f"optimizer {name} cannot be stored.*SGD, NAG, Adam, "):
        get_state(trainer)
    with pytest.raises(ValueError, match=f"optimizer {name} cannot be stored"):
        set_state(trainer, {}, {"optimizer": name})


def test_the_optimizers_of_the_command_line_can_be_stored():
    for optimizer in OPTIMIZERS:
        assert get_state(new_trainer(new_net([mx.cpu()]), optimizer, {}))[0] == {}
