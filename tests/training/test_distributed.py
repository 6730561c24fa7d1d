"""Several workers in processes of their own: results equal to one worker's, failures, and resuming after them."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from gluon_classics.training.distributed import ALONE, SharedError, connect

import numpy as np
import pytest
from mxnet import nd

from jobs import DO_EXP, SAMPLE, descendants, engine_launcher, listening, run, started, wait_until, with_variables

pytestmark = pytest.mark.thorough

WORKER = [sys.executable, str(Path(__file__).parents[1] / "support" / "worker.py")]
LOOPBACK = "0100007F"  # 127.0.0.1, as /proc/net/tcp writes it
ENGINES = [
    "dist_sync",
    pytest.param(
        "horovod",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("horovod") is None, reason="Horovod is not installed: make horovod"
        ),
    ),
]
# all kinds of state: momentum, a schedule, averaged weights, dropout, batch norm
EFFICIENTNET = [
    *SAMPLE, "--net", "efficientnet_b0", "--resize", "32", "--limit-train", "48", "--batch-size", "16", "--epochs", "2",
    "--lr", "0.01", "--schedule", "cosine", "--ema", "0.9", "--checkpoint-batches", "1",
]  # fmt: skip
LENET = [*SAMPLE, "--net", "lenet", "--epochs", "500", "--checkpoint-batches", "20"]
SHORT = [*SAMPLE, "--net", "lenet", "--limit-train", "640", "--epochs", "6", "--checkpoint-batches", "1"]

# the environment of a worker without a scheduler
UNANSWERED = {
    "DMLC_ROLE": "worker", "DMLC_PS_ROOT_URI": "127.0.0.1", "DMLC_PS_ROOT_PORT": "9", "DMLC_NUM_WORKER": "2",
    "DMLC_NUM_SERVER": "1", "DMLC_TASK_ID": "0",
}  # fmt: skip


def train(folder, engine, flags=(), **options):
    """Run worker.py. Return the weights and the numbers of the epochs of each worker."""
    folder.mkdir()
    options = {"batch_size": 64, "epochs": 5, "optimizer": "sgd", **options}
    launcher = [] if engine == "alone" else engine_launcher(engine, flags)
    status, said = run([*launcher, *WORKER, engine, str(folder), json.dumps(options)], folder)
    assert status == 0, said
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(1 if engine == "alone" else 2)]


def must_be_close(one, other, names, tolerance=1e-12):
    for name in names:
        assert one[name].dtype == other[name].dtype == np.float64
        assert np.abs(one[name] - other[name]).max() <= tolerance, name


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("options", [{}, {"optimizer": "adam", "clip": 1.0}])
def test_two_workers_train_as_one_with_the_whole_batch(engine, options, tmp_path):
    """After 50 steps, weights, loss, accuracy and the gradient's norm agree; the workers' weights are identical."""
    (alone,), together = (train(tmp_path / each, each, **options) for each in ("alone", engine))
    must_be_close(alone, together[0], alone)
    assert all((together[0][name] == together[1][name]).all() for name in alone)


def test_two_servers_share_the_weights(tmp_path):
    (alone,) = train(tmp_path / "alone", "alone", epochs=1)
    must_be_close(alone, train(tmp_path / "together", "dist_sync", ["-s", "2"], epochs=1)[1], alone)


@pytest.mark.parametrize("engine", ENGINES)
def test_with_batch_norm_two_workers_are_two_slices_of_the_batch(engine, tmp_path):
    (alone,) = train(tmp_path / "alone", "alone", batch_norm=True, accumulate=2)
    together = train(tmp_path / "together", engine, batch_norm=True)
    learned = [name for name in alone if "running" not in name and name != "records"]
    must_be_close(alone, together[0], learned, 1e-11)
    mean = "1.running_mean"
    assert (together[0][mean] != together[1][mean]).any()  # the workers have seen different images


@pytest.mark.parametrize("engine", ENGINES)
def test_workers_with_other_seeds_start_from_the_first_ones_weights(engine, tmp_path):
    same, other = (train(tmp_path / str(seed), engine, epochs=1, seeds=[5, seed]) for seed in (5, 6))
    assert all((one[name] == two[name]).all() for one, two in zip(same, other) for name in one)


def last_weights(folder):
    """Return the bytes in a run's last checkpoint, including each worker's running statistics."""
    checkpoint = sorted((folder / "run" / "checkpoints").iterdir())[-1]
    return {
        f"{file.name} {name}": array.asnumpy().tobytes()
        for file in [*checkpoint.glob("*.params"), folder / "run" / "last.params"]
        for name, array in nd.load(str(file)).items()
    }


def checkpoints(folder):
    return sorted(path.name for path in (folder / "run").glob("checkpoints/epoch*"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("how, flags", [("killed", EFFICIENTNET), ("stopped", SHORT)])
def test_a_killed_or_stopped_job_resumes_to_the_same_weights(engine, how, flags, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    command = [*engine_launcher(engine), *DO_EXP, *flags, "--distributed", engine]
    status, said = run(command, whole)
    assert status == 0, said
    with started(command, parts) as job:
        wait_until(lambda: "epoch-0001-batch-000002" in checkpoints(parts), job, parts)
        if how == "killed":
            number = {"DMLC_TASK_ID": 1} if engine == "dist_sync" else {"HOROVOD_RANK": 1}
            os.kill(with_variables(descendants(job.pid), **number), signal.SIGKILL)
        else:
            job.send_signal(signal.SIGTERM)
        status = job.wait(timeout=60)
    if how == "stopped":  # not ended by its own patience: it has written a checkpoint where it was
        assert "Stopped by SIGTERM" in (parts / "output.txt").read_text()
    if engine == "dist_sync":
        assert status == (137 if how == "killed" else 143), (parts / "output.txt").read_text()
    status, said = run([*command, "--resume"], parts)
    assert status == 0 and "Resumed after" in said, said
    assert last_weights(parts) == last_weights(whole)
    if how == "killed":
        assert any(name.startswith("statistics-1.params") for name in last_weights(whole))


@pytest.mark.parametrize("victim", ["worker", "server", "scheduler"])
def test_everything_ends_when_one_process_is_killed(victim, tmp_path):
    with started([*engine_launcher("dist_sync"), *DO_EXP, *LENET, "--distributed", "dist_sync"], tmp_path) as job:
        wait_until(lambda: checkpoints(tmp_path), job, tmp_path)
        family = descendants(job.pid)
        assert listening(family) == {LOOPBACK}
        variables = {"DMLC_TASK_ID": "1"} if victim == "worker" else {}
        os.kill(with_variables(family, DMLC_ROLE=victim, **variables), signal.SIGKILL)
        began = time.monotonic()
        assert job.wait(timeout=60) == 137
        assert time.monotonic() - began < 60
        name = {"worker": "worker 1", "server": "server 0", "scheduler": "scheduler"}[victim]
        assert f"launch.py: {name} was killed by SIGKILL: the others are ended" in (tmp_path / "output.txt").read_text()
        assert not any(Path(f"/proc/{pid}").exists() for pid in family) and not listening(family)


@pytest.mark.parametrize("engine", ENGINES[1:])
@pytest.mark.parametrize("victim", [0, 1])
def test_the_others_end_when_a_worker_of_horovod_is_killed(engine, victim, tmp_path):
    with started([*engine_launcher(engine), *DO_EXP, *LENET, "--distributed", engine], tmp_path) as job:
        wait_until(lambda: checkpoints(tmp_path), job, tmp_path)
        began = time.monotonic()
        os.kill(with_variables(descendants(job.pid), HOROVOD_RANK=victim), signal.SIGKILL)
        assert job.wait(timeout=60) == 1
        assert time.monotonic() - began < 60
    said = (tmp_path / "output.txt").read_text()
    assert f"Process {victim} exit with status code 137" in said
    assert f"do_exp.py: error: worker {1 - victim}: another worker is lost" in said


@pytest.mark.parametrize("engine", ENGINES)
def test_everything_ends_when_a_worker_raises(engine, tmp_path):
    options = {"batch_size": 64, "epochs": 5, "optimizer": "sgd", "die": [1, 1, 3]}
    status, said = run([*engine_launcher(engine), *WORKER, engine, str(tmp_path), json.dumps(options)], tmp_path)
    assert "Enough: this worker has had enough" in said
    if engine == "horovod":
        assert status == 1 and "Process 1 exit with status code 7" in said
    else:
        assert status == 7 and "launch.py: worker 1 ended with status 7: the others are ended" in said


def test_processes_end_with_a_launcher_that_is_killed(tmp_path):
    with started([*engine_launcher("dist_sync"), *DO_EXP, *LENET, "--distributed", "dist_sync"], tmp_path) as job:
        wait_until(lambda: checkpoints(tmp_path), job, tmp_path)
        family = descendants(job.pid)
        job.kill()
        job.wait()
        deadline = time.monotonic() + 30
        while any(Path(f"/proc/{pid}").exists() for pid in family):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_worker_ends_with_its_keeper(tmp_path):
    with started([*engine_launcher("dist_sync"), *DO_EXP, *LENET, "--distributed", "dist_sync"], tmp_path) as job:
        wait_until(lambda: checkpoints(tmp_path), job, tmp_path)
        family = descendants(job.pid)
        worker = with_variables(family, DMLC_ROLE="worker", DMLC_TASK_ID="1")
        keeper = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(keeper, signal.SIGKILL)
        assert job.wait(timeout=60) == 137
        assert not any(Path(f"/proc/{pid}").exists() for pid in family) and not listening(family)


def test_a_worker_ends_by_itself_even_if_nobody_reads_its_output(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    command = [*DO_EXP, "--distributed", "dist_sync", "--distributed-timeout", "3"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **UNANSWERED}, stderr=writer, timeout=60)
    os.close(writer)
    assert done.returncode == 1


def test_a_worker_ends_by_itself_if_nothing_answers(tmp_path):
    status, said = run([*DO_EXP, "--distributed", "dist_sync", "--distributed-timeout", "3"], tmp_path, **UNANSWERED)
    assert status == 1
    assert "worker 0 has waited 3 s for the scheduler at 127.0.0.1:9" in said


def test_workers_with_other_settings_do_not_start(tmp_path):
    shell = 'exec "$@" --lr 0.0$((DMLC_TASK_ID + 1))'
    command = ["sh", "-c", shell, "sh", *DO_EXP, *LENET, "--distributed", "dist_sync"]
    status, said = run([*engine_launcher("dist_sync"), *command], tmp_path)
    assert status == 2
    assert said.count("the workers' settings differ: ") == 1
    assert "--lr is 0.01 on worker 0, and 0.02 on worker 1" in said
    assert not (tmp_path / "run").exists()


def test_an_error_of_the_first_worker_is_printed_once(tmp_path):
    command = [*engine_launcher("dist_sync"), *DO_EXP, "--net", "lenett", "--distributed", "dist_sync"]
    status, said = run(command, tmp_path)
    assert status == 2
    assert said.count("do_exp.py: error: ") == 1 and "lenet" in said


def test_a_batch_must_be_divisible(tmp_path):
    command = [*engine_launcher("dist_sync"), *DO_EXP, *SAMPLE, "--batch-size", "33", "--distributed", "dist_sync"]
    status, said = run(command, tmp_path)
    assert status == 2 and re.findall("--batch-size 33 .* 2 workers.* 32, or 34", said)


@pytest.mark.parametrize(
    "engine, variables, message",
    [
        ("dist_sync", {}, "was not started as a worker"),
        (None, {"DMLC_ROLE": "worker"}, "add --distributed dist_sync"),
        (None, {"HOROVOD_SIZE": "2"}, "add --distributed horovod"),
        ("horovod", {"DMLC_ROLE": "worker"}, "was started for dist_sync: .*dist_sync.* horovodrun"),
        ("horovod", {}, "was not started as a worker.* horovodrun"),
    ],
)
def test_the_engine_must_be_the_launchers(engine, variables, message, monkeypatch):
    for name in ("DMLC_ROLE", "HOROVOD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)  # Horovod may not be installed
    with pytest.raises(ValueError, match=message):
        connect(engine)


def test_a_missing_horovod_can_be_built(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="make horovod"):
        connect("horovod")


def test_one_worker_alone_shares_with_itself():
    assert connect(None) is ALONE and (ALONE.size, ALONE.rank) == (1, 0)
    assert ALONE.from_first(lambda: [1, "a"]) == [1, "a"]
    assert ALONE.vote(15, 0) == [15, 0]  # its own vote, immediately
    assert (ALONE.sum(np.ones(3)) == np.ones(3)).all()


class FirstOfTwo(type(ALONE)):
    """The first of two workers. `other` is what the second one sends."""

    size = 2

    def __init__(self, other):
        super().__init__()
        self.other = iter(other)

    def sum(self, array):
        return array + next(self.other)


def test_differences_are_named_with_the_worker():
    other = json.dumps({"mxnet": "1.9.1", "numpy": "2.0"}).encode()
    mine = json.dumps({"mxnet": "1.9.1", "numpy": "1.26"}).encode()
    assert len(mine) == len(other) + 1
    theirs = np.zeros((2, len(mine)))
    theirs[1, : len(other)] = list(other)
    workers = FirstOfTwo([np.array([[0.0], [len(other)]]), theirs])
    with pytest.raises(SharedError, match="versions differ: numpy is 1.26 on worker 0, and 2.0 on worker 1"):
        workers.must_agree("versions", lambda: {"mxnet": "1.9.1", "numpy": "1.26"})
