"""Devices and the flag --gpus on machines with no GPU and with two; MXNet's count is a fake."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from gluon_classics import devices, runtime

import mxnet as mx
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def gpus(monkeypatch):
    """Return a function that sets the number of GPUs that MXNet finds."""

    def set_number(number):
        monkeypatch.setattr(mx.context, "num_gpus", lambda: number)
        monkeypatch.setattr(runtime, "gpu_reason", lambda: "" if number else "the driver sleeps")

    return set_number


def test_without_gpu_the_cpu_is_taken(gpus):
    gpus(0)
    assert devices.try_gpu() == mx.cpu()
    assert devices.try_all_gpus() == [mx.cpu()]
    assert devices.parse_gpus("all") == devices.parse_gpus("none") == [mx.cpu()]


def test_with_gpus(gpus):
    gpus(2)
    assert devices.try_gpu() == mx.gpu(0)
    assert devices.try_all_gpus() == [mx.gpu(0), mx.gpu(1)]
    assert devices.parse_gpus("all") == [mx.gpu(0), mx.gpu(1)]
    assert devices.parse_gpus("none") == [mx.cpu()]
    assert devices.parse_gpus("1") == [mx.gpu(1)]
    assert devices.parse_gpus(" 1, 0 ") == [mx.gpu(1), mx.gpu(0)]


@pytest.mark.parametrize("text", ["", "two", "0;1", "-1", "0,", "1.5", "\u00b2"])
def test_a_text_that_means_nothing_is_named_with_the_choices(gpus, text):
    gpus(2)
    with pytest.raises(ValueError) as error:
        devices.parse_gpus(text)
    assert repr(text) in str(error.value)
    assert all(choice in str(error.value) for choice in ("all", "none", "0,1"))


def test_a_gpu_twice_is_refused(gpus):
    gpus(2)
    with pytest.raises(ValueError, match="twice"):
        devices.parse_gpus("0,0")


def test_an_absent_gpu_is_refused_with_the_reason(gpus):
    gpus(0)
    with pytest.raises(ValueError, match=r"'0'.*no GPU 0.*the driver sleeps.*none"):
        devices.parse_gpus("0")


def test_a_number_too_high_is_refused_with_those_that_are_there(gpus):
    gpus(2)
    with pytest.raises(ValueError, match=r"'0,2'.*no GPU 2.*has 0,1.*all, none"):
        devices.parse_gpus("0,2")


def test_a_driver_error_counts_as_no_gpu(monkeypatch):
    def fail():
        raise mx.MXNetError("CUDA: unknown error")

    monkeypatch.setattr(mx.context, "num_gpus", fail)
    assert devices.try_gpu() == mx.cpu()


def test_counting_gpus_prints_nothing():
    code = "from gluon_classics import devices; devices.try_all_gpus()"
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    said = [line for line in done.stderr.splitlines() if not line.startswith("MXNet runs on the CPU: ")]
    assert (done.returncode, done.stdout, said) == (0, "", [])


@pytest.mark.parametrize(
    "contexts, workers, static_shape",
    [
        ([mx.cpu()], None, True),
        ([mx.cpu()], "1", True),
        ([mx.cpu()], "2", False),
        ([mx.cpu(0), mx.cpu(1)], None, False),
        ([mx.gpu(0)], None, False),
    ],
)
def test_shapes_are_fixed_on_one_cpu_with_one_worker_alone(contexts, workers, static_shape, monkeypatch):
    monkeypatch.delenv("MXNET_CPU_WORKER_NTHREADS", raising=False)
    if workers:
        monkeypatch.setenv("MXNET_CPU_WORKER_NTHREADS", workers)
    asked = {}
    devices.hybridize(SimpleNamespace(hybridize=asked.update), contexts)
    assert asked == {"static_alloc": True, "static_shape": static_shape}
