"""`--dtype auto` and `--auto-batch`: their choices and reasons; and real trials, which do what a run does."""

import contextlib
import dataclasses
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

from gluon_classics import runtime
from gluon_classics.models import get_model
from gluon_classics.training import trial
from gluon_classics.training.trial import Trial, choose_accumulate, choose_dtype

import mxnet as mx
import pytest
from mxnet import autograd

ROOT = Path(__file__).parents[2]
SGD = {"learning_rate": 0.01, "momentum": 0.9}
LENET = Trial("lenet", {"num_classes": 10, "in_channels": 1}, 28, 120, [mx.cpu()], "sgd", SGD, None)


@pytest.fixture
def machine(monkeypatch):
    """Return a function that simulates a CPU with these instructions and these seconds per step in each turn."""

    def make(instructions, **seconds):
        def answer(_, dtype, accumulate):
            assert accumulate == 3
            each = next(turns[dtype])
            if isinstance(each, Exception):
                raise each
            return each

        turns = {dtype: iter(each) for dtype, each in seconds.items()}
        monkeypatch.setattr(trial, "_seconds_of_steps", answer)
        monkeypatch.setattr(runtime, "_prepared", dataclasses.replace(runtime.describe(), bfloat16=instructions))

    return make


def test_takes_bfloat16_if_it_is_faster(machine):
    machine("amx_bf16", float32=[[4.0, 4.1, 9.0], [3.9, 4.0]], bfloat16=[[2.0, 2.0, 2.0], [1.0, 8.0]])
    dtype, why = choose_dtype(LENET, 3)
    assert dtype == "bfloat16"
    # 120 images in 4 and in 2 seconds
    assert all(each in why for each in ("bfloat16", "float32 30.0 images/s, bfloat16 60.0", "amx_bf16"))


@pytest.mark.parametrize("seconds, dtype", [(1.05, "bfloat16"), (1.15, "float32"), (2.0, "float32")])
def test_ignores_a_gain_within_the_noise(machine, seconds, dtype):
    machine("avx512_bf16", float32=[[1.2] * 3] * 2, bfloat16=[[seconds] * 3] * 2)
    chosen, why = choose_dtype(LENET, 3)
    assert chosen == dtype
    assert why.startswith(f"--dtype auto takes {dtype}") and "float32 1" in why and "bfloat16 " in why


@pytest.mark.parametrize("instructions", ["", "emulated"])
def test_without_instructions_nothing_is_tried(machine, instructions):
    machine(instructions)
    dtype, why = choose_dtype(LENET, 3)
    assert dtype == "float32" and "no bfloat16 instructions" in why


def test_a_trial_that_fails(machine):
    error = subprocess.CalledProcessError(1, "python", stderr="Traceback\nMXNetError: no memory\n")
    machine("avx512_bf16", float32=[[1.0]], bfloat16=[error])
    dtype, why = choose_dtype(LENET, 3)
    assert dtype == "float32" and "bfloat16" in why and why.endswith("MXNetError: no memory")
    machine("avx512_bf16", float32=[subprocess.CalledProcessError(-9, "python", stderr="")])
    assert choose_dtype(LENET, 3)[1].endswith("exit status -9")


@pytest.mark.parametrize(
    "capabilities, gpus, dtype",
    [([(8, 6)], [0], "float16"), ([(7, 0)], [0], "float16"), ([(6, 1)], [0], "float32"),
     ([(8, 0), (6, 0)], [0, 1], "float32"), ([(6, 0), (8, 0)], [1], "float16")],
)  # fmt: skip
def test_gpus(monkeypatch, capabilities, gpus, dtype):
    monkeypatch.setattr(runtime.library, "query_driver", lambda: (11080, capabilities))
    chosen, why = choose_dtype(dataclasses.replace(LENET, devices=[mx.gpu(i) for i in gpus]), 1)
    assert chosen == dtype and why.startswith(f"--dtype auto takes {dtype}: ")


@pytest.mark.parametrize(
    "dying", [(-9, ""), (-11, "Segmentation fault"), (1, "Traceback\nMXNetError: Failed to allocate CPU Memory\n")]
)
def test_doubles_the_slices_until_a_batch_fits(monkeypatch, dying):
    tried = []

    def answer(_trial, _dtype, accumulate, least):
        tried.append(accumulate)
        if accumulate < 8:
            raise subprocess.CalledProcessError(dying[0], "python", stderr=dying[1])
        return [1.0]

    monkeypatch.setattr(trial, "_seconds_of_steps", answer)
    assert choose_accumulate(LENET, "float32", 2) == (8, "--auto-batch takes --accumulate 8, 15 at a time")
    assert tried == [2, 4, 8]


def test_auto_batch_says_what_else_went_wrong(monkeypatch):
    def fail(code, words):
        def answer(*_arguments, **_named):
            raise subprocess.CalledProcessError(code, "python", stderr=words)

        monkeypatch.setattr(trial, "_seconds_of_steps", answer)

    fail(1, "Traceback\nMXNetError: no such operator\n")
    with pytest.raises(ValueError, match="the trial failed: MXNetError: no such operator"):
        choose_accumulate(LENET, "float32")
    fail(-9, "")
    with pytest.raises(ValueError, match="not even single images of 28x28 fit"):
        choose_accumulate(LENET, "float32")


def test_the_images_at_a_time_are_those_of_the_largest_slice(monkeypatch):
    monkeypatch.setattr(trial, "_seconds_of_steps", lambda *_arguments, **_named: [1.0])
    assert choose_accumulate(LENET, "float32", 50)[1].endswith("--accumulate 50, 3 at a time")  # 20 of 3, 30 of 2


