"""Artifacts answer as the network did, and a failed export leaves nothing."""

import base64
import json
import os
import re
import resource
import subprocess
import sys
import time

from gluon_classics.data import ImageTransform
from gluon_classics.deploy import Trained, export, export_run, exporting
from gluon_classics.deploy.graph import Preprocessing
from gluon_classics.inference import Predictor
from gluon_classics.models import get_model

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon, nd


def noise(n, size=(28, 28), channels=1):
    return np.random.RandomState(n).randint(0, 256, (n, *size, channels), dtype=np.uint8)


def small_net(classes=3):
    mx.random.seed(0)
    net = get_model("lenet", num_classes=classes, in_channels=1)
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, 28, 28)))
    return net


def trained(net=None, **fields):
    values = {"name": "lenet", "net": net or small_net(), "classes": ("a", "b", "c"), "channels": 1}
    return Trained(**{**values, "image_size": (28, 28), "transform": ImageTransform(28), "about": {}, **fields})


@pytest.mark.parametrize("preprocess", [False, True])
def test_answers_as_the_run_does(write_run, tmp_path, preprocess):
    settings = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25], "stored_size": [30, 40]}
    run = write_run(tmp_path / "run", "lenet5", 36, 3, dataset="folder", **settings)
    export_run(run, tmp_path / "out", preprocess)
    images = noise(5, (30, 40), 3)
    ours, theirs = Predictor.load(tmp_path / "out"), Predictor.load(run)
    np.testing.assert_allclose(ours(images), theirs(images), rtol=1e-5, atol=1e-7)
    assert (ours.classes, ours.channels, ours.image_size) == (theirs.classes, theirs.channels, theirs.image_size)


@pytest.mark.parametrize("preprocess", [False, True])
def test_mxnet_alone_reads_it(tmp_path, preprocess):
    """Load the files by name, without this package, as a server of another project would."""
    net = small_net()
    export(trained(net), tmp_path / "out", preprocess)
    assert sorted(os.listdir(tmp_path / "out")) == sorted(
        ["lenet-symbol.json", "lenet-0000.params", "signature.json", "synset.txt", "model.json", "model.json.sha256"]
    )
    files = (str(tmp_path / "out" / name) for name in ("lenet-symbol.json", "lenet-0000.params"))
    symbol, weights = files
    block = gluon.SymbolBlock.imports(symbol, ["data"], weights)
    signature = json.loads((tmp_path / "out/signature.json").read_text())["inputs"][0]
    assert signature == {"data_name": "data", "data_shape": [0, 28, 28, 1] if preprocess else [0, 1, 28, 28]}
    assert (tmp_path / "out/synset.txt").read_text() == "a\nb\nc\n"
    images = noise(4)
    planes = images.transpose(0, 3, 1, 2).astype("float32") / 255
    answer = block(nd.array(images, dtype="uint8") if preprocess else nd.array(planes))
    np.testing.assert_allclose(answer.asnumpy(), net(nd.array(planes)).asnumpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [(28, 28), (20, 33)])
@pytest.mark.parametrize("resize", [None, 28, 41])
@pytest.mark.parametrize("mean, std", [(None, None), (0.3, 0.4), ((0.1, 0.5, 0.7), (0.3, 0.2, 0.1))])
def test_the_graphs_pixels_are_the_transforms(size, resize, mean, std):
    images = nd.array(noise(3, size, 3), dtype="uint8")
    transform = ImageTransform(resize, mean, std)
    block = Preprocessing(transform, size, 3)
    block.hybridize()
    np.testing.assert_allclose(block(images).asnumpy(), transform(images, nd.zeros(3))[0].asnumpy(), rtol=0, atol=2e-6)


def test_auxiliary_heads_are_left_out(write_run, tmp_path):
    run = write_run(tmp_path / "run", "inception_v1", 79, 1, net_args={"aux": True}, dataset="mnist")
    artifact = export_run(run, tmp_path / "out")
    assert artifact.test_logits.shape == (2, 3)
    np.testing.assert_allclose(Predictor.load(artifact.path)(noise(2)), Predictor.load(run)(noise(2)), rtol=1e-5)


def test_model_json_records_the_origin(write_run, tmp_path):
    run = write_run(tmp_path / "run")
    (run / "result.json").write_text(json.dumps({"weights": "last.params", "test_acc": 0.9, "epochs": 3, "other": 1}))
    model = export_run(run, tmp_path / "out").model
    assert (model["network"], model["run"], model["dataset"]) == ("lenet", "run", "fashion-mnist")
    assert model["metrics"] == {"test_acc": 0.9, "epochs": 3}
    assert model["versions"]["mxnet"] == "1.9.1"
    assert model["parameters"] == sum(p.data().size for p in small_net().collect_params().values())


