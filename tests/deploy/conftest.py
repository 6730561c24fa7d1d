import json

from gluon_classics.models import get_model

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd
from PIL import Image

NAMES = ["Katze", "дом", "b/c"]


@pytest.fixture
def write_run():
    """Write a run folder of a network with random weights, as do_exp.py would leave it."""

    def write(path, net="lenet", size=28, channels=1, classes=NAMES, **config):
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

    return write


@pytest.fixture
def run(write_run, tmp_path):
    return write_run(tmp_path / "run")


@pytest.fixture
def picture():
    """Write a picture of noise, its own for each seed."""

    def write(path, seed=0, size=(28, 28)):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.RandomState(seed).randint(0, 256, size, dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return write
