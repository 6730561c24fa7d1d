"""AMX and bfloat16 with fake processors and kernels, and what oneDNN reports about this machine."""

import errno
import json
import logging
import os
import platform
import subprocess
import sys
from pathlib import Path

from gluon_classics.runtime import amx

import pytest

ROOT = Path(__file__).parent.parent
SKYLAKE = "avx2 avx512f avx512bw avx512dq avx512vl"
GENOA = SKYLAKE + " avx512_bf16"
SAPPHIRE_RAPIDS = GENOA + " amx_bf16 avx512_fp16 amx_tile amx_int8"


@pytest.fixture
def processor(tmp_path, monkeypatch):
    """Return a function that makes a machine with these processor flags."""
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")

    def make(flags):
        (tmp_path / "proc").mkdir()
        cpuinfo = f"processor\t: 0\nmodel name\t: X\nflags\t\t: fpu {flags} sse\nvmx flags\t: vnmi\nbugs\t\t:\n\n"
        (tmp_path / "proc/cpuinfo").write_text(cpuinfo * 2)
        return tmp_path

    return make


class Kernel:
    """A request that returns an error number and counts its calls."""

    def __init__(self, error=0):
        self.error, self.asked = error, 0

    def __call__(self):
        self.asked += 1
        return self.error


def chosen(environ, root, kernel):
    """Return the choice, and the environment after it."""
    choice, after = amx.choose(environ, root, kernel), dict(environ)
    amx.apply(choice, after)
    return choice, after


def test_granted(processor):
    root = processor(SAPPHIRE_RAPIDS)
    choice, environ = chosen({}, root, Kernel())
    assert choice.enabled
    assert environ == {"DNNL_MAX_CPU_ISA": "AVX512_CORE_AMX"}
    assert amx.bfloat16_instructions(choice, environ, root) == "amx_bf16"


@pytest.mark.parametrize("error", ["EPERM", "ENOSYS", "EINVAL", "EOPNOTSUPP"])
def test_refused(processor, error):
    root = processor(SAPPHIRE_RAPIDS)
    choice, environ = chosen({}, root, Kernel(getattr(errno, error)))
    assert not choice.enabled
    assert errno.errorcode[getattr(errno, error)] in choice.reason
    assert environ == {}  # with the variable but without permission the process would crash
    assert amx.bfloat16_instructions(choice, environ, root) == "avx512_bf16"


@pytest.mark.parametrize("flags", [GENOA, GENOA + " amx_tile", GENOA + " amx_tile amx_int8", GENOA + " amx_bf16", ""])
def test_without_the_processors_flags_the_kernel_is_not_asked(processor, flags):
    kernel = Kernel()
    choice, environ = chosen({}, processor(flags), kernel)
    assert (choice, environ, kernel.asked) == (amx.Amx(False, "the processor has no AMX"), {}, 0)


def test_without_cpuinfo(tmp_path):
    assert not amx.choose({}, tmp_path, Kernel()).enabled


@pytest.mark.parametrize("system, machine", [("Darwin", "x86_64"), ("Linux", "aarch64")])
def test_other_platforms_make_no_system_call(processor, monkeypatch, system, machine):
    root, kernel = processor(SAPPHIRE_RAPIDS), Kernel()  # where 158 is another system call
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert not amx.choose({}, root, kernel).enabled
    assert kernel.asked == 0


@pytest.mark.parametrize("value", ["AVX2", "AVX512_CORE_BF16", "ALL"])
def test_the_users_own_limit_stays(processor, value):
    environ, kernel = {"DNNL_MAX_CPU_ISA": value}, Kernel()
    choice, after = chosen(environ, processor(SAPPHIRE_RAPIDS), kernel)
    assert not choice.enabled and kernel.asked == 0
    assert f"DNNL_MAX_CPU_ISA={value}" in choice.reason
    assert after == environ


def test_the_users_own_amx_gets_the_permission(processor):
    environ, kernel = {"DNNL_MAX_CPU_ISA": "avx512_core_amx"}, Kernel()
    choice, after = chosen(environ, processor(SAPPHIRE_RAPIDS), kernel)
    assert choice.enabled and kernel.asked == 1
    assert after == environ


@pytest.mark.parametrize("flags, error, why", [(SAPPHIRE_RAPIDS, errno.EPERM, "EPERM"), (GENOA, 0, "no AMX")])
def test_the_users_own_amx_is_removed_where_it_would_crash(processor, caplog, flags, error, why):
    with caplog.at_level(logging.WARNING, "gluon_classics"):
        choice, after = chosen({"DNNL_MAX_CPU_ISA": "AVX512_CORE_AMX"}, processor(flags), Kernel(error))
    assert not choice.enabled and after == {}
    assert "DNNL_MAX_CPU_ISA=AVX512_CORE_AMX" in caplog.text and why in caplog.text


@pytest.mark.parametrize(
    "flags, limit, instructions",
    [
        (GENOA, "", "avx512_bf16"),
        (GENOA, "ALL", "avx512_bf16"),
        (GENOA, "AVX512_CORE_BF16", "avx512_bf16"),
        (GENOA, "AVX512_CORE", "emulated"),
        (GENOA, "AVX512_CORE_VNNI", "emulated"),
        (GENOA, "AVX2", ""),
        (SKYLAKE, "", "emulated"),
        ("avx2 fma", "", ""),
        ("avx2 avx512f avx512cd avx512er", "", ""),  # Knights Landing, for which oneDNN 2.4 has no bfloat16
    ],
)
def test_instructions_for_bfloat16(processor, flags, limit, instructions):
    environ = {"DNNL_MAX_CPU_ISA": limit} if limit else {}
    assert amx.bfloat16_instructions(amx.Amx(False, ""), environ, processor(flags)) == instructions


# A convolution makes oneDNN print the instructions that it uses.
CONVOLVE = """
import dataclasses, json, gluon_classics
from mxnet import nd
x, w = nd.ones((1, 16, 8, 8)), nd.ones((16, 16, 3, 3))
if gluon_classics.runtime.describe().bfloat16:
    from mxnet.contrib.amp.amp import bfloat16
    x, w = nd.amp_cast(x, dtype=bfloat16), nd.amp_cast(w, dtype=bfloat16)
y = nd.Convolution(x, w, kernel=(3, 3), num_filter=16, no_bias=True)
assert (nd.amp_cast(y, dtype="float32").asnumpy() == 144).all()
print(json.dumps(dataclasses.asdict(gluon_classics.runtime.describe())))
"""


def convolve(limit=None):
    """Return the description and oneDNN's line on its instructions, from a new interpreter."""
    environ = {name: value for name, value in os.environ.items() if name != "DNNL_MAX_CPU_ISA"}
    environ.update({"DNNL_VERBOSE": "1", "OMP_NUM_THREADS": "1"}, **({"DNNL_MAX_CPU_ISA": limit} if limit else {}))
    command = [sys.executable, "-W", "ignore", "-c", CONVOLVE]
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    return json.loads(lines[-1]), next(line for line in lines if "info,cpu,isa:" in line)


@pytest.mark.parametrize("limit", [None, "AVX512_CORE_AMX", "AVX2"])
def test_onednn_on_this_machine_agrees(limit):
    description, isa = convolve(limit)
    assert description["amx"] == ("AMX" in isa)
    assert description["amx_reason"]
    expected = "amx_bf16" if "AMX" in isa else "avx512_bf16" if "bfloat16" in isa else None
    if expected:
        assert description["bfloat16"] == expected
    else:
        assert description["bfloat16"] == ("emulated" if "AVX512BW" in isa else "")
