"""Killed runs that --resume continues to the weights of an uninterrupted run, bit for bit."""

import dataclasses
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from gluon_classics import training
from gluon_classics.training import resuming

import pytest
from mxnet import nd

from jobs import SAMPLE, wait_until

pytestmark = pytest.mark.thorough

DO_EXP = Path(__file__).parents[2] / "experiments" / "do_exp.py"
# all kinds of state: momentum, a schedule, augmentation, averaged weights, a validation set
LENET = [
    *SAMPLE, "--net", "lenet", "--limit-train", "600", "--batch-size", "32", "--epochs", "3", "--lr", "0.05",
    "--optimizer", "nag", "--wd", "0.001",
    "--schedule", "cosine", "--warmup-epochs", "1", "--crop", "2", "--flip", "--erase", "0.5", "--ema", "0.9",
    "--val-fraction", "0.2", "--label-smoothing", "0.1", "--clip", "5", "--checkpoint-batches", "2",
]  # fmt: skip
# and dropout, stochastic depth, batch norm, Adam
EFFICIENTNET = [
    *SAMPLE, "--net", "efficientnet_b0", "--resize", "32", "--limit-train", "32", "--batch-size", "8", "--epochs", "2",
    "--optimizer", "adam", "--checkpoint-batches", "1",
]  # fmt: skip


def start(flags, cwd):
    with open(cwd / "output.txt", "a") as output:
        return subprocess.Popen([sys.executable, str(DO_EXP), *flags], cwd=cwd, stdout=output, stderr=output)


def finish(flags, cwd):
    assert start(flags, cwd).wait(timeout=300) == 0, (cwd / "output.txt").read_text()


