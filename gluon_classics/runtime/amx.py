"""AMX, the matrix unit of Intel processors since 2023, and the other instructions for bfloat16.

MXNet's oneDNN 2.4.4 has AMX kernels, disabled by default. They need the kernel's permission for tile data (Linux 5.16
or newer), and DNNL_MAX_CPU_ISA in the environment before oneDNN reads it. With the variable but without the permission,
the first tile instruction kills the process. So `choose()` asks the kernel, and `apply()` sets the variable only if the
kernel agrees. The permission is the process's own: child programs ask again.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import platform
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

VARIABLE = "DNNL_MAX_CPU_ISA"  # the newest instruction set that oneDNN may use
VALUE = "AVX512_CORE_AMX"

# asm/prctl.h and asm/fpu/types.h of Linux on x86-64
_SYS_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA = 158, 0x1023, 18

_log = logging.getLogger("gluon_classics")


@dataclass(frozen=True)
class Amx:
    """Whether oneDNN may use AMX in this process, and the reason."""

    enabled: bool
    reason: str


def request_tiles() -> int:
    """Ask the kernel to let this process use AMX tiles. Return 0, or the error number."""
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    arguments = map(ctypes.c_long, (_SYS_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA))
    return ctypes.get_errno() if syscall(*arguments) else 0


def choose(environ: Mapping[str, str], root: Path = Path("/"), request: Callable[[], int] = request_tiles) -> Amx:
    """Decide on AMX. Ask the kernel only if the processor has AMX and the user has not limited oneDNN.

    `root` is the file system's root, where /proc is read; `request` makes the system call.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return Amx(False, f"this is {platform.system()} {platform.machine()}, not Linux x86-64")
    if not {"amx_tile", "amx_bf16"} <= _flags(root):
        return Amx(False, "the processor has no AMX")
    if _limit(environ) and "AMX" not in _limit(environ):
        return Amx(False, f"{VARIABLE}={environ[VARIABLE]}")
    error = request()
    if error:
        name = errno.errorcode.get(error, error)
        return Amx(False, f"the kernel refuses permission for AMX ({name}); Linux 5.16 or newer can grant it")
    return Amx(True, "the processor has AMX, and the kernel permits it")


def apply(amx: Amx, environ: MutableMapping[str, str]) -> None:
    """Write the choice to the environment. Call it before MXNet loads.

    The user's own value stays, unless it names AMX and AMX is not available: oneDNN would use it and crash.
    """
    if amx.enabled and not _limit(environ):
        environ[VARIABLE] = VALUE
    elif not amx.enabled and "AMX" in _limit(environ):
        _log.warning("%s=%s is removed from the environment: %s", VARIABLE, environ[VARIABLE], amx.reason)
        del environ[VARIABLE]


def bfloat16_instructions(amx: Amx, environ: Mapping[str, str], root: Path = Path("/")) -> str:
    """Return what oneDNN computes bfloat16 with: "amx_bf16", "avx512_bf16", "emulated", or "" if it cannot.

    The emulation needs AVX-512. It widens each number to float32, and is slower than float32 itself.
    """
    flags, limit = _flags(root), _limit(environ)
    if amx.enabled:
        return "amx_bf16"
    if "avx512_bf16" in flags and (limit in ("", "ALL") or "BF16" in limit or "AMX" in limit):
        return "avx512_bf16"
    if {"avx512bw", "avx512dq", "avx512vl"} <= flags and (limit in ("", "ALL") or limit.startswith("AVX512_CORE")):
        return "emulated"
    return ""


def _limit(environ: Mapping[str, str]) -> str:
    return environ.get(VARIABLE, "").strip().upper()


def processor(root: Path = Path("/")) -> str:
    """Return the processor's name from /proc/cpuinfo, or ""."""
    return _first(root, "model name").strip()


def _flags(root: Path) -> set[str]:
    return set(_first(root, "flags").split())


def _first(root: Path, field: str) -> str:
    """Return a field of the first processor in /proc/cpuinfo, or ""."""
    try:
        lines = (root / "proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2] for line in lines if line.startswith(field)), "")
