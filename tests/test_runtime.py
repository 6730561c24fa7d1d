"""`import gluon_classics` and `import mxnet` in new interpreters: what works, what is recorded, and error messages."""

import dataclasses
import json
import platform
import subprocess
import sys
from pathlib import Path

from gluon_classics import runtime
from gluon_classics.runtime import errors

import pytest

ROOT = Path(__file__).parent.parent


def run(code):
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_net_trains_in_a_new_interpreter():
    code = """
import gluon_classics
import mxnet as mx
net = mx.gluon.nn.Dense(1)
net.initialize()
trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
x = mx.nd.array([[1.0], [2.0]])
losses = []
for _ in range(5):
    with mx.autograd.record():
        loss = ((net(x) - 3 * x) ** 2).mean()
    loss.backward()
    trainer.step(1)
    losses.append(loss.asscalar())
assert losses == sorted(losses, reverse=True), losses
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_imports_no_library():
    done = run("import gluon_classics, sys; print(sorted({'mxnet', 'numpy'} & sys.modules.keys()))")
    assert done.stdout == "[]\n", done.stderr


def test_asking_for_mxnet_does_not_import_it():
    code = """
import importlib.util, sys
import gluon_classics
assert importlib.util.find_spec("mxnet").origin.endswith("__init__.py")
assert "mxnet" not in sys.modules and gluon_classics.runtime._prepared is None
import mxnet
assert gluon_classics.runtime._prepared and mxnet.__spec__.loader.get_source("mxnet")
assert not any(isinstance(finder, gluon_classics.runtime.ImportHook) for finder in sys.meta_path)
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_describing_imports_mxnet():
    done = run(
        "import sys; from gluon_classics import runtime; print(runtime.describe().mxnet, 'mxnet' in sys.modules)"
    )
    assert done.stdout == "1.9.1 True\n", done.stderr


def test_numpy_and_threads_can_come_first():
    code = """
import numpy
import gluon_classics
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    modules = list(pool.map(lambda _: __import__("mxnet"), range(4)))
assert modules[0].nd.ones(2).sum().asscalar() == 2 and len(set(map(id, modules))) == 1
assert numpy.asarray(modules[0].nd.ones(2)).tolist() == [1, 1]
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_description_is_a_record_of_plain_values():
    import mxnet
    import numpy

    record = json.loads(json.dumps(dataclasses.asdict(runtime.describe())))
    assert record["python"] == platform.python_version()
    assert record["numpy"] == numpy.__version__
    assert record["mxnet"] == mxnet.__version__ == "1.9.1"
    assert record["library"] in ("cpu", "gpu")
    assert record["threads"] >= 1
    assert record["library_reason"] and record["threads_source"] and record["wait_policy"]


def test_preparing_again_does_nothing():
    before = runtime.describe()
    runtime.prepare()
    assert runtime.describe() is before


def test_the_reason_for_no_gpu():
    import mxnet

    assert bool(runtime.gpu_reason()) == (mxnet.context.num_gpus() == 0)


def test_mxnet_imported_before_is_left_as_it_is():
    """compat.py supplies MXNet's names first, so that the import works with every NumPy."""
    code = """
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("compat", "gluon_classics/runtime/compat.py")
compat = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compat)
compat.before_mxnet()
import mxnet
before = dict(os.environ)
from gluon_classics import runtime
assert os.environ == before
assert runtime.describe().library_reason == runtime.describe().threads_source == runtime.IMPORTED_BEFORE
assert runtime.describe().threads >= 1
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


# A finder that fails as the import of MXNet would.
FAIL = """
import sys
class Fail:
    def find_spec(self, name, path=None, target=None):
        if name == "mxnet":
            raise {error}
sys.meta_path.insert(0, Fail())
import gluon_classics
import mxnet
"""


@pytest.mark.parametrize(
    "error, texts",
    [
        ("ModuleNotFoundError('no', name='mxnet')", ["package mxnet is not installed", "pip install"]),
        ("OSError('libgomp.so.1: cannot open shared object file: No such file')", ["libgomp.so.1", "install libgomp1"]),
        ("OSError('libquadmath.so.0: cannot open shared object file: No')", ["libquadmath.so.0", "libquadmath0"]),
        ("OSError('libcuda.so.1: cannot open shared object file: No such file')", ["NVIDIA driver", "pip uninstall"]),
        ("OSError('libcudart.so.11.0: cannot open shared object file: No')", ["CUDA 11", "make gpu"]),
        ("""OSError("/lib/libm.so.6: version `GLIBC_2.27' not found")""", ["GLIBC_2.27", "newer Linux"]),
        ("RuntimeError('Cannot find the MXNet library.')", ["--force-reinstall", "mxnet==1.9.1"]),
    ],
)
def test_error_messages(error, texts):
    with pytest.raises(Exception) as caught:
        exec(f"raise {error}")
    text = errors.why_not_loaded(caught.value)
    assert "\n" not in text
    for part in texts:
        assert part in text


def test_missing_mxnet_is_an_import_error_with_the_command():
    done = run(FAIL.format(error="ModuleNotFoundError('no', name='mxnet')"))
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("ImportError: ") and "pip install -r requirements.txt" in last


def test_missing_library_is_an_import_error_with_the_package():
    done = run(FAIL.format(error="OSError('libgomp.so.1: cannot open shared object file: No such file')"))
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ") and "apt-get install libgomp1" in last


def test_a_repaired_mxnet_is_imported_after_a_failure():
    code = FAIL.format(error="OSError('libgomp.so.1: cannot open shared object file')").replace("import mxnet", "")
    code += """
for attempt in range(2):
    try:
        import mxnet
    except ImportError as error:
        assert "libgomp1" in str(error)
    else:
        raise AssertionError
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Fail)]
print(gluon_classics.runtime.describe().mxnet)
"""
    done = run(code)
    assert done.stdout == "1.9.1\n", done.stderr


@pytest.mark.parametrize("version, no_deps", [((3, 9), False), ((3, 12), False), ((3, 13), True)])
def test_the_command_fits_this_python(monkeypatch, version, no_deps):
    monkeypatch.setattr(sys, "version_info", version)
    assert ("--no-deps mxnet==1.9.1" in errors.install_command()) == no_deps


@pytest.mark.parametrize("system, machine", [("Darwin", "arm64"), ("Windows", "AMD64"), ("Linux", "aarch64")])
def test_other_platforms_read_which_one_works(monkeypatch, system, machine):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    text = errors.why_not_loaded(ModuleNotFoundError("no", name="mxnet"))
    assert "Linux x86-64" in text and f"{system} {machine}" in text


def test_a_driver_error_is_the_reason_for_no_gpu(monkeypatch):
    import mxnet

    def fails():
        raise mxnet.MXNetError("Traceback (most recent call last):\nCUDA: Check failed: e == cudaSuccess (36 vs. 0)")

    monkeypatch.setattr(runtime, "_prepared", dataclasses.replace(runtime.describe(), library="gpu"))
    monkeypatch.setattr(mxnet.context, "num_gpus", fails)
    assert "CUDA: Check failed: e == cudaSuccess (36 vs. 0)" in runtime.gpu_reason()
