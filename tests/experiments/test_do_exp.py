"""do_exp.py as its users run it: a process of its own, on the sample."""

import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from gluon_classics import runtime
from gluon_classics.models import get_model

import pytest

ROOT = Path(__file__).parents[2]
QUICK = ["--dataset", "fashion-mnist-sample", "--limit-train", "256", "--limit-test", "100", "--epochs", "1"]


def command(*flags):
    return [sys.executable, str(ROOT / "experiments" / "do_exp.py"), *flags]


def do_exp(*flags, cwd, **env):
    return subprocess.run(
        command(*flags), cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=240
    )


def test_early_stopping_waits_for_a_better_validation_accuracy(tmp_path):
    # at a learning rate of almost 0, no epoch is better than the first
    flags = ["--net", "lenet", *QUICK, "--epochs", "9", "--lr", "1e-12", "--val-fraction", "0.2", "--patience", "2"]
    done = do_exp(*flags, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search("Stopped early: .* 2 epochs", done.stdout)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["epochs"], result["weights"]) == (3, "best.params")


def test_a_crop_larger_than_the_image_is_refused_and_writes_nothing(tmp_path):
    done = do_exp("--net", "lenet", *QUICK, "--crop", "30", cwd=tmp_path)
    assert done.returncode == 2
    assert "crop is 30" in done.stderr
    assert not list(tmp_path.iterdir())


def test_leaves_a_run_folder(tmp_path):
    out = tmp_path / "run"
    done = do_exp("--net", "lenet", *QUICK, "--epochs", "2", "--out", str(out), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    epochs = re.findall(r"^Epoch \d\. Loss: .*, Train acc .*, Test acc .*, Time .* sec$", done.stdout, re.M)
    assert len(epochs) == 2
    assert sorted(p.name for p in out.iterdir()) == [
        "best.params",
        "checkpoints",
        "config.json",
        "confusion.csv",
        "confusion.png",
        "curves.png",
        "last.params",
        "log.txt",
        "metrics.csv",
        "metrics.jsonl",
        "mistakes.png",
        "report.html",
        "result.json",
        "samples.png",
    ]
    assert sorted(p.name for p in (out / "checkpoints").iterdir()) == [
        "epoch-0001-batch-000000",
        "epoch-0002-batch-000000",
    ]
    assert (out / "log.txt").read_text() == done.stdout
    for name in ("best.params", "last.params"):
        recorded = json.loads((out / "result.json").read_text())["sha256"][name]
        assert recorded == hashlib.sha256((out / name).read_bytes()).hexdigest()
    config = json.loads((out / "config.json").read_text())
    assert (config["net"], config["epochs"], config["dataset"]) == ("lenet", 2, "fashion-mnist-sample")
    assert (config["train_images"], config["test_images"], config["parameters"]) == (256, 100, 170_988)
    assert {"python", "numpy", "mxnet", "gluon_classics", "threads"} <= set(config["versions"])
    with open(out / "metrics.csv") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]


