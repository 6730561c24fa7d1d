"""do_exp.py on class folders and COIL-20, and the pictures and the report of a run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from mxnet import nd
from PIL import Image

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
COIL20 = Path(os.environ.get("GLUON_CLASSICS_TEST_DATA", ROOT / "nowhere")) / "coil-20-proc.zip"
needs_coil20 = pytest.mark.skipif(not COIL20.exists(), reason="GLUON_CLASSICS_TEST_DATA has no coil-20-proc.zip")
PICTURES = ["samples.png", "mistakes.png", "curves.png", "confusion.png"]


def python(*words, cwd):
    return subprocess.run([sys.executable, *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=240)


def do_exp(*flags, cwd):
    done = python(ROOT / "experiments" / "do_exp.py", *flags, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read_json(file):
    return json.loads(Path(file).read_text(encoding="utf-8"))


@pytest.fixture
def photos(tmp_path):
    """A class of 12 red images and one of 36 blue images, in two formats and two sizes."""
    random = np.random.RandomState(0)
    for name, channel, count in (("红", 0, 12), ("azul", 2, 36)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(count):
            pixels = random.randint(0, 60, (20 + i % 2, 30, 3)).astype("uint8")
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.{'png' if i % 3 else 'jpg'}")
    return tmp_path / "photos"


FOLDER = [
    "--net", "lenet", "--dataset", "folder", "--data-dir", "photos", "--image-size", "24", "--test-fraction", "0.25",
    "--batch-size", "8", "--balanced", "--lr", "0.05", "--out", "run",
]  # fmt: skip


def test_class_folders_from_training_to_prediction(photos, tmp_path):
    do_exp(*FOLDER, "--epochs", "8", cwd=tmp_path)
    run = tmp_path / "run"
    config, split = read_json(run / "config.json"), read_json(run / "split.json")
    assert config["classes"] == ["azul", "红"]
    assert (config["resize"], config["net_args"]["in_channels"]) == (24, 3)
    assert config["class_counts"] == {"azul": 27, "红": 9}
    assert len(split["train"]) == 36 and len(split["test"]) == 12
    assert read_json(run / "result.json")["test_acc"] == 1
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "红" in page and page.count("data:image/png") == len(PICTURES)
    done = python("-m", "gluon_classics", "predict", run, photos, "--json", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert len(answers) == 48
    assert all(Path(each["file"]).parent.name == each["predictions"][0]["class"] for each in answers)


def weights(run):
    return {name: array.asnumpy().tobytes() for name, array in nd.load(str(run / "last.params")).items()}


def test_pictures_on_disk_give_the_same_weights(photos, tmp_path):
    do_exp(*FOLDER, "--epochs", "1", "--normalize", cwd=tmp_path)
    for run in ("makes the cache", "finds it"):
        do_exp(*FOLDER, "--epochs", "1", "--normalize", "--cache", "cache", "--out", run, cwd=tmp_path)
        assert weights(tmp_path / run) == weights(tmp_path / "run")
    assert len(list((tmp_path / "cache").glob("48x24x24x3-*.npy"))) == 1


def test_a_resumed_run_keeps_its_split_and_refuses_another_folder(photos, tmp_path):
    do_exp(*FOLDER, "--epochs", "2", cwd=tmp_path)
    whole = weights(tmp_path / "run")
    split = (tmp_path / "run" / "split.json").read_bytes()
    shutil.rmtree(tmp_path / "run")
    process = subprocess.Popen(
        [sys.executable, ROOT / "experiments" / "do_exp.py", *FOLDER, "--epochs", "2", "--checkpoint-batches", "1"],
        cwd=tmp_path, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while process.poll() is None and not list((tmp_path / "run" / "checkpoints").glob("epoch-*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    shutil.copy(photos / "azul" / "1.png", photos / "azul" / "new.png")
    refused = python(ROOT / "experiments" / "do_exp.py", "--resume", "--out", "run", cwd=tmp_path)
    assert refused.returncode == 2
    assert "azul/new.png" in refused.stderr
    (photos / "azul" / "new.png").unlink()
    do_exp("--resume", "--out", "run", cwd=tmp_path)
    assert (tmp_path / "run" / "split.json").read_bytes() == split
    assert weights(tmp_path / "run") == whole


def test_all_bad_pictures_are_listed_before_anything_is_written(photos, tmp_path):
    (photos / "azul" / "empty.png").write_bytes(b"")
    (photos / "红" / "text.jpg").write_text("no picture")
    refused = python(ROOT / "experiments" / "do_exp.py", *FOLDER, "--epochs", "1", cwd=tmp_path)
    assert refused.returncode == 2
    for words in ("azul/empty.png", "红/text.jpg", "--skip-bad"):
        assert words in refused.stderr
    assert not (tmp_path / "run").exists()
    said = do_exp(*FOLDER, "--epochs", "1", "--skip-bad", cwd=tmp_path)
    assert "azul/empty.png" in said
    assert "azul/empty.png" in "".join(read_json(tmp_path / "run" / "config.json")["notes"])


@needs_coil20
def test_coil20_at_its_own_size_with_blocks_of_poses_held_out(tmp_path):
    said = do_exp(
        "--net", "coil20_lenet", "--dataset", "coil20", "--data-dir", COIL20, "--split", "pose-block",
        "--val-fraction", "0.1", "--epochs", "1", "--limit-train", "160", "--out", "run", cwd=tmp_path,
    )  # fmt: skip
    config = read_json(tmp_path / "run" / "config.json")
    assert (config["resize"], len(config["classes"]), config["stored_size"]) == (128, 20, [128, 128])
    assert (config["val_images"], config["test_images"]) == (20, 140)  # one pose of each object, and seven
    assert all((tmp_path / "run" / name).stat().st_size > 1000 for name in [*PICTURES, "report.html"])
    assert "report.html" in said


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--dataset", "folder"], "--data-dir"),
        (["--dataset", "fashion-mnist-sample", "--split", "random"], "does not take split (--split)"),
        (["--dataset", "coil20", "--data-dir", "nowhere"], "nowhere does not exist"),
        (["--dataset", "coil20", "--split", "pose-block", "3"], "takes no number of poses"),
        (["--dataset", "coil20", "--split", "2"], "--split: '2' is not"),
        (["--dataset", "coil20", "--split", "poses"], "pose-block"),
    ],
)
def test_errors_name_the_wrong_flags(flags, words, tmp_path):
    flags = [*flags, *(["--data-dir", COIL20] if "coil20" in flags and "--data-dir" not in flags else [])]
    if COIL20 in flags and not COIL20.exists():
        pytest.skip("GLUON_CLASSICS_TEST_DATA has no coil-20-proc.zip")
    refused = python(ROOT / "experiments" / "do_exp.py", *flags, "--out", "run", cwd=tmp_path)
    assert refused.returncode == 2
    assert words in refused.stderr
    assert not (tmp_path / "run").exists()
