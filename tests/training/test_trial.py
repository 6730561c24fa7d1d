"""`--dtype auto`: what it takes, and what it says, for given speeds and devices; and one real trial."""

import dataclasses
import subprocess

from gluon_classics import runtime
from gluon_classics.training import trial
from gluon_classics.training.trial import Trial, choose_accumulate, choose_dtype

import mxnet as mx
import pytest

LENET = Trial("lenet", {"num_classes": 10, "in_channels": 1}, 28, 120, [mx.cpu()])


@pytest.fixture
def machine(monkeypatch):
    """A function that makes a CPU with these instructions, and these seconds for the steps of each turn."""

    def make(instructions, **seconds):
        def answer(_, dtype):
            each = next(turns[dtype])
            if isinstance(each, Exception):
                raise each
            return each

        turns = {dtype: iter(each) for dtype, each in seconds.items()}
        monkeypatch.setattr(trial, "_seconds_of_steps", answer)
        monkeypatch.setattr(runtime, "_prepared", dataclasses.replace(runtime.describe(), bfloat16=instructions))

    return make


def test_takes_bfloat16_where_it_is_faster(machine):
    machine("amx_bf16", float32=[[4.0, 4.1, 9.0], [3.9, 4.0]], bfloat16=[[2.0, 2.0, 2.0], [1.0, 8.0]])
    assert choose_dtype(LENET) == (
        "bfloat16",
        "--dtype auto takes bfloat16: 60.0 images/s, float32 30.0 (amx_bf16)",  # 120 images in 2 and in 4 seconds
    )


@pytest.mark.parametrize("seconds, dtype", [(1.05, "bfloat16"), (1.15, "float32"), (2.0, "float32")])
def test_a_gain_within_the_noise_is_left(machine, seconds, dtype):
    machine("avx512_bf16", float32=[[1.2] * 3] * 2, bfloat16=[[seconds] * 3] * 2)
    chosen, why = choose_dtype(LENET)
    assert chosen == dtype
    assert why.startswith(f"--dtype auto takes {dtype}: ") and "float32" in why and "bfloat16" in why


@pytest.mark.parametrize("instructions", ["", "emulated"])
def test_without_instructions_nothing_is_tried(machine, instructions):
    machine(instructions)
    assert choose_dtype(LENET) == ("float32", "--dtype auto takes float32: this processor has no bfloat16 instructions")


def test_a_trial_that_fails(machine):
    error = subprocess.CalledProcessError(1, "python", stderr="Traceback\nMXNetError: no memory\n")
    machine("avx512_bf16", float32=[[1.0]], bfloat16=[error])
    assert choose_dtype(LENET) == (
        "float32",
        "--dtype auto takes float32: the trial in bfloat16 failed: MXNetError: no memory",
    )
    machine("avx512_bf16", float32=[subprocess.CalledProcessError(-9, "python", stderr="")])
    assert choose_dtype(LENET)[1].endswith("the trial in float32 failed: exit status -9")


@pytest.mark.parametrize(
    "capabilities, gpus, dtype",
    [([(8, 6)], [0], "float16"), ([(7, 0)], [0], "float16"), ([(6, 1)], [0], "float32"),
     ([(8, 0), (6, 0)], [0, 1], "float32"), ([(6, 0), (8, 0)], [1], "float16")],
)  # fmt: skip
def test_gpus(monkeypatch, capabilities, gpus, dtype):
    monkeypatch.setattr(runtime.library, "query_driver", lambda: (11080, capabilities))
    chosen, why = choose_dtype(dataclasses.replace(LENET, devices=[mx.gpu(i) for i in gpus]))
    assert chosen == dtype and why.startswith(f"--dtype auto takes {dtype}: ")


@pytest.mark.parametrize(
    "dying",
    [(-9, ""), (-11, "Segmentation fault"), (1, "Traceback\nMXNetError: Failed to allocate CPU Memory\n")],
)
def test_as_many_slices_as_memory_asks_for(monkeypatch, dying):
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


def test_a_real_trial():
    small = dataclasses.replace(LENET, batch_size=4, devices=[mx.cpu(0), mx.cpu(1)])
    seconds = trial._seconds_of_steps(small, "bfloat16" if runtime.describe().bfloat16 else "float32")
    assert len(seconds) >= 4 and all(0 < each < 60 for each in seconds)
    assert choose_accumulate(small, "float32") == (1, "--auto-batch takes --accumulate 1, 4 at a time")
