"""Changed artifacts are refused, with the name of the file."""

import hashlib
import json
import shutil

from gluon_classics.deploy import export_run
from gluon_classics.inference import DamagedArtifact, Predictor, read_artifact

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    from gluon_classics.data import ImageTransform
    from gluon_classics.deploy import Trained, export
    from gluon_classics.models import get_model

    net = get_model("lenet", num_classes=3, in_channels=1)
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, 28, 28)))
    folder = tmp_path_factory.mktemp("artifact") / "out"
    export(Trained("lenet", net, ("a", "b", "c"), 1, (28, 28), ImageTransform(28), {}), folder)
    return folder


@pytest.fixture
def artifact(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "artifact")


FILES = ["lenet-symbol.json", "lenet-0000.params", "signature.json", "synset.txt", "model.json", "model.json.sha256"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_any_byte(artifact, name, place):
    data = bytearray((artifact / name).read_bytes())
    data[int(place * (len(data) - 1))] ^= 1
    (artifact / name).write_bytes(data)
    named = "model.json" if name == "model.json.sha256" else name
    with pytest.raises(DamagedArtifact, match=f"{artifact}: {named}: SHA-256"):
        read_artifact(artifact)


@pytest.mark.parametrize("name", FILES)
def test_missing_and_truncated(artifact, name):
    data = (artifact / name).read_bytes()
    (artifact / name).write_bytes(data[:-1])
    with pytest.raises(
        DamagedArtifact, match=f"{artifact}: .*(SHA-256|truncated: {len(data) - 1} of {len(data)} bytes)"
    ):
        read_artifact(artifact)
    (artifact / name).unlink()
    with pytest.raises(DamagedArtifact, match=f"{artifact}: {name}: missing"):
        read_artifact(artifact)


def test_a_symbol_of_another_network(artifact, write_run, tmp_path):
    export_run(write_run(tmp_path / "run", "nin", 224, stored_size=[224, 224]), tmp_path / "other")
    shutil.copy(tmp_path / "other/nin-symbol.json", artifact / "lenet-symbol.json")
    with pytest.raises(DamagedArtifact, match="lenet-symbol.json: .*expected"):
        Predictor.load(artifact)


def reseal(artifact, **changes):
    """Change model.json and recompute all hashes."""
    model = {**json.loads((artifact / "model.json").read_text()), **changes}
    for name, entry in model["files"].items():
        data = (artifact / name).read_bytes()
        entry.update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    text = json.dumps(model)
    (artifact / "model.json").write_text(text)
    (artifact / "model.json.sha256").write_text(f"{hashlib.sha256(text.encode()).hexdigest()}  model.json\n")


def test_other_weights_with_valid_hashes_are_refused(artifact):
    weights = str(artifact / "lenet-0000.params")
    nd.save(weights, {name: value * 1.01 for name, value in nd.load(weights).items()})
    reseal(artifact)
    read = read_artifact(artifact)
    with pytest.raises(DamagedArtifact, match="the logits differ by"):
        read.verify(read.load_net(mx.cpu()), mx.cpu())


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"format": 2}, "has format 2, and this gluon-classics, .*, reads format 1"),
        ({"files": {}}, "model.json: does not list lenet-0000.params or lenet-symbol.json"),
        ({"name": "../lenet"}, "model.json: does not list ../lenet-0000.params"),
        ({"preprocessing": None}, "model.json: "),
        ({"classes": ["a", "a", "c"]}, "its classes are not a list of unique names"),
        ({"classes": ["a", "b"]}, r"its logits are \(2, 3\), but there are 2 classes"),
        ({"test_vector": {"shape": [1], "input": "AAAA", "logits": []}}, "model.json: "),
    ],
)
def test_invalid_content_with_valid_hashes(artifact, changes, words):
    reseal(artifact, **changes)
    with pytest.raises(ValueError, match=words):
        read_artifact(artifact)


def test_no_file_outside_is_opened(artifact, tmp_path):
    shutil.copy(artifact / "synset.txt", tmp_path / "synset.txt")
    files = json.loads((artifact / "model.json").read_text())["files"]
    (artifact / "a\x1b[2J").touch()
    reseal(artifact, files={**files, "a\x1b[2J": dict(files["synset.txt"])})
    with pytest.raises(DamagedArtifact, match=r": a\\x1b\[2J: is not a file name"):
        read_artifact(artifact)
    reseal(artifact, files={**files, "../synset.txt": dict(files["synset.txt"])})
    with pytest.raises(DamagedArtifact, match=r"synset\.txt: is not a file name of an artifact"):
        read_artifact(artifact)


def test_a_graph_and_weights_that_mxnet_cannot_read(artifact):
    for name in ("lenet-symbol.json", "lenet-0000.params"):
        whole = (artifact / name).read_bytes()
        (artifact / name).write_bytes(b"{}")
        reseal(artifact)
        with pytest.raises(DamagedArtifact, match=rf"{name}: "):
            read_artifact(artifact).load_net(mx.cpu())
        (artifact / name).write_bytes(whole)


def test_resealed_weights_with_a_huge_shape_or_control_characters(artifact):
    weights = artifact / "lenet-0000.params"
    whole = weights.read_bytes()
    raw = bytearray(whole)
    raw[raw.index(bytes.fromhex("c9fa93f9")) + 16] ^= 1  # the first dimension has 2**32 more
    weights.write_bytes(raw)
    reseal(artifact)
    with pytest.raises(DamagedArtifact, match=r"lenet-0000\.params: .*array 1 of .*429496"):
        read_artifact(artifact).load_net(mx.cpu())
    weights.write_bytes(whole)
    arrays = nd.load(str(weights))
    nd.save(str(weights), {**arrays, "arg:evil\x1b[2J": nd.ones(1)})
    reseal(artifact)
    with pytest.raises(DamagedArtifact, match=r"evil\\x1b") as refused:
        read_artifact(artifact).load_net(mx.cpu())
    assert "\x1b" not in str(refused.value)


def test_folders_that_are_not_artifacts(tmp_path):
    with pytest.raises(ValueError, match="none does not exist"):
        read_artifact(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is not a folder"):
        read_artifact(tmp_path / "file")
    with pytest.raises(DamagedArtifact, match=r"model\.json\.sha256: missing"):
        read_artifact(tmp_path)


def test_the_test_vector_is_an_input_and_its_logits(exported):
    read = read_artifact(exported)
    net = read.load_net(mx.cpu())
    np.testing.assert_allclose(net(nd.array(read.test_input)).asnumpy(), read.test_logits, rtol=1e-4, atol=1e-6)
    assert read.test_input.shape == (2, 1, 28, 28) and read.test_input.dtype == np.float32
