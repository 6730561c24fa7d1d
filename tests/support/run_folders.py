"""Make run folders like those of do_exp.py, with random weights."""

import json

from gluon_classics.models import get_model

import mxnet as mx
from mxnet import nd

NAMES = ["Katze", "дом", "b/c"]


def write_run(path, net="lenet", size=28, channels=1, classes=NAMES, **config):
    path.mkdir()
    net_args = {"num_classes": len(classes), "in_channels": channels, **config.pop("net_args", {})}
    mx.random.seed(0)
    network = get_model(net, **net_args)
    network.initialize(mx.init.Xavier())
    network(nd.zeros((1, channels, size, size)))
    network.save_parameters(str(path / "last.params"))
    settings = {"net": net, "net_args": net_args, "resize": size, "mean": None, "std": None, "classes": classes}
    settings.update({"dataset": "fashion-mnist", "image_size": None, "val_fraction": 0.0, **config})
    (path / "config.json").write_text(json.dumps(settings))
    (path / "result.json").write_text('{"weights": "last.params"}')
    return path
