"""The loop: the tutorial's lines, every image counted, equal weights on one device and on two."""

import contextlib
import re

from gluon_classics.data import DataLoader, ImageDataset, ImageTransform, load_dataset
from gluon_classics.models import get_model
from gluon_classics.training import (
    Callback,
    History,
    Log,
    NonFiniteLoss,
    Progress,
    Step,
    StopTraining,
    evaluate_accuracy,
    train,
)
from gluon_classics.training.batches import device_batches
from gluon_classics.training.randomness import draws_random_numbers

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

LOSS = gluon.loss.SoftmaxCrossEntropyLoss()
SILENT = Log(log=str)
EPOCH_LINE = r"Epoch \d+\. Loss: \d+\.\d{3}, Train acc \d\.\d\d, Test acc \d\.\d\d, Time \d+\.\d sec"


def lenet(ctx=None, dtype="float32", like=None):
    """Return LeNet on the device(s), with the weights of the network `like` if it is given."""
    mx.random.seed(0)
    net = get_model("lenet")
    net.cast(dtype)
    net.initialize(mx.init.Xavier(), ctx=ctx or mx.cpu())
    for device in ctx if isinstance(ctx, list) else [ctx or mx.cpu()]:
        net(nd.zeros((1, 1, 28, 28), ctx=device, dtype=dtype))
    if like is not None:
        for mine, other in zip(net.collect_params().values(), like.collect_params().values()):
            mine.set_data(other.data(other.list_ctx()[0]))
    return net


def sgd(net, lr=0.05, **kwargs):
    return gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": lr, **kwargs})


def batches(count, size, dtype="float32"):
    train_set, _ = load_dataset("fashion-mnist-sample")
    x = train_set.images[: count * size].transpose(0, 3, 1, 2).astype(dtype) / 255
    y = train_set.labels[: count * size].astype(dtype)
    return [
        (nd.array(x[i : i + size], dtype=dtype), nd.array(y[i : i + size], dtype=dtype))
        for i in range(0, count * size, size)
    ]


def weights(net):
    return [p.data(p.list_ctx()[0]).asnumpy() for p in net.collect_params().values()]


def sample_loaders(train_images=512, test_images=300, batch_size=64, resize=None):
    train_set, test_set = load_dataset("fashion-mnist-sample")
    transform = ImageTransform(resize)
    return (
        DataLoader(train_set.take(train_images), batch_size, True, transform),
        DataLoader(test_set.take(test_images), batch_size, False, transform),
    )


def test_prints_the_tutorials_lines(capsys):
    net = lenet()
    train(*sample_loaders(), net, LOSS, sgd(net), mx.cpu(), num_epochs=2, print_batches=4)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Start training on cpu(0)"
    # 8 batches of 64 an epoch; as in the tutorial, the number printed counts examples
    assert [re.match(r"Batch (\d+)\. Loss: \d+\.\d{6}, Train acc \d\.\d{6}$", lines[i])[1] for i in (1, 2, 4, 5)] == [
        "256",
        "512",
    ] * 2
    assert re.fullmatch(EPOCH_LINE, lines[3])
    assert lines[3].startswith("Epoch 0.")
    assert lines[6].startswith("Epoch 1.")


def test_equals_the_plain_loop_written_out():
    data = batches(6, 32)
    reference = lenet()
    net = lenet(like=reference)
    trainer = sgd(reference, 0.1, momentum=0.9)
    losses, right = [], 0
    for x, y in data:
        with autograd.record():
            out = reference(x)
            loss = LOSS(out, y)
        loss.backward()
        trainer.step(32)
        losses.append(loss.asnumpy())
        right += (out.asnumpy().argmax(1) == y.asnumpy()).sum()
    history = History()
    train(data, data, net, LOSS, sgd(net, 0.1, momentum=0.9), mx.cpu(), 1, callbacks=[SILENT, history])
    for mine, other in zip(weights(net), weights(reference)):
        assert (mine == other).all()
    (record,) = history.records
    assert record.train_loss == pytest.approx(np.mean(losses), rel=1e-6)
    assert record.train_acc == right / (6 * 32)


