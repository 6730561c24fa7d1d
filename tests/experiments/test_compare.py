"""The table and the picture of experiments/compare.py."""

import csv
import importlib
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from run_folders import write_run

pytestmark = pytest.mark.thorough

SCRIPT = Path(__file__).parents[2] / "experiments/compare.py"


def compare(*arguments, cwd):
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], cwd=cwd, capture_output=True, text=True)


def test_finished_runs_side_by_side(tmp_path):
    for name, size, accuracy in (("lenet5", 32, 0.75), ("lenet", 28, 0.5)):
        run = write_run(tmp_path / name, name, size, classes=[str(n) for n in range(10)])
        (run / "result.json").write_text(json.dumps({"weights": "last.params", "test_acc": accuracy}))
    (tmp_path / "unfinished").mkdir()
    done = compare("lenet", "lenet5", "unfinished", "-o", "out/nets", "--batch-size", 4, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "out/nets.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    # LeNet-5: 61,706 parameters, as in the paper. The tutorial's LeNet at 28x28: 170,988, and 1,349,280 MACs.
    assert [(row["network"], row["parameters"], row["test_accuracy"]) for row in rows] == [
        ("lenet5", "61706", "0.75"),
        ("lenet", "170988", "0.5"),
    ]
    assert rows[1]["macs"] == "1349280"
    assert all(float(row["images_per_second"]) > 1 and 50 < int(row["peak_mb"]) < 4000 for row in rows)
    lines = (tmp_path / "out/nets.md").read_text().splitlines()
    assert lines[2].startswith("| lenet5 | 32x32 | 0.750 | 61,706 | 416.5 k |")
    assert "float32" in lines[-1] and "batches of 4" in lines[-1]
    config = json.loads((tmp_path / "lenet/config.json").read_text())
    (tmp_path / "lenet/config.json").write_text(json.dumps({**config, "train_images": 1000, "limit_test": 200}))
    done = compare("lenet", "lenet5", "-o", "other", "--batch-size", 4, cwd=tmp_path)
    assert "not comparable" in done.stdout
    assert "- lenet: fashion-mnist, 1,000 training images, 200 test images" in done.stdout
    with Image.open(tmp_path / "out/nets.png") as image:
        assert image.width > 1000


def test_networks_are_trained_first(tmp_path):
    flags = "--dataset fashion-mnist-sample --epochs 1 --limit-train 64 --limit-test 20"
    for name in ("lenet", "lenet-2"):  # the second time in another folder
        done = compare("--train", "lenet", "--flags", flags, "-o", "nets", "--batch-size", 4, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "nets-runs" / name / "result.json").is_file()
        assert "| lenet | 28x28 |" in (tmp_path / "nets.md").read_text()


def test_numbers_of_bubbles_at_one_place_do_not_overlap(experiments):
    number_bubbles = importlib.import_module("compare").number_bubbles
    axes = Figure(dpi=110).subplots()
    number_bubbles(axes, [(0.5, 0.5)] * 3 + [(0.1, 0.1)], [400.0] * 4)
    boxes = [text.get_window_extent() for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == ["1", "2", "3", "4"]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert axes.texts[0].xyann == axes.texts[3].xyann == (0, 0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "no folder of a finished run"),
        (["empty"], "empty cannot be measured"),
        (["--train", "lenett"], "did you mean lenet"),
        (["runs", "--batch-size", "0"], "'0' is not a whole number"),
    ],
)
def test_errors(arguments, message, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/result.json").write_text("{}")
    done = compare(*arguments, cwd=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
