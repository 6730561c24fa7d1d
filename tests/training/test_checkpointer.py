"""When checkpoints are written, and that a training continues from one exactly, on several devices too."""

import gc
from types import SimpleNamespace

from gluon_classics.devices import hybridize
from gluon_classics.training import Callback, Checkpointer, Log, RunFolder, Step, StopTraining, WeightAverage, train
from gluon_classics.training.metrics import Metrics

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon, nd
from mxnet.gluon import nn

LOSS = gluon.loss.SoftmaxCrossEntropyLoss()
TWO = [mx.cpu(0), mx.cpu(1)]


def batches(count=4, size=10):
    random = np.random.RandomState(0)
    x = random.randn(count, size, 1, 6, 6).astype("float32")
    return [(nd.array(a), nd.array(random.randint(0, 10, size))) for a in x]


class StopAt(Callback):
    """Asks the run to stop, as a signal does, after a batch."""

    def __init__(self, stop, place):
        self.stop, self.place = stop, place

    def on_batch_end(self, progress, metrics):
        if (progress.epoch, progress.batch) == self.place:
            self.stop.signal = 15


class Training:
    """A network with batch norm and dropout, and all that is in its checkpoints."""

    def __init__(self, folder, ctx, resume=False, batches=None, minutes=1e9, dtype="float32"):
        mx.random.seed(3)
        self.ctx = ctx
        self.net = nn.HybridSequential()
        self.net.add(nn.Conv2D(4, 3), nn.BatchNorm(), nn.Activation("relu"), nn.Dropout(0.5), nn.Dense(10))
        self.net.initialize(mx.init.Xavier(), ctx=ctx)
        for each in ctx:
            self.net(nd.zeros((1, 1, 6, 6), ctx=each))
        hybridize(self.net, ctx)
        settings = {"learning_rate": 0.1, "momentum": 0.9}
        trainer = gluon.Trainer(self.net.collect_params(), "sgd", settings, update_on_kvstore=False)
        self.step = Step(self.net, LOSS, trainer, dtype=dtype, seed=1)
        self.average = WeightAverage(self.net, 0.9)
        self.run = RunFolder(folder, resume)
        self.stop = SimpleNamespace(signal=None)
        self.checkpointer = Checkpointer(self.run, self.step, self.average, self.stop, batches, minutes)

    def train(self, data, epochs=3, start=None, stop_at=None):
        average = self.average or Callback()
        callbacks = [Log(log=str), average, StopAt(self.stop, stop_at), self.checkpointer]
        train(data, data[:1], self.net, LOSS, self.step.trainer, self.ctx, epochs, None, self.step, callbacks, start)
        nd.waitall()

    def state(self):
        """Every number on every device."""
        parameters = self.net._collect_params_with_prefix()
        numbers = {(name, str(d)): p.data(d).asnumpy().tobytes() for name, p in parameters.items() for d in self.ctx}
        average = {name: array.asnumpy().tobytes() for name, array in self.average.arrays().items()}
        return numbers, average, [(r.train_loss, r.test_loss, r.gradient_norm) for r in self.run.records]

    def names(self):
        return sorted(path.name for path in self.run.checkpoints.iterdir())


@pytest.mark.parametrize("ctx", [[mx.cpu()], TWO])
@pytest.mark.parametrize("stop_at", [(1, 2), (0, 1), (2, 4)])
def test_continues_bit_for_bit_on_one_device_and_on_two(ctx, stop_at, tmp_path):
    whole = Training(tmp_path / "whole", ctx)
    whole.train(batches())
    first = Training(tmp_path / "parts", ctx)
    with pytest.raises(StopTraining):
        first.train(batches(), stop_at=stop_at)
    del first  # releases its lock
    second = Training(tmp_path / "parts", ctx, resume=True)
    start = second.checkpointer.restore()
    assert (start.epoch, start.batch) == stop_at
    second.train(batches(), start=start)
    assert second.state() == whole.state()
    if ctx == TWO:  # each device's batch norm has seen other images
        statistics = [p for p in second.net.collect_params().values() if p.grad_req == "null"]
        assert any((p.data(TWO[0]).asnumpy() != p.data(TWO[1]).asnumpy()).any() for p in statistics)


def test_every_few_batches_and_after_each_epoch(tmp_path, monkeypatch):
    training = Training(tmp_path / "run", [mx.cpu()], batches=2)
    written = []
    monkeypatch.setattr(
        training.checkpointer, "write", lambda progress: written.append((progress.epoch, progress.batch))
    )
    training.train(batches(5), epochs=2)
    assert written == [(0, 2), (0, 4), (1, 0), (1, 2), (1, 4), (2, 0)]


def test_every_few_minutes(tmp_path, monkeypatch):
    training = Training(tmp_path / "run", [mx.cpu()], minutes=2)
    now = iter(range(0, 100_000, 50))  # a batch takes 50 seconds
    monkeypatch.setattr("gluon_classics.training.checkpointer.monotonic", lambda: next(now))
    training.checkpointer._written = 0
    training.train(batches(6), epochs=1)
    assert "epoch-0000-batch-000004" in training.names()  # the first moment after 120 seconds