def test_a_real_trial():
    small = dataclasses.replace(LENET, batch_size=4, devices=[mx.cpu(0), mx.cpu(1)])
    seconds = trial._seconds_of_steps(small, "bfloat16" if runtime.describe().bfloat16 else "float32", 1)
    assert len(seconds) >= 4 and all(0 < each < 60 for each in seconds)
    assert choose_accumulate(small, "float32") == (1, "--auto-batch takes --accumulate 1, 4 at a time")


class Witness:
    """Stands in for a network, and notes each forward pass."""

    def __init__(self, net):
        self.net, self.passes = net, []

    def __getattr__(self, name):
        return getattr(self.net, name)

    def __call__(self, images):
        bias = next(p for name, p in self.net.collect_params().items() if name.endswith("bias"))
        here = bias.data(images.context).asnumpy()
        self.passes.append((images.shape, images.context, autograd.is_recording(), here))
        return self.net(images)


def test_it_evaluates_the_averaged_weights_on_one_slice_for_each_device(monkeypatch, capsys):
    witness = Witness(get_model("lenet", **LENET.net_args))
    monkeypatch.setattr(trial, "get_model", lambda *_arguments, **_named: witness)
    monkeypatch.setattr(trial, "perf_counter", itertools.count().__next__)  # each step takes a second
    devices = [mx.cpu(0), mx.cpu(1)]
    description = {**vars(LENET), "batch_size": 12, "ema": 0.8, "dtype": "float32", "accumulate": 3, "least": 4}
    description["devices"] = [(each.device_type, each.device_id) for each in devices]
    description["optimizer_settings"] = {"learning_rate": 0.1}
    trial._print_seconds(json.dumps(description))
    assert json.loads(capsys.readouterr().out) == [1, 1]  # of 4 steps, the first 2 left out

    *training, one, two = witness.passes[2:]  # the first two fix the shapes
    assert {recording for _, _, recording, _ in training} == {True}
    steps = training[:: 2 * 3]  # the first of each step's slices
    assert len(training) == 2 * 3 * 4
    trained = next(p for name, p in witness.collect_params().items() if name.endswith("bias")).data(devices[0])
    # TensorFlow's ExponentialMovingAverage, whose decay starts at 0.1
    average, *updates = [bias for *_, bias in steps] + [trained.asnumpy()]
    for t, bias in enumerate(updates):
        decay = min(0.8, (1 + t) / (10 + t))
        average = decay * average + (1 - decay) * bias
    for device, (shape, context, recording, bias) in zip(devices, (one, two)):
        assert (shape, context, recording) == ((2, 1, 28, 28), device, False)
        assert bias == pytest.approx(average, rel=1e-4) and bias != pytest.approx(updates[-1], rel=1e-4)


def peak_megabytes(description):
    """Of the process of a trial."""
    code = (
        "import json, resource, sys; import gluon_classics; from gluon_classics.training import trial; import mxnet\n"
        "tried = trial.Trial(**{**json.loads(sys.argv[1]), 'devices': [mxnet.cpu()]})\n"
        "trial._seconds_of_steps(tried, 'float32', 1, least=2)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    command = [sys.executable, "-c", code, json.dumps({**vars(description), "devices": None})]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    return float(done.stdout)


def test_a_trial_takes_the_memory_of_the_run():
    # a dense layer of 128 units on 50 maps of 50x50, 61 MB, beside which one image is little
    heavy = dataclasses.replace(LENET, size=208, batch_size=1, optimizer_settings={"learning_rate": 1e-4})
    plain = peak_megabytes(heavy)
    whole = peak_megabytes(dataclasses.replace(heavy, optimizer="adam", ema=0.9))
    weights = 4 * (50 * 50 * 50 * 128) / 2**20
    # Adam's two moments, the average, and while that is evaluated a copy of the weights
    assert whole - plain == pytest.approx(4 * weights, rel=0.2)


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
@pytest.mark.parametrize("end", ["SIGKILL", "os._exit"])
def test_a_trial_ends_with_its_parent(tmp_path, end):
    # a clock that stands still keeps a trial training for ever, and tells who is training
    (tmp_path / "sitecustomize.py").write_text(
        "import os, pathlib, time\n"
        f"time.perf_counter = lambda: pathlib.Path({str(tmp_path)!r}, f'{{os.getpid()}}.pid').touch() or 0.0\n"
    )
    code = (
        "import os, sys, threading\n"
        "from gluon_classics.training.trial import Trial, choose_accumulate\n"
        "import mxnet as mx\n"
        "threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()\n"
        "args = {'num_classes': 10, 'in_channels': 1}\n"
        "choose_accumulate(Trial('lenet', args, 28, 2, [mx.cpu()], 'sgd', {}, None), 'float32')\n"
    )
    path = os.pathsep.join(map(str, [tmp_path, ROOT]))
    environment = {**os.environ, "PYTHONPATH": path}
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, env=environment)
    child = None
    try:
        child = int(wait_for(lambda: [each.stem for each in tmp_path.glob("*.pid")], 120)[0])
        assert child != parent.pid and is_running(child)
        parent.kill() if end == "SIGKILL" else parent.stdin.close()
        parent.wait(30)
        wait_for(lambda: not is_running(child), 30)
    finally:
        parent.kill()
        parent.wait()
        if child and is_running(child):
            os.kill(child, 9)


def test_a_trial_whose_parent_ended_before_it_began_does_nothing():
    code = "from gluon_classics.training.trial import _end_with; _end_with(2**30); print('trains')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""


def wait_for(answer, seconds):
    deadline = monotonic() + seconds
    while not (found := answer()):
        assert monotonic() < deadline
        sleep(0.05)
    return found


def is_running(process):
    """Not so a zombie, which nobody has asked for its status."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
