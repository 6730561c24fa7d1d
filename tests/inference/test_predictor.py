"""Probabilities of images."""

import json

from gluon_classics.data import ImageTransform
from gluon_classics.inference import Predictor
from gluon_classics.inference import predictor as module
from gluon_classics.models import get_model

import numpy as np
import pytest
from mxnet import nd


def noise(n, size=28, channels=1):
    return np.random.RandomState(n).randint(0, 256, (n, size, size, channels), dtype=np.uint8)


def softmax(logits):
    powers = np.exp(logits.astype("float64"))
    return powers / powers.sum(axis=1, keepdims=True)


def test_the_probabilities_are_the_networks(write_run, tmp_path):
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.25]
    run = write_run(
        tmp_path / "run", "lenet5", 36, 3, mean=mean, std=std, dataset="cifar10", net_args={"in_channels": 3}
    )
    predictor = Predictor.from_run(run)
    images = noise(70, 32, 3)  # more than two batches, the last one short
    probabilities = predictor(images)

    net = get_model("lenet5", num_classes=3, in_channels=3)
    net.load_parameters(str(run / "last.params"))
    inputs, _ = ImageTransform(36, mean, std)(nd.array(images, dtype="uint8"), nd.zeros(70))
    assert probabilities.shape == (70, 3) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, softmax(net(inputs).asnumpy()), rtol=1e-4, atol=1e-6)
    assert (predictor.classes, predictor.channels, predictor.image_size) == (("Katze", "дом", "b/c"), 3, (32, 32))


def test_no_images_and_images_of_a_wrong_shape_or_dtype(run):
    predictor = Predictor.from_run(run)
    assert predictor(noise(0)).shape == (0, 3)
    for wrong in (noise(2).astype("float32"), noise(2)[..., 0], noise(2, 28, 3), noise(1)[0]):
        with pytest.raises(ValueError, match=r"uint8 images \(N, H, W, 1\), not"):
            predictor(wrong)


def test_at_most_one_batch_is_on_the_device(run, monkeypatch):
    sizes = []
    forward = Predictor._batch
    monkeypatch.setattr(Predictor, "_batch", lambda self, images: sizes.append(len(images)) or forward(self, images))
    Predictor.from_run(run)(noise(100))
    assert sizes == [1, module.BATCH, module.BATCH, module.BATCH, 100 - 3 * module.BATCH]


def test_auxiliary_heads_are_ignored(write_run, tmp_path):
    run = write_run(tmp_path / "run", "inception_v1", 79, 1, net_args={"aux": True}, dataset="mnist")
    assert Predictor.from_run(run)(noise(2)).shape == (2, 3)


def test_weights_with_a_nan(run):
    net = get_model("lenet", num_classes=3, in_channels=1)
    net.load_parameters(str(run / "last.params"))
    net[-1].bias.set_data(nd.array([0, np.nan, 0]))
    net.save_parameters(str(run / "last.params"))
    with pytest.raises(ValueError, match=r"run/last.params: the network's output is not finite"):
        Predictor.from_run(run)


def test_a_size_that_does_not_fit_the_network(run):
    config = json.loads((run / "config.json").read_text())
    for size, words in ((56, "do not fit images of this size"), (8, "LeNet takes images of 12x12")):
        (run / "config.json").write_text(json.dumps({**config, "resize": size}))
        with pytest.raises(ValueError, match=words):
            Predictor.from_run(run)