def test_default_folder_is_new_and_verbose_prints_the_blocks(tmp_path):
    done = do_exp("--net", "googlenet", *QUICK, "--limit-train", "16", "--batch-size", "16", "--verbose", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Block 6 output: (1, 10)" in done.stdout
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("googlenet-fashion-mnist-sample-")


def test_a_network_of_the_papers_with_its_heads(tmp_path):
    flags = ["--net", "inception_v1_bn", "--aux", *QUICK, "--limit-train", "16", "--limit-test", "8", "--resize", "48"]
    done = do_exp(*flags, "--batch-size", "8", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["net_args"] == {"aux": True, "num_classes": 10, "in_channels": 1}
    net = get_model(config["net"], **config["net_args"])
    net.load_parameters(str(tmp_path / "run/last.params"))


@pytest.mark.skipif(not runtime.describe().bfloat16, reason="oneDNN computes no bfloat16 on this processor")
def test_bfloat16_from_the_first_batch_to_the_confusion_matrix(tmp_path):
    flags = ["--dtype", "bfloat16", "--force", "--val-fraction", "0.2", "--tensorboard", "--out", "run"]
    done = do_exp("--net", "lenet", *QUICK, *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "input 28x28, bfloat16" in done.stdout
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["weights"] == "best.params" and 0 <= result["test_acc"] <= 1
    assert f"Test acc {result['test_acc']:.4f} with best.params, over 100 images" in done.stdout
    with open(tmp_path / "run/confusion.csv") as file:
        assert sum(int(cell) for row in list(csv.reader(file))[1:] for cell in row[1:]) == 100
    assert list((tmp_path / "run/tensorboard").iterdir())


def test_the_same_seed_gives_the_same_numbers(tmp_path):
    outputs = [
        re.sub(r"Time .*", "", do_exp("--net", "lenet", *QUICK, "--seed", seed, "--out", out, cwd=tmp_path).stdout)
        for seed, out in [("1", "a"), ("1", "b"), ("2", "c")]
    ]
    lines = [re.search(r"Epoch 0.*", output)[0] for output in outputs]
    assert lines[0] == lines[1] != lines[2]


def test_bad_input_in_a_process_of_its_own(tmp_path):
    done = do_exp("--net", "alexnet", *QUICK, "--resize", "28", "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("do_exp.py: error: AlexNet takes images of 67x67 or larger, not 28x28")
    assert list(tmp_path.iterdir()) == []


def test_nan_stops_with_epoch_and_batch_and_keeps_the_log(tmp_path):
    done = do_exp("--net", "lenet", *QUICK, "--lr", "1e38", "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert re.search(r"the loss is (nan|inf) in epoch 0, batch \d", done.stdout)
    assert "Traceback" not in done.stderr
    assert "the loss is" in (tmp_path / "run" / "log.txt").read_text()


def test_ctrl_c_ends_cleanly_and_keeps_the_weights(tmp_path):
    flags = ["--net", "lenet", "--dataset", "fashion-mnist-sample", "--epochs", "500", "--out", "run"]
    log = tmp_path / "run" / "log.txt"
    with open(tmp_path / "out", "w") as out, open(tmp_path / "err", "w") as err:
        # a shell that runs the tests in the background makes them and their children ignore SIGINT
        process = subprocess.Popen(
            command(*flags),
            cwd=tmp_path,
            stdout=out,
            stderr=err,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            deadline = time.monotonic() + 120
            while not (log.exists() and "Epoch 0" in log.read_text()):
                assert time.monotonic() < deadline and process.poll() is None, (tmp_path / "err").read_text()
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 130
        finally:
            process.kill()
    assert "Stopped by Ctrl-C" in (tmp_path / "out").read_text()
    assert "Traceback" not in (tmp_path / "err").read_text()
    assert (tmp_path / "run" / "last.params").stat().st_size > 600_000


def test_without_the_full_data_set_the_sample_is_used_with_a_warning(tmp_path):
    # no network and no data set folder
    island = tmp_path / "sitecustomize.py"
    island.write_text(
        "import sys\n"
        "class Island:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'gluon_classics.training':\n"
        "            from gluon_classics.data.formats import fashion_mnist\n"
        "            from gluon_classics.data.files import sources\n"
        "            sources.SYSTEM_FOLDERS = ()\n"
        "            fashion_mnist.FASHION_MNIST = fashion_mnist.FASHION_MNIST._replace(mirrors=())\n"
        "sys.meta_path.insert(0, Island())\n"
    )
    flags = [flag for flag in QUICK if "fashion" not in flag and flag != "--dataset"]
    env = {"PYTHONPATH": str(tmp_path), "MXNET_HOME": str(tmp_path / "home"), "PATH": str(tmp_path)}
    done = do_exp("--net", "lenet", *flags, "--out", "run", cwd=tmp_path, **env)
    assert done.returncode == 0, done.stderr
    assert "WARNING" in done.stdout
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["dataset"] == "fashion-mnist-sample"
    assert any("fashion-mnist-sample" in note for note in config["notes"])
    assert "WARNING" in (tmp_path / "run" / "log.txt").read_text()
    asked = do_exp("--net", "lenet", "--dataset", "fashion-mnist", "--out", "run2", cwd=tmp_path, **env)
    assert asked.returncode == 2
    assert "apt-get install dataset-fashion-mnist" in asked.stderr
    assert not (tmp_path / "run2").exists()


def test_verbose_lists_the_blocks_once(tmp_path):
    done = do_exp("--net", "lenet", *QUICK, "--verbose", "--no-hybridize", cwd=tmp_path)
    assert done.stdout.count("Block 1 output") == 1
