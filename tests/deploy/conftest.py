from gluon_classics.data import ImageTransform
from gluon_classics.deploy import Trained, export
from gluon_classics.deploy.archive import pack
from gluon_classics.models import get_model

import mxnet as mx
import pytest
from mxnet import nd

import serving


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