@pytest.mark.parametrize("dtype, steps, tolerance", [("float64", 50, 1e-12), ("float32", 5, 1e-6)])
def test_two_devices_and_one_give_equal_weights(dtype, steps, tolerance):
    # float32 is compared after few steps: rounding errors grow with each step
    data = batches(steps, 16, dtype)
    two = [mx.cpu(0), mx.cpu(1)]
    one_net = lenet(dtype=dtype)
    start = weights(one_net)
    two_net = lenet(two, dtype, like=one_net)
    train(data, data[:1], one_net, LOSS, sgd(one_net), mx.cpu(), 1, callbacks=[SILENT])
    train(data, data[:1], two_net, LOSS, sgd(two_net), two, 1, callbacks=[SILENT])
    for one, other, before in zip(weights(one_net), weights(two_net), start):
        assert np.abs(one - other).max() < tolerance
        assert np.abs(one - before).max() > 100 * tolerance  # the weights did change


@pytest.mark.parametrize("size", [1, 3])
def test_a_batch_that_does_not_divide_evenly_is_split_unevenly(size):
    data = batches(3, size, "float64")
    three = [mx.cpu(0), mx.cpu(1), mx.cpu(2)]
    two = three[:2]
    one_net = lenet(dtype="float64")
    two_net, three_net = lenet(two, "float64", like=one_net), lenet(three, "float64", like=one_net)
    train(data, data, one_net, LOSS, sgd(one_net), mx.cpu(), 1, callbacks=[SILENT])
    train(data, data, two_net, LOSS, sgd(two_net), two, 1, callbacks=[SILENT])
    train(data, data, three_net, LOSS, sgd(three_net), three, 1, callbacks=[SILENT])
    for one, second, third in zip(weights(one_net), weights(two_net), weights(three_net)):
        assert np.abs(one - second).max() < 1e-12
        assert np.abs(one - third).max() < 1e-12


def test_the_raw_batch_is_split_before_it_is_transformed():
    loader, _ = sample_loaders(batch_size=64, resize=56)
    seen = []
    plain = loader.transform
    loader.transform = lambda x, y: seen.append((x.shape, str(x.dtype), x.context)) or plain(x, y)
    images, labels = next(device_batches(loader, [mx.cpu(0), mx.cpu(1)]))
    assert [shape for shape, _, _ in seen] == [(32, 28, 28, 1)] * 2
    assert all("uint8" in dtype for _, dtype, _ in seen)
    assert [context for _, _, context in seen] == [mx.cpu(0), mx.cpu(1)]
    assert [x.shape for x in images] == [(32, 1, 56, 56)] * 2
    assert [y.context for y in labels] == [mx.cpu(0), mx.cpu(1)]


class Parrot(nn.HybridBlock):
    """Returns the image, which contains logits."""

    def hybrid_forward(self, F, x):
        return F.flatten(x)


def test_accuracy_is_over_every_image():
    # 10 examples of which the 7 first are right, in batches of 4: 4, 4 and 2
    labels = np.arange(10) % 10
    said = np.where(np.arange(10) < 7, labels, (labels + 1) % 10)
    images = (np.eye(10)[said] * 255).astype("uint8").reshape(10, 10, 1, 1)
    data = DataLoader(ImageDataset(images, labels, range(10), "parrot"), 4, False, ImageTransform())
    assert evaluate_accuracy(data, Parrot()) == 0.7
    assert evaluate_accuracy(data, Parrot(), [mx.cpu(0), mx.cpu(1), mx.cpu(2)]) == 0.7


def test_data_iterators_of_mxnet_are_reset_and_their_padding_is_not_counted():
    said = np.eye(10, dtype="float32")[[0, 1, 2, 3, 4, 5, 0]].reshape(7, 10, 1, 1)
    data = mx.io.NDArrayIter(said, np.arange(7, dtype="float32"), batch_size=4, last_batch_handle="pad")
    assert evaluate_accuracy(data, Parrot()) == pytest.approx(6 / 7)
    assert evaluate_accuracy(data, Parrot()) == pytest.approx(6 / 7)  # it would be exhausted unless it is reset


def test_trains_from_an_mxnet_data_iterator():
    x, y = batches(1, 256)[0]
    data = mx.io.NDArrayIter(x, y, batch_size=100)
    net, history = lenet(), History()
    train(data, data, net, LOSS, sgd(net), mx.cpu(), 2, callbacks=[SILENT, history])
    assert [r.epoch for r in history.records] == [0, 1]
    assert history.records[1].train_loss < history.records[0].train_loss


