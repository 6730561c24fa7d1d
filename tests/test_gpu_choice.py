"""CPU build or GPU build: which libraries are loaded, in which order, and what the user reads, with a fake driver."""

import ctypes
import inspect
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

from gluon_classics import runtime
from gluon_classics.runtime import library

import pytest

ROOT = Path(__file__).parent.parent
ORDER = [  # the libraries of mxnet-cu112 1.9.1, dependencies first
    "libcudart.so.11.0",
    "libnvToolsExt.so.1",
    "libnvrtc.so.11.2",
    "libcublasLt.so.11",
    "libcublas.so.11",
    "libcusolver.so.11",
    "libcufft.so.10",
    "libcurand.so.10",
    "libnccl.so.2",
    "libcudnn.so.8",
]


class FakeDriver:
    """A fake of libcuda.so.1 and of libcudart.so.11.0."""

    def __init__(self, capabilities=((8, 6),), version=11080, error=0, runtime_error=0):
        self.capabilities, self.version, self.error, self.runtime_error = capabilities, version, error, runtime_error

    def cudaGetDeviceCount(self, count):
        count._obj.value = len(self.capabilities)
        return self.runtime_error

    def cuInit(self, flags):
        return self.error

    def cuDriverGetVersion(self, version):
        version._obj.value = self.version
        return 0

    def cuDeviceGetCount(self, count):
        count._obj.value = len(self.capabilities)
        return 0

    def cuDeviceGet(self, device, index):
        device._obj.value = index
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):
        value._obj.value = self.capabilities[device.value][attribute - 75]  # 75 major, 76 minor in cuda.h
        return 0


