"""ONNX models are equal to Gluon in onnxruntime, and have the names and shapes that other tools expect."""

import sys

from gluon_classics.data import ImageTransform
from gluon_classics.deploy import Trained, export, export_run
from gluon_classics.models import get_model, list_models

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon, nd

from seeded_weights import fill

pytestmark = pytest.mark.thorough

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

QUICK = (
    "lenet",
    "alexnet",
    "alexnet_owt",
    "nin",
    "googlenet",
    "resnet",
    "inception_v1_bn",
    "xception",
    "coil20_efficientnet",
)


def answer(path, images):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"data": images})[0]


def exported(net, folder, size, channels=1, **options):
    trained = Trained("net", net, tuple("abcde"), channels, (size, size), ImageTransform(size), {})
    return export(trained, folder, onnx=True, **options)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in list_models()]
)
def test_every_network_is_equal_to_gluon(name, tmp_path):
    net = get_model(name, num_classes=5, in_channels=1)
    size = max(net.smallest_size, 40)
    net.infer_shape(nd.zeros((1, 1, size, size)))
    net.initialize()
    fill(net)
    artifact = exported(net, tmp_path / "out", size)
    images = np.random.RandomState(1).random_sample((3, 1, size, size)).astype("float32")
    logits = net(nd.array(images)).asnumpy()
    difference = np.abs(answer(artifact.path / "net.onnx", images) - logits).max()
    assert difference <= 1e-5 * np.abs(logits).max()
    assert np.ptp(logits, axis=0).max() > 1e-5 * np.abs(logits).max()  # the images make a difference


@pytest.mark.parametrize("size", [7, 14, 9, 3])
def test_adaptive_pooling(size, tmp_path):
    """Adaptive pooling to 7x5; torchvision's AlexNet and VGG have 6x6 and 7x7 before their dense layers."""
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(2, 1, in_channels=1), gluon.nn.HybridLambda(pool), gluon.nn.Dense(5))
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, size, size)))
    artifact = exported(net, tmp_path / "out", size)
    ours = answer(artifact.path / "net.onnx", artifact.test_input)
    np.testing.assert_allclose(ours, artifact.test_logits, rtol=1e-4, atol=1e-6)


def pool(F, x):
    return F.contrib.AdaptiveAvgPooling2D(x, output_size=(7, 5))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    net = get_model("inception_v1_bn", num_classes=5, in_channels=1)
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, 64, 64)))
    return exported(net, tmp_path_factory.mktemp("onnx") / "out", 64)


def test_format_opset_names_and_the_batch_dimension(model):
    read = onnx.load(str(model.path / "net.onnx"))
    assert [(each.domain, each.version) for each in read.opset_import] == [("", 13)]
    assert read.ir_version == 7
    (data,), (logits,) = read.graph.input, read.graph.output  # weights are not inputs
    assert (data.name, logits.name) == ("data", "logits")
    shapes = [[d.dim_param or d.dim_value for d in each.type.tensor_type.shape.dim] for each in (data, logits)]
    assert shapes == [["N", 1, 64, 64], ["N", 5]]
    assert len(read.graph.initializer) > 100


@pytest.mark.parametrize("n", [1, 7])
def test_any_batch(model, n):
    images = np.random.RandomState(0).random_sample((n, 1, 64, 64)).astype("float32")
    together = answer(model.path / "net.onnx", images)
    one_by_one = [answer(model.path / "net.onnx", images[i : i + 1]) for i in range(n)]
    np.testing.assert_allclose(together, np.concatenate(one_by_one), rtol=1e-4, atol=1e-6)


def test_batch_norm_without_a_scale(tmp_path):
    """MXNet takes 1 for gamma and ignores what is stored."""
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(4, 3, in_channels=1), gluon.nn.BatchNorm(scale=False), gluon.nn.Dense(5))
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, 8, 8)))
    net[1].gamma.set_data(nd.array([2, 3, 4, 5]))
    artifact = exported(net, tmp_path / "out", 8)
    np.testing.assert_allclose(answer(artifact.path / "net.onnx", artifact.test_input), artifact.test_logits, rtol=1e-5)


def test_takes_raw_pictures(write_run, tmp_path):
    run = write_run(tmp_path / "run", "lenet5", 36, 3, mean=[0.4] * 3, std=[0.2] * 3, dataset="cifar10")
    artifact = export_run(run, tmp_path / "out", preprocess=True, onnx=True)
    assert artifact.test_input.dtype == np.uint8 and artifact.test_input.shape == (2, 32, 32, 3)
    ours = answer(artifact.path / "lenet5.onnx", artifact.test_input)
    np.testing.assert_allclose(ours, artifact.test_logits, rtol=1e-4, atol=1e-5)


def test_says_what_to_install(write_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx.mapping", None)
    with pytest.raises(ValueError, match=r"--onnx needs .*: pip install 'onnx>="):
        export_run(write_run(tmp_path / "run"), tmp_path / "out", onnx=True)
    assert not (tmp_path / "out").exists()


def test_another_answer_is_refused(write_run, tmp_path, monkeypatch):
    from gluon_classics.deploy import exporting

    monkeypatch.setattr(exporting, "onnx_logits", lambda path, images: np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="onnxruntime's logits differ by"):
        export_run(write_run(tmp_path / "run"), tmp_path / "out", onnx=True)
    assert not (tmp_path / "out").exists()