def test_trains_from_the_standard_data_loader():
    x, y = batches(1, 128)[0]
    data = gluon.data.DataLoader(gluon.data.ArrayDataset(x, y), 50, last_batch="keep")
    net, history = lenet(), History()
    train(data, data, net, LOSS, sgd(net), mx.cpu(), 1, callbacks=[SILENT, history])
    assert history.records[0].train_loss == pytest.approx(np.log(10), abs=0.3)


def test_nan_stops_with_epoch_and_batch():
    data = batches(12, 16)
    calls = []

    def loss(out, y):
        calls.append(1)
        return LOSS(out, y) * (np.nan if len(calls) == 6 else 1)

    net = lenet()
    with pytest.raises(NonFiniteLoss, match="the loss is nan in epoch 0, batch 6"):
        train(data, data, net, loss, sgd(net), mx.cpu(), 1, callbacks=[SILENT])


def test_an_epoch_without_a_batch_is_refused():
    net = lenet()
    with pytest.raises(ValueError, match="no whole batch"):
        train([], [], net, LOSS, sgd(net), mx.cpu(), 1, callbacks=[SILENT])


def test_hybridized_with_batch_norm_evaluates_the_weights_just_trained():
    # running statistics of a net hybridized with static_shape are written late
    def run(**hybridize):
        mx.random.seed(0)
        net = nn.HybridSequential()
        net.add(nn.Conv2D(8, 3), nn.BatchNorm(), nn.Activation("relu"), nn.GlobalAvgPool2D(), nn.Dense(10))
        net.initialize(mx.init.Xavier())
        if hybridize:
            net.hybridize(**hybridize)
        history = History()
        train(*sample_loaders(), net, LOSS, sgd(net, 0.1), mx.cpu(), 2, callbacks=[SILENT, history])
        return [(r.test_loss, r.test_acc) for r in history.records]

    for hybrid, plain in zip(run(static_alloc=True, static_shape=True), run()):
        assert hybrid == pytest.approx(plain, rel=1e-3)


def test_progress_bar_in_images(capsys):
    net = lenet()
    train_data, test_data = sample_loaders()
    bar = Log(data=train_data, bar=True)
    train(train_data, test_data, net, LOSS, sgd(net), mx.cpu(), 1, callbacks=[bar])
    captured = capsys.readouterr()
    assert "images/s" in captured.err
    assert re.search(EPOCH_LINE, captured.out)
    train(*sample_loaders(), net, LOSS, sgd(net), mx.cpu(), 1)  # off a terminal
    assert capsys.readouterr().err == ""


def test_a_network_that_returns_nan_has_the_accuracy_of_class_0():
    images = np.zeros((4, 10, 1, 1), "uint8")
    data = DataLoader(ImageDataset(images, np.arange(4), range(10), "dark"), 4, False, ImageTransform())
    net = nn.HybridLambda(lambda F, x: F.flatten(x) / 0)
    assert evaluate_accuracy(data, net) == 0.25


def test_ctx_is_a_device_or_a_list_of_them():
    with pytest.raises(ValueError, match="ctx is 'cpu'"):
        evaluate_accuracy([], Parrot(), "cpu")


class StopAt(Callback):
    def __init__(self, place):
        self.place = place

    def on_batch_end(self, progress, metrics):
        if (progress.epoch, progress.batch) == self.place:
            metrics.finish()
            raise StopTraining


class Remember(Callback):
    """Keeps the sums after batch 4 of each epoch."""

    def __init__(self):
        self.sums = {}

    def on_batch_end(self, progress, metrics):
        if progress.batch == 4:
            self.sums[progress.epoch] = dict(metrics.finish().sums)


def test_continues_from_a_place_in_an_epoch():
    # momentum lives in the trainer, which stays in this process; the place and the sums are what is tested
    data = batches(6, 32)

    def run(parts):
        net = lenet()
        trainer, history = sgd(net, 0.1, momentum=0.9), History()
        for start, stop in parts:
            callbacks = [SILENT, StopAt(stop), history]
            with contextlib.suppress(StopTraining):
                train(data, data, net, LOSS, trainer, mx.cpu(), 3, callbacks=callbacks, start=start)
        return weights(net), [
            (r.epoch, r.train_loss, r.train_acc, r.test_loss, r.gradient_norm) for r in history.records
        ]

    net, remember = lenet(), Remember()
    train(data, data, net, LOSS, sgd(net, 0.1, momentum=0.9), mx.cpu(), 3, callbacks=[SILENT, remember])
    whole, records = run([(None, None)])
    parts, partial = run([(None, (1, 4)), (Progress(1, 4, remember.sums[1]), None)])
    for one, other in zip(whole, parts):
        assert (one == other).all()
    assert partial == records