def with_losses(training, losses):
    """Give the epochs these losses, which decide the best one."""
    enter, losses = training.run.enter, iter(losses)

    def enter_with_loss(record):
        object.__setattr__(record, "train_loss", next(losses))
        enter(record)

    training.run.enter = enter_with_loss
    return training


def test_the_last_two_and_the_best_are_kept(tmp_path):
    training = with_losses(Training(tmp_path / "run", [mx.cpu()]), [3.0, 1.0, 2.0, 2.5, 2.6])
    training.train(batches(), epochs=5)
    assert training.names() == ["epoch-0002-batch-000000", "epoch-0004-batch-000000", "epoch-0005-batch-000000"]


def weights(file):
    return {name: array.asnumpy().tobytes() for name, array in nd.load(str(file)).items()}


@pytest.mark.parametrize("ctx", [[mx.cpu()], TWO])
def test_a_resumed_run_has_the_weights_files_of_its_checkpoint(ctx, tmp_path):
    training = with_losses(Training(tmp_path / "run", ctx), [3.0, 1.0, 2.0])
    training.train(batches())
    files = [training.run.path / f"{name}.params" for name in ("best", "last")]
    good = [weights(file) for file in files]
    assert good[0] != good[1]
    del training
    gc.collect()  # frees the run in enter_with_loss, and its lock
    files[0].write_bytes(files[1].read_bytes())  # as left by an epoch whose checkpoint was not written
    files[1].unlink()  # not written yet
    Training(tmp_path / "run", ctx, resume=True).checkpointer.restore()
    assert [weights(file) for file in files] == good


def test_a_stop_during_the_evaluation_keeps_the_epochs_batches(tmp_path, monkeypatch):
    whole = Training(tmp_path / "whole", [mx.cpu()])
    whole.train(batches())
    finish = Metrics.finish  # the evaluation begins after the training's
    for again in (False, True):  # the second time, no batch is trained before it
        part = Training(tmp_path / "parts", [mx.cpu()], resume=again)
        start = part.checkpointer.restore() if again else None
        stop = part.stop
        monkeypatch.setattr(Metrics, "finish", lambda metrics: setattr(stop, "signal", 15) or finish(metrics))  # noqa: B023
        with pytest.raises(StopTraining):
            part.train(batches(), start=start)
        monkeypatch.undo()
        assert part.names() == ["epoch-0000-batch-000004"]
        del part
        gc.collect()  # frees the run, and its lock
    last = Training(tmp_path / "parts", [mx.cpu()], resume=True)
    last.train(batches(), start=last.checkpointer.restore())
    assert last.state() == whole.state()


def test_another_network_is_refused_before_anything_is_written(tmp_path):
    Training(tmp_path / "run", [mx.cpu()]).train(batches(), epochs=1)
    other = Training(tmp_path / "run", [mx.cpu()], resume=True)
    other.net.add(nn.Dense(3, in_units=10))
    other.net[-1].initialize()
    before = {path: path.read_bytes() for path in other.run.path.iterdir() if path.is_file()}
    with pytest.raises(ValueError, match=r"5.bias is missing, here \(3,\)"):
        other.checkpointer.restore()
    assert before == {path: path.read_bytes() for path in other.run.path.iterdir() if path.is_file()}


def test_an_average_that_begins_later_begins_from_the_weights(tmp_path):
    first = Training(tmp_path / "run", [mx.cpu()])
    first.average = first.checkpointer.average = None
    first.train(batches(), epochs=1)
    trained = weights(first.run.path / "last.params")
    del first
    second = Training(tmp_path / "run", [mx.cpu()], resume=True)
    second.checkpointer.restore()
    assert second.average.updates == 0
    assert {name: array.asnumpy().tobytes() for name, array in second.average.arrays().items()} == trained


def test_a_loss_that_is_not_finite_is_never_written_to_a_checkpoint(tmp_path):
    training = Training(tmp_path / "run", [mx.cpu()], batches=1)
    data = batches(4)
    data[2] = (data[2][0] * np.nan, data[2][1])
    # batch norm and ReLU hide the NaN from the loss, but not from the weights
    with pytest.raises(ArithmeticError, match="is not finite: no checkpoint is written, after epoch 0, batch 3"):
        training.train(data)
    assert training.names() == ["epoch-0000-batch-000001", "epoch-0000-batch-000002"]


def test_the_loss_scaling_continues(tmp_path):
    # its factor starts at 65536 and doubles after 2000 good steps
    training = Training(tmp_path / "run", [mx.cpu()], dtype="float16")
    training.step.scaling.set_state({"factor": 512.0, "good_steps": 1997})
    training.train(batches(4), epochs=1)
    del training
    again = Training(tmp_path / "run", [mx.cpu()], resume=True, dtype="float16")
    again.checkpointer.restore()
    assert again.step.scaling.state() == {"factor": 1024.0, "good_steps": 1}