class Machine:
    """A machine with all shared libraries except the missing ones; `opened` lists what was requested."""

    def __init__(self, driver, missing=()):
        self.driver, self.missing, self.opened = driver, missing, []

    def open(self, name, mode=ctypes.DEFAULT_MODE):
        self.opened.append(name)
        if Path(name).name in self.missing or (name == "libcuda.so.1" and self.driver is None):
            raise OSError(f"{Path(name).name}: cannot open shared object file: No such file or directory")
        return self.driver

    @property
    def names(self):
        return [Path(name).name for name in self.opened]


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that makes a machine with or without a GPU build in its folder."""
    monkeypatch.setenv(library.FOLDER_VARIABLE, str(tmp_path / "gpu"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def make(driver=None, missing=(), build=True):
        if build:
            (tmp_path / "gpu/mxnet").mkdir(parents=True)
            (tmp_path / "gpu/mxnet/libmxnet.so").touch()
        made = Machine(driver, missing)
        monkeypatch.setattr(ctypes, "CDLL", made.open)
        return made

    return make


@pytest.fixture
def site(tmp_path):
    """A site-packages folder with the CPU wheel."""
    folder = tmp_path / "site-packages"
    (folder / "mxnet-1.9.1.dist-info").mkdir(parents=True)
    return folder


def test_a_supported_gpu_gets_the_gpu_build_after_its_libraries(machine, site, tmp_path):
    made, environ = machine(FakeDriver()), {}
    chosen = library.choose(environ, site)
    assert chosen == library.Library("gpu", "1 GPU")
    assert made.names == ["libcuda.so.1", *ORDER, "libmxnet.so"]
    assert all(name.startswith(str(tmp_path / "gpu")) for name in made.opened[1:])
    assert environ["MXNET_LIBRARY_PATH"] == str(tmp_path / "gpu/mxnet/libmxnet.so")
    assert "MXNET_USE_FUSION" not in environ


def test_if_cuda_does_not_start_the_cpu_build_runs(machine, site):
    machine(FakeDriver(runtime_error=36))
    environ = {}
    chosen = library.choose(environ, site)
    assert (chosen.kind, chosen.worth_saying) == ("cpu", True)
    assert "CUDA error 36" in chosen.reason
    assert "MXNET_LIBRARY_PATH" not in environ


def test_a_driver_before_cuda_11_8_disables_fused_kernels(machine, site):
    machine(FakeDriver(version=11040))
    environ = {}
    assert library.choose(environ, site).kind == "gpu"
    assert environ["MXNET_USE_FUSION"] == "0"


@pytest.mark.parametrize("capability", [(5, 0), (5, 2), (6, 1), (7, 0), (7, 5), (8, 0), (8, 6), (8, 9)])
def test_supported_capabilities(machine, site, capability):
    machine(FakeDriver([capability]))
    assert library.choose({}, site).kind == "gpu"


@pytest.mark.parametrize("capability, text", [((9, 0), "9.0"), ((10, 0), "10.0"), ((12, 0), "12.0"), ((3, 7), "3.7")])
def test_capabilities_that_do_not_run(machine, site, capability, text):
    made, environ = machine(FakeDriver([capability])), {}
    chosen = library.choose(environ, site)
    assert (chosen.kind, environ, made.names) == ("cpu", {}, ["libcuda.so.1"])
    assert f"compute capability {text}" in chosen.reason and "5.x to 8.x" in chosen.reason
    assert chosen.worth_saying


def test_an_unsupported_gpu_is_named(machine, site):
    machine(FakeDriver([(8, 0), (9, 0)]))
    chosen = library.choose({}, site)
    assert chosen.kind == "cpu"
    assert "GPU 1" in chosen.reason and "CUDA_VISIBLE_DEVICES" in chosen.reason


def test_a_machine_without_gpu_gets_no_message(machine, site):
    made = machine(driver=None, build=False)
    chosen = library.choose({}, site)
    assert chosen.kind == "cpu" and "no NVIDIA driver" in chosen.reason
    assert not chosen.worth_saying
    assert made.names == ["libcuda.so.1"]


def test_a_gpu_build_without_driver_gets_a_message(machine, site):
    machine(driver=None)
    assert library.choose({}, site).worth_saying


def test_gpu_without_the_build_names_the_command(machine, site):
    machine(FakeDriver(), build=False)
    chosen = library.choose({}, site)
    assert (chosen.kind, chosen.worth_saying) == ("cpu", True)
    assert "make gpu" in chosen.reason


@pytest.mark.parametrize("missing", ["libcudnn.so.8", "libcudart.so.11.0", "libmxnet.so"])
def test_a_missing_library_is_named_and_the_cpu_taken(machine, site, missing):
    machine(FakeDriver(), missing=[missing])
    environ = {}
    chosen = library.choose(environ, site)
    assert (chosen.kind, environ) == ("cpu", {})
    assert missing in chosen.reason and "make gpu" in chosen.reason


@pytest.mark.parametrize(
    "driver, text",
    [
        (FakeDriver(error=999), "CUDA error 999"),
        (FakeDriver(error=100), "shows no GPU"),
        (FakeDriver([]), "shows no GPU"),
        (FakeDriver(version=10020), "CUDA 10.2"),
    ],
)
def test_unusable_drivers(machine, site, driver, text):
    machine(driver)
    chosen = library.choose({}, site)
    assert chosen.kind == "cpu" and text in chosen.reason


def test_hidden_gpus_are_explained(machine, site, monkeypatch):
    machine(FakeDriver([]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert "CUDA_VISIBLE_DEVICES='-1'" in library.choose({}, site).reason


def test_the_users_own_library_stays(machine, site):
    made, environ = machine(FakeDriver()), {"MXNET_LIBRARY_PATH": "/opt/mxnet/libmxnet.so"}
    assert library.choose(environ, site).reason == "MXNET_LIBRARY_PATH=/opt/mxnet/libmxnet.so"
    assert (made.opened, environ) == ([], {"MXNET_LIBRARY_PATH": "/opt/mxnet/libmxnet.so"})


def test_a_child_process_chooses_again(machine, site, tmp_path):
    environ = {"MXNET_LIBRARY_PATH": str(tmp_path / "gpu/mxnet/libmxnet.so")}
    made = machine(FakeDriver())
    assert library.choose(environ, site).kind == "gpu"
    assert made.names[1:-1] == ORDER
    made.driver = FakeDriver([])
    assert library.choose(environ, site).kind == "cpu"
    assert "MXNET_LIBRARY_PATH" not in environ


@pytest.fixture
def classic(tmp_path):
    """A site-packages folder with mxnet-cu112 alone."""
    folder = tmp_path / "site-packages"
    (folder / "mxnet_cu112-1.9.1.dist-info").mkdir(parents=True)
    return folder


def test_classic_environment_with_system_cuda_is_left_alone(machine, classic):
    made, environ = machine(FakeDriver()), {}
    assert library.choose(environ, classic).kind == "given"
    assert (made.opened, environ) == (["libcudart.so.11.0"], {})


def test_classic_environment_takes_nvidias_wheels_where_the_system_has_no_cuda(machine, classic, monkeypatch):
    for name in library.CUDA_LIBRARIES:
        (classic / "nvidia" / name).parent.mkdir(parents=True, exist_ok=True)
        (classic / "nvidia" / name).touch()
    made = machine(FakeDriver())
    find = made.open

    def no_system_cuda(name, mode=ctypes.DEFAULT_MODE):
        library_file = find(name, mode)
        if name == "libcudart.so.11.0":
            raise OSError(name)
        return library_file

    monkeypatch.setattr(ctypes, "CDLL", no_system_cuda)
    assert library.choose({}, classic).kind == "given"
    assert made.names == ["libcudart.so.11.0", *ORDER]


def test_both_wheels_in_one_environment_are_reported(machine, classic, monkeypatch, caplog):
    machine(driver=None)
    (classic / "mxnet-1.9.1.dist-info").mkdir()

    class Spec:
        origin = str(classic / "mxnet/__init__.py")

    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: Spec)
    with caplog.at_level(logging.WARNING, "gluon_classics"):
        runtime._choose_library(imported_before=True)
    assert "both installed" in caplog.text and "pip uninstall -y mxnet mxnet-cu112" in caplog.text


def test_the_cpu_wheel_alone_is_not_reported(site):
    assert not library.has_both_wheels(site)


def test_the_gpu_wheel_alone_is_not_reported(classic):
    assert not library.has_both_wheels(classic)


END_TO_END = """
import ctypes, json
{driver}
real, opened = ctypes.CDLL, []

def fake(name, *args, **kwargs):
    if name and ("libcuda.so" in name or "/nvidia/" in name):
        opened.append(name.rpartition("/")[2])
        return FakeDriver()
    return real(name, *args, **kwargs)

ctypes.CDLL = fake
import gluon_classics
import mxnet as mx
print(json.dumps([opened, mx.libinfo.find_lib_path(), mx.nd.ones(2).asnumpy().tolist()]))
"""


def test_mxnet_loads_from_the_folder(tmp_path):
    """In a new interpreter, with links to the installed CPU library in the folder of the GPU build."""
    import mxnet as mx

    folder = tmp_path / "gpu/mxnet"
    folder.mkdir(parents=True)
    for file in Path(mx.__file__).parent.glob("*.so*"):
        (folder / file.name).symlink_to(file)
    environ = {key: value for key, value in os.environ.items() if key != "MXNET_LIBRARY_PATH"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", END_TO_END.replace("{driver}", inspect.getsource(FakeDriver))],
        env={**environ, library.FOLDER_VARIABLE: str(tmp_path / "gpu")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    opened, path, ones = json.loads(done.stdout)
    assert opened == ["libcuda.so.1", *ORDER]
    assert path == [str(folder / "libmxnet.so")]
    assert ones == [1, 1]