class Witness(Callback):
    """Writes down its calls; ends the training after epoch `last`."""

    def __init__(self, name, calls, last=None):
        self.name, self.calls, self.last = name, calls, last

    def on_batch_end(self, progress, metrics):
        self.calls.append((self.name, "batch", progress.epoch, progress.batch))

    @contextlib.contextmanager
    def evaluating(self):
        self.calls.append((self.name, "enter"))
        yield
        self.calls.append((self.name, "leave"))

    def on_evaluation_batch(self):
        self.calls.append((self.name, "evaluation batch"))

    def on_epoch_end(self, record):
        self.calls.append((self.name, "epoch", record.epoch))
        return record.epoch == self.last


def test_the_order_of_the_callbacks():
    data, net, calls = batches(2, 8), lenet(), []
    callbacks = [SILENT, Witness("a", calls, last=0), Witness("b", calls)]
    train(data, data[:1], net, LOSS, sgd(net), mx.cpu(), 5, callbacks=callbacks)
    assert calls == [
        ("a", "batch", 0, 1), ("b", "batch", 0, 1), ("a", "batch", 0, 2), ("b", "batch", 0, 2),
        ("b", "enter"), ("a", "enter"), ("a", "evaluation batch"), ("b", "evaluation batch"),
        ("a", "leave"), ("b", "leave"), ("a", "epoch", 0), ("b", "epoch", 0),
    ]  # fmt: skip


def test_the_validation_set_is_read_each_epoch_and_no_test_set(capsys):
    data, net, history = batches(4, 32), lenet(), History()
    sets = {"val": data[:2], "test": None}
    train(data, sets, net, LOSS, sgd(net), mx.cpu(), 1, callbacks=[history])
    (record,) = history.records
    assert record.val_acc == evaluate_accuracy(data[:2], net)
    assert record.test_acc is None and record.test_loss is None
    assert re.search(r"Train acc \d\.\d\d, Val acc \d\.\d\d, Time", capsys.readouterr().out)


def test_a_jump_of_the_gradient_is_warned_of():
    data, lines = batches(42, 8), []
    data[40] = (data[40][0] * 1000, data[40][1])  # its norm is measured
    net = lenet()
    train(data, None, net, LOSS, sgd(net, 1e-6), mx.cpu(), 1, callbacks=[Log(log=lines.append)])
    (warning,) = [line for line in lines if "WARNING" in line]
    assert "the gradient's norm jumped to" in warning
    assert "epoch 0, batch 41" in warning


def test_dropout_depends_only_on_seed_epoch_and_batch():
    data = batches(4, 16)

    def run(noise, seed):
        net = nn.HybridSequential()
        net.add(nn.Flatten(), nn.Dropout(0.5), nn.Dense(10))
        mx.random.seed(0)
        net.initialize(mx.init.Xavier())
        net(data[0][0])
        mx.random.seed(noise)
        trainer = sgd(net)
        step = Step(net, LOSS, trainer, seed=seed)
        train(data, None, net, LOSS, trainer, mx.cpu(), 2, step=step, callbacks=[SILENT])
        return weights(net)[0]

    assert (run(1, seed=5) == run(2, seed=5)).all()
    assert (run(1, seed=5) != run(1, seed=6)).any()
    assert (run(1, seed=None) != run(2, seed=None)).any()


def test_finds_random_operators_in_the_graph():
    known = {name: draws_random_numbers(get_model(name)) for name in ("lenet", "alexnet", "resnet18", "inception_v1")}
    assert known == {"lenet": False, "alexnet": True, "resnet18": False, "inception_v1": True}
    assert draws_random_numbers(get_model("inception_v1", aux=True))
    assert draws_random_numbers(get_model("efficientnet_b0"))  # stochastic depth is a random operator
