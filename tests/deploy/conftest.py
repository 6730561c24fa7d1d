from gluon_classics.data import ImageTransform
from gluon_classics.deploy import Trained, export
from gluon_classics.deploy.archive import pack
from gluon_classics.models import get_model

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd
from PIL import Image

import run_folders
import serving


@pytest.fixture
def write_run():
    """Write a run folder of a network with random weights, as do_exp.py would leave it."""
    return run_folders.write_run


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


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    mx.random.seed(0)
    net = get_model("lenet", num_classes=3, in_channels=1)
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, 28, 28)))
    trained = Trained("lenet", net, serving.NAMES, 1, (28, 28), ImageTransform(28), {})
    return export(trained, tmp_path_factory.mktemp("serving") / "artifact", preprocess=True)


@pytest.fixture(scope="module")
def archive(artifact, tmp_path_factory):
    return pack(artifact, tmp_path_factory.mktemp("archive"))
