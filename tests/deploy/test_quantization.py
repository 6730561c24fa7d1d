"""int8 artifacts of a network trained on the sample images of the package."""

import json
import subprocess
import sys
from pathlib import Path

from gluon_classics.__main__ import main
from gluon_classics.data import ImageOptions, load_dataset, split_to_json
from gluon_classics.deploy import export_run
from gluon_classics.deploy.exporting import Int8
from gluon_classics.deploy.quantization import load_run_data
from gluon_classics.inference import Predictor, read_artifact

import numpy as np
import pytest
from PIL import Image

DO_EXP = Path(__file__).parents[2] / "experiments" / "do_exp.py"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("quantization") / "run"
    flags = ["--net", "lenet", "--dataset", "fashion-mnist-sample", "--epochs", "3", "--normalize", "--out", str(run)]
    subprocess.run([sys.executable, str(DO_EXP), *flags], check=True, capture_output=True)
    return run


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    return export_run(trained, tmp_path_factory.mktemp("int8") / "out", preprocess=True, int8=Int8(max_drop=3.0))


def accuracy(predictor, dataset):
    return float((predictor(dataset.images).argmax(axis=1) == dataset.labels).mean())


def test_the_reports_accuracies_are_those_of_artifact_and_run(trained, exported):
    report = exported.model["int8"]
    _train, test = load_dataset("fashion-mnist-sample")
    assert report["test_images"] == len(test)
    assert report["int8_accuracy"] == pytest.approx(accuracy(Predictor.load(exported.path), test), abs=1 / len(test))
    measured = json.loads((trained / "result.json").read_text())["test_acc"]
    assert report["float32_accuracy"] == pytest.approx(measured, abs=1 / len(test))
    assert measured > 0.5  # it has learned something that int8 could lose
    assert min(report["float32_images_per_second"], report["int8_images_per_second"]) > 0


def test_convolutions_and_dense_layers_are_int8(exported):
    nodes = json.loads((exported.path / "lenet-symbol.json").read_text())["nodes"]
    quantized = [n["op"] for n in nodes if n.get("attrs", {}).get("quantized", "").lower() == "true"]
    assert len([op for op in quantized if "conv" in op]) == 2
    assert len([op for op in quantized if "fully_connected" in op]) >= 2


def test_it_is_read_and_verified_like_any_artifact(exported, capsys):
    assert main(["verify", str(exported.path)]) == 0
    assert "all files are intact" in capsys.readouterr().out
    assert read_artifact(exported.path).transform is None


def test_too_large_a_drop_is_refused(trained, tmp_path):
    with pytest.raises(ValueError, match=r"int8: top-1 .* of 1,000 test .* points, more than --max-drop -101"):
        export_run(trained, tmp_path / "out", int8=Int8(max_drop=-101))
    assert list(tmp_path.iterdir()) == []


def test_flags_that_do_not_go_together(trained, tmp_path, capsys):
    out = ["-o", str(tmp_path / "out")]
    assert main(["export", str(trained), *out, "--int8", "--onnx"]) == 2
    assert "--onnx and --int8: MXNet's converter knows no int8" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["export", str(trained), *out, "--int8", "--max-drop", "nan"])
    assert "'nan' is not a number of points" in capsys.readouterr().err
    for flags in (["--calibration", "."], ["--max-drop", "2"]):
        assert main(["export", str(trained), *out, *flags]) == 2
        assert "--calibration and --max-drop need --int8" in capsys.readouterr().err


def test_pictures_are_split_as_in_the_run(tmp_path):
    """Also from another folder, and with the channels and the size of the run."""
    for i in range(20):
        path = tmp_path / "photos" / ("boots" if i % 2 else "shoes") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((9, 9, 3), [i, 0, 200], np.uint8)).save(path)
    options = {"image_size": 7, "skip_bad": False, "cache": None}
    pair = load_dataset("folder", tmp_path / "photos", ImageOptions(seed=3, channels=1, **options))
    run = tmp_path / "run"
    run.mkdir()
    config = {"dataset": "folder", "data_dir": "lost", "seed": 0, "net_args": {"in_channels": 1}, **options}
    (run / "config.json").write_text(json.dumps(config))
    (run / "split.json").write_text(split_to_json(*pair))
    for ours, theirs in zip(load_run_data(run, tmp_path / "photos"), pair):
        assert ours.files == theirs.files and ours.images.shape[1:] == (7, 7, 1)
        np.testing.assert_array_equal(ours.images, theirs.images)
    with pytest.raises(ValueError, match="lost"):
        load_run_data(run)
    (run / "split.json").unlink()
    with pytest.raises(ValueError, match=r"split\.json is missing"):
        load_run_data(run, tmp_path / "photos")