def test_a_note_for_an_unfinished_run(write_run, tmp_path, capsys):
    from gluon_classics.__main__ import main

    run = write_run(tmp_path / "run")
    assert main(["export", str(run), "-o", str(tmp_path / "finished")]) == 0
    assert "not finished" not in capsys.readouterr().err
    (run / "result.json").unlink()
    assert main(["export", str(run), "-o", str(tmp_path / "unfinished")]) == 0
    assert f"{run} has no result.json" in capsys.readouterr().err
    for name in ("finished", "unfinished"):
        model = json.loads((tmp_path / name / "model.json").read_text())
        assert (model["finished"], model["weights"]) == (name == "finished", "last.params")
    assert main(["verify", str(run)]) == 2
    assert f"{run} is a run folder: export it first" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "finished"), "-o", str(tmp_path / "again")]) == 2
    assert "exported artifact" in capsys.readouterr().err


def test_model_json_describes_the_preprocessing(write_run, tmp_path):
    settings = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25], "stored_size": [36, 36]}
    run = write_run(tmp_path / "run", "lenet5", 36, 3, dataset="folder", **settings)
    export_run(run, tmp_path / "out")
    model = json.loads((tmp_path / "out/model.json").read_text())
    way = model["preprocessing"]
    assert (way["in_graph"], way["color"], way["stored_size"], way["resize"]) == (False, "RGB", [36, 36], 36)
    images = noise(3, (36, 36), 3)
    inputs = ((images / way["scale"] - way["mean"]) / way["std"]).astype(model["input"]["dtype"]).transpose(0, 3, 1, 2)
    files = [str(tmp_path / "out" / f"lenet5-{end}") for end in ("symbol.json", "0000.params")]
    block = gluon.SymbolBlock.imports(files[0], ["data"], files[1])
    np.testing.assert_allclose(nd.softmax(block(nd.array(inputs))).asnumpy(), Predictor.load(run)(images), rtol=1e-4)
    vector = model["test_vector"]
    given = np.frombuffer(base64.b64decode(vector["input"]), vector["dtype"]).reshape(vector["shape"])
    np.testing.assert_allclose(block(nd.array(given)).asnumpy(), vector["logits"], rtol=1e-3, atol=1e-4)


def test_sigterm_leaves_nothing_half_written(write_run, tmp_path):
    run = write_run(tmp_path / "run")
    out = tmp_path / "folder" / "out"
    out.parent.mkdir()
    command = [sys.executable, "-m", "gluon_classics", "export", str(run), "-o", str(out)]
    exporting = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    while not list(out.parent.iterdir()):  # until it begins to write
        assert exporting.poll() is None
        time.sleep(0.01)
    exporting.terminate()
    assert exporting.wait(60) == 143
    assert not list(out.parent.iterdir())


# What cannot be exported


class Imperative(gluon.Block):
    def forward(self, x):
        return x


def unfinished():
    net = get_model("lenet", num_classes=3)
    net.initialize()
    return net


def diverged():
    net = small_net()
    next(iter(net.collect_params().values())).data()[:] = np.nan
    return net


@pytest.mark.parametrize(
    "make, words",
    [
        (Imperative, "Imperative is an imperative Block: only a HybridBlock has a graph"),
        (unfinished, "conv0_weight has no values yet: initialize the network, and send a batch through it"),
        (lambda: get_model("lenet", num_classes=3), "has no values yet"),
        (diverged, "conv0_weight holds numbers that are not finite"),
        (lambda: small_net(4), "the network gives 4 logits, but there are 3 classes"),
    ],
)
def test_refuses(make, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        export(trained(make()), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_artifact_is_not_written_over(tmp_path):
    export(trained(), tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(ValueError, match=r"out exists: name a new folder"):
        export(trained(), tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_graph_with_other_answers_does_not_appear(tmp_path, monkeypatch):
    """A real fresh process reads logits that are not the network's."""
    vector = exporting._test_vector

    def other(*args):
        images, inputs, logits = vector(*args)
        return images, inputs, logits + 0.01 * np.abs(logits).max()

    monkeypatch.setattr(exporting, "_test_vector", other)
    with pytest.raises(ValueError, match="a fresh process(?s:.*)logits differ by"):
        export(trained(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full(tmp_path):
    """A process of its own has a limit on the size of its files."""
    code = (
        "import resource, signal; import test_export as t; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "net = t.trained(); resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        f"t.export(net, {str(tmp_path / 'out')!r})"
    )
    paths = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    env = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.search(r"OSError: \[Errno \d+\] .*lenet-0000\.params'", done.stderr), done.stderr
    assert list(tmp_path.iterdir()) == []
    assert resource.RLIM_INFINITY in resource.getrlimit(resource.RLIMIT_FSIZE)  # not in this process
