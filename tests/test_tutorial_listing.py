"""The tutorial's own listing, unchanged, against this project."""

import utils
from gluon_classics import data

LISTING = """
import utils
from gluon_classics.models import ResNet
from mxnet import gluon, init

def do_exp():
    ctx = utils.try_gpu()
    train_data, test_data = utils.load_data_fashion_mnist(batch_size=64, resize=96)
    net = ResNet(10)
    net.initialize(ctx=ctx, init=init.Xavier())
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.01})
    utils.train(train_data, test_data, net, loss, trainer, ctx, num_epochs=1)

do_exp()
"""


def test_runs_unchanged(monkeypatch, capsys):
    def little(name, root=None):
        train, test = data.load_dataset("fashion-mnist-sample")
        return train.take(128), test.take(64)

    monkeypatch.setattr("gluon_classics.data.tutorial.load_dataset", little)
    exec(LISTING, {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Start training on")
    assert lines[1].startswith("Epoch 0. Loss: ")


def test_the_tutorials_names_are_in_utils():
    for name in ("DataLoader", "load_data_fashion_mnist", "try_gpu", "try_all_gpus", "evaluate_accuracy", "train"):
        assert callable(getattr(utils, name))