def results(cwd):
    """Return the weights' bytes and the numbers of a finished run, without times."""
    run = cwd / "run"
    weights = {
        f"{name} {key}": value.asnumpy().tobytes()
        for name in ("last", "best")
        for key, value in nd.load(str(run / f"{name}.params")).items()
    }
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        del row["seconds"], row["images_per_second"]
    result = json.loads((run / "result.json").read_text())
    del result["seconds"]
    return weights, rows, result


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Return a function from flags to the results of an uninterrupted run, which is made once."""
    made = {}

    def get(flags):
        key = tuple(flags)
        if key not in made:
            cwd = tmp_path_factory.mktemp("uninterrupted")
            finish(flags, cwd)
            made[key] = results(cwd)
        return made[key]

    return get


def checkpoints(cwd):
    return sorted(path.name for path in (cwd / "run" / "checkpoints").glob("epoch-*"))


def kill_at_random_moments(flags, cwd, kills, rng):
    """Start, kill and start again. Return how many kills hit a running training."""
    hits = 0
    for _ in range(kills):
        process = start([*flags, "--resume"], cwd)
        seen = checkpoints(cwd)
        while process.poll() is None and checkpoints(cwd) == seen:
            time.sleep(0.002)  # do not kill the import of MXNet
        time.sleep(rng.uniform(0, 0.1))
        hits += process.poll() is None
        process.kill()
        process.wait()
    return hits


@pytest.mark.parametrize("flags", [LENET, EFFICIENTNET])
def test_three_kills(flags, tmp_path, uninterrupted):
    assert kill_at_random_moments(flags, tmp_path, 3, random.Random(1)) > 0
    finish([*flags, "--resume"], tmp_path)
    assert results(tmp_path) == uninterrupted(flags)


@pytest.mark.slow
def test_thirty_kills(tmp_path, uninterrupted):
    flags = [*LENET, "--epochs", "12", "--checkpoint-batches", "1"]
    assert kill_at_random_moments(flags, tmp_path, 30, random.Random(2)) == 30
    finish([*flags, "--resume"], tmp_path)
    assert results(tmp_path) == uninterrupted(flags)


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_a_checkpoint_and_resume_needs_no_other_flag(number, status, tmp_path, uninterrupted):
    flags = [flag for flag in LENET if flag not in ("--out", "run")]
    process = start(flags, tmp_path)
    folders = tmp_path / "runs"
    wait_until(lambda: list(folders.glob("*/checkpoints/epoch-*")), process, tmp_path)
    process.send_signal(number)
    began = time.monotonic()
    assert process.wait(timeout=60) == status
    assert time.monotonic() - began < 10
    (run,) = folders.iterdir()
    assert "Stopped by" in (run / "log.txt").read_text().splitlines()[-1]
    finish(["--resume"], tmp_path)
    run.rename(tmp_path / "run")
    assert results(tmp_path) == uninterrupted(LENET)


def interrupted_run(cwd, flags=LENET):
    """Make a run folder with two checkpoints by killing a run."""
    process = start(flags, cwd)
    wait_until(lambda: len(checkpoints(cwd)) >= 2, process, cwd)
    process.kill()
    process.wait()


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path, uninterrupted):
    interrupted_run(tmp_path)
    newest = tmp_path / "run" / "checkpoints" / checkpoints(tmp_path)[-1] / "weights.params"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    finish(["--resume", "--out", "run"], tmp_path)
    assert newest.parent.name in (tmp_path / "run" / "log.txt").read_text()
    assert results(tmp_path) == uninterrupted(LENET)


def run_again(cwd, *flags):
    return subprocess.run([sys.executable, str(DO_EXP), *flags], cwd=cwd, capture_output=True, text=True, timeout=240)


def test_other_settings_are_listed_and_those_that_change_the_results_need_force(tmp_path):
    interrupted_run(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    refused = run_again(tmp_path, "--resume", "--lr", "0.01", "--batch-size", "16", "--print-batches", "3")
    assert refused.returncode == 2
    assert "there is no unfinished run in the folder runs" in refused.stderr
    refused = run_again(tmp_path, "--resume", "--out", "run", "--lr", "0.01", "--batch-size", "16")
    assert refused.returncode == 2
    for words in ("--lr is 0.01, and was 0.05", "--batch-size is 16, and was 32", "--force"):
        assert words in refused.stderr
    other_net = run_again(tmp_path, "--resume", "--out", "run", "--net", "alexnet")
    assert other_net.returncode == 2
    assert "--net is alexnet, and was lenet" in other_net.stderr
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    too_much = run_again(tmp_path, "--resume", "--out", "run", "--momentum", "0", "--force")
    assert too_much.returncode == 2
    assert "another momentum" in too_much.stderr
    assert (tmp_path / "run" / "config.json").read_bytes() == before[tmp_path / "run" / "config.json"]
    forced = run_again(tmp_path, "--resume", "--out", "run", "--lr", "0.01", "--batch-size", "16", "--force")
    assert forced.returncode == 0, forced.stderr
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "--lr is 0.01, and was 0.05" in log
    assert re.search(r"Resumed after 0 batches of epoch \d", log)  # the earlier batches had another size
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["lr"], config["batch_size"]) == (0.01, 16)
    assert "--force" not in config["command"]
    assert "--force" in config["resumed_by"][-1]


def test_a_finished_run_has_nothing_to_resume_and_a_running_one_is_left_alone(tmp_path):
    flags = [*SAMPLE, "--net", "lenet", "--limit-train", "64", "--batch-size", "32", "--epochs", "1"]
    finish(flags, tmp_path)
    again = run_again(tmp_path, *flags, "--resume")
    assert again.returncode == 0
    assert "is finished" in again.stdout
    shutil.rmtree(tmp_path / "run")
    process = start([*LENET, "--epochs", "500"], tmp_path)
    try:
        wait_until(lambda: checkpoints(tmp_path), process, tmp_path)
        second = run_again(tmp_path, "--resume", "--out", "run")
        assert second.returncode == 2
        assert "another process is writing the run in run" in second.stderr
    finally:
        process.kill()
        process.wait()


def test_a_finished_run_continues_for_more_epochs(tmp_path):
    flags = [*SAMPLE, "--net", "lenet", "--limit-train", "64", "--batch-size", "32"]
    finish([*flags, "--epochs", "3"], tmp_path)
    whole = results(tmp_path)
    shutil.rmtree(tmp_path / "run")
    finish([*flags, "--epochs", "1"], tmp_path)
    finish(["--resume", "--out", "run", "--epochs", "3"], tmp_path)
    assert results(tmp_path) == whole


def test_fewer_epochs_than_were_made_are_refused(tmp_path):
    flags = [*LENET, "--schedule", "constant", "--warmup-epochs", "0", "--epochs", "50"]
    process = start(flags, tmp_path)
    wait_until(lambda: max(checkpoints(tmp_path), default="") > "epoch-0001-batch-000000", process, tmp_path)
    process.kill()
    process.wait()
    config = (tmp_path / "run" / "config.json").read_bytes()
    refused = run_again(tmp_path, "--resume", "--out", "run", "--epochs", "1")
    assert refused.returncode == 2
    assert re.search(r"--epochs 1: run is already in epoch \d+", refused.stderr)
    assert (tmp_path / "run" / "config.json").read_bytes() == config


CONFIG = {
    **dataclasses.asdict(training.RunConfig.complete({"net": "lenet", "gpus": "none"})),
    "accumulate": 4,
    "auto_batch": True,
    "devices": ["cpu(0)"],
}


def settings(folder, given, **changes):
    config = {**CONFIG, "versions": resuming.versions(), **changes}
    (folder / "config.json").write_text(json.dumps(config))
    return resuming.settings_of(folder, given)


def test_the_same_command_continues_if_auto_batch_has_found_another_number_of_slices(tmp_path):
    config, before, changes, same_batches = settings(tmp_path, {"auto_batch": True, "accumulate": 2})
    assert (config.accumulate, config.auto_batch, changes, same_batches) == (4, False, [], True)
    assert before["accumulate"] == 4


@pytest.mark.parametrize("name, same_batches", [("lr", True), ("seed", False), ("batch_size", False)])
def test_a_setting_that_changes_the_results_needs_force(name, same_batches, tmp_path):
    words = f"--{name.replace('_', '-')} is 8, and was {CONFIG[name]}"
    with pytest.raises(ValueError, match=f"{words}.*--force"):
        settings(tmp_path, {name: 8})
    forced = settings(tmp_path, {name: 8, "force": True})
    assert (getattr(forced.config, name), forced.changes, forced.same_batches) == (8, [words], same_batches)


def test_a_setting_of_the_machine_and_one_without_effect_need_no_force(tmp_path):
    config, _, changes, same_batches = settings(tmp_path, {"data_dir": "elsewhere", "print_batches": 3, "epochs": 9})
    assert (config.data_dir, config.print_batches, config.epochs, same_batches) == ("elsewhere", 3, 9, True)
    assert changes == ["--epochs is 9, and was 5"]  # its learning rate is constant: more epochs change no earlier one


def test_another_number_of_devices_needs_force_and_another_device_is_logged(tmp_path):
    two = {"devices": ["cpu(0)", "cpu(1)"]}
    with pytest.raises(ValueError, match=r"computes on cpu\(0\), and did on cpu\(0\), cpu\(1\).*--force"):
        settings(tmp_path, {}, **two)
    settings(tmp_path, {"force": True}, **two)
    assert settings(tmp_path, {}, devices=["gpu(0)"]).changes == ["it computes on cpu(0), and did on gpu(0)"]


def test_another_machine_and_another_version_are_logged(tmp_path):
    versions = {**resuming.versions(), "processor": "Z80", "gluon_classics": "0.0.1"}
    changes = settings(tmp_path, {}, versions=versions).changes
    assert len(changes) == 2
    assert any(each.endswith("and was Z80") for each in changes)
    assert any(each.startswith("gluon_classics is ") and each.endswith("and was 0.0.1") for each in changes)


def test_a_folder_that_is_not_a_run_does_not_stop_a_resume(tmp_path):
    for name, text in {"a": "{", "b": "[]", "c": "{}", "mine": '{"net": "nin"}'}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text)
    assert resuming.find_run({}, str(tmp_path)).name == "mine"
    with pytest.raises(ValueError, match="no unfinished run of lenet .*mine, of nin"):
        resuming.find_run({"net": "lenet"}, str(tmp_path))


def test_a_full_disk_ends_the_run_and_it_resumes_from_the_older_checkpoint(tmp_path, uninterrupted):
    # the disk is full from the third checkpoint on; MXNet's writer leaves a short file without an error
    full = tmp_path / "sitecustomize.py"
    full.write_text(
        "import os\n"
        "plain = os.fsync\n"
        "calls = []\n"
        "def fsync(number):\n"
        "    if 'checkpoints' in os.readlink(f'/proc/self/fd/{number}'):\n"
        "        calls.append(1)\n"
        "        if len(calls) > 15:\n"
        "            raise OSError(28, 'No space left on device')\n"
        "    return plain(number)\n"
        "os.fsync = fsync\n"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(DO_EXP), *LENET], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert checkpoints(tmp_path)
    finish(["--resume", "--out", "run"], tmp_path)
    assert results(tmp_path) == uninterrupted(LENET)
