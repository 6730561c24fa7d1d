"""Which libmxnet.so runs: the CPU build that `pip install mxnet` brings, or the GPU build in a folder of its own.

The two builds must never be installed over each other, so `make gpu` puts mxnet-cu112 and NVIDIA's CUDA 11 libraries
into `gpu_folder()`. `choose()` asks the driver; where the GPUs fit it loads the CUDA libraries and points MXNet at the
GPU build through MXNET_LIBRARY_PATH, before MXNet loads. Otherwise the CPU build runs, and the choice says why.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

# In the order in which they need each other. The folder is that of NVIDIA's wheel, under nvidia/*/lib.
CUDA_LIBRARIES = (
    "cuda_runtime/lib/libcudart.so.11.0",
    "nvtx/lib/libnvToolsExt.so.1",
    "cuda_nvrtc/lib/libnvrtc.so.11.2",
    "cublas/lib/libcublasLt.so.11",
    "cublas/lib/libcublas.so.11",
    "cusolver/lib/libcusolver.so.11",
    "cufft/lib/libcufft.so.10",
    "curand/lib/libcurand.so.10",
    "nccl/lib/libnccl.so.2",
    "cudnn/lib/libcudnn.so.8",
)
FOLDER_VARIABLE = "GLUON_CLASSICS_GPU_FOLDER"

# CUdevice_attribute numbers of cuda.h: the major and the minor part of the compute capability.
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76


@dataclass(frozen=True)
class Library:
    """The build of MXNet that was chosen ("cpu", "gpu", or "given" by the user's own setup) and the reason."""

    kind: str
    reason: str
    worth_saying: bool = False  # a GPU or a GPU build is there, and yet it is not used


class NoGpu(Exception):
    """Why the driver offers no GPU that MXNet 1.9.1 can use; the text is for the user."""


class UnfitGpu(NoGpu):
    """There is a GPU, and MXNet 1.9.1 cannot use it."""


def gpu_folder() -> Path:
    """Return the folder of the GPU build: $GLUON_CLASSICS_GPU_FOLDER, else one inside this Python's environment."""
    return Path(os.environ.get(FOLDER_VARIABLE) or Path(sys.prefix, "share/gluon-classics/mxnet-cu112"))


def open_library(name: str) -> ctypes.CDLL:
    """Load a shared library for everyone in the process. Raises OSError when it or something it needs is missing."""
    return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)


def runs_on(capability: tuple[int, int]) -> bool:
    """Whether mxnet-cu112 1.9.1 has machine code for it: sm_50, 60, 70, 80 and 86, each good for its generation.

    The wheel holds no PTX, from which the driver could compile for a newer one (Hopper is 9.0).
    """
    return 5 <= capability[0] <= 8


def query_driver() -> tuple[int, list[tuple[int, int]]]:
    """Return the driver's CUDA version (11080 is 11.8) and the compute capability of each visible GPU.

    Raises NoGpu when there is no driver, it does not start, or it shows no GPU.
    """
    try:
        cuda = open_library("libcuda.so.1")
    except OSError:
        raise NoGpu("this machine has no NVIDIA driver (libcuda.so.1)") from None
    error = cuda.cuInit(0)
    version, count = ctypes.c_int(), ctypes.c_int()
    if error == 0:
        error = cuda.cuDriverGetVersion(ctypes.byref(version)) or cuda.cuDeviceGetCount(ctypes.byref(count))
    if error not in (0, 100):  # 100 is CUDA_ERROR_NO_DEVICE
        raise NoGpu(f"the NVIDIA driver does not start (CUDA error {error}); nvidia-smi may say more")
    if count.value == 0:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = "" if hidden is None else f" (CUDA_VISIBLE_DEVICES={hidden!r})"
        raise NoGpu(f"the NVIDIA driver shows no GPU{why}")
    return version.value, [_capability(cuda, index) for index in range(count.value)]


def _capability(cuda: ctypes.CDLL, index: int) -> tuple[int, int]:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, device)
    return major.value, minor.value


def usable_gpus() -> tuple[int, int]:
    """Return the driver's CUDA version and the number of GPUs, all of which run MXNet 1.9.1. Raises NoGpu if not."""
    version, capabilities = query_driver()
    for index, capability in enumerate(capabilities):
        if not runs_on(capability):
            others = " (CUDA_VISIBLE_DEVICES can leave it out)" if any(map(runs_on, capabilities)) else ""
            raise UnfitGpu(
                f"GPU {index} has compute capability {capability[0]}.{capability[1]}, "
                f"and MXNet 1.9.1 runs on 5.x to 8.x only{others}"
            )
    if version < 11000:
        raise UnfitGpu(
            f"the NVIDIA driver is for CUDA {version // 1000}.{version % 1000 // 10}, and MXNet needs CUDA 11: "
            "update the driver to 450.80 or newer"
        )
    return version, len(capabilities)


def choose(environ: MutableMapping[str, str], installed: Path | None) -> Library:
    """Choose the build and, for the GPU build, load its libraries and set MXNET_LIBRARY_PATH in `environ`.

    `installed` is the folder that holds the installed `mxnet` package (site-packages), None when there is none.
    Raises OSError when a wheel of the classic way (mxnet-cu112 alone) has a CUDA library that does not load.
    """
    build = gpu_folder() / "mxnet" / "libmxnet.so"
    if environ.get("MXNET_LIBRARY_PATH") == str(build):
        del environ["MXNET_LIBRARY_PATH"]  # inherited from a parent process that chose it here: choose anew
    if environ.get("MXNET_LIBRARY_PATH"):
        return Library("given", f"MXNET_LIBRARY_PATH={environ['MXNET_LIBRARY_PATH']}")
    if installed and has_cuda_wheel(installed):
        return _classic(installed)
    try:
        version, count = usable_gpus()
    except NoGpu as reason:
        return Library("cpu", str(reason), worth_saying=build.exists() or isinstance(reason, UnfitGpu))
    if not build.exists():
        return Library("cpu", f"the GPU build is not in {gpu_folder()}: `make gpu` installs it", worth_saying=True)
    try:
        cuda = [open_library(str(gpu_folder() / "nvidia" / name)) for name in CUDA_LIBRARIES]
        error = cuda[0].cudaGetDeviceCount(ctypes.byref(ctypes.c_int()))
        if error:  # the GPU build would fail later, on the CPU too
            return Library("cpu", f"CUDA 11.8 does not start with this driver (CUDA error {error})", worth_saying=True)
        # Last: a process must not hold two builds. Not for everyone: onnx would call this library's code as its own.
        ctypes.CDLL(str(build), mode=ctypes.RTLD_LOCAL)
    except OSError as error:
        return Library("cpu", f"the GPU build does not load ({error}): run `make gpu` again", worth_saying=True)
    environ["MXNET_LIBRARY_PATH"] = str(build)
    environ.setdefault("MXNET_CUDNN_LIB_CHECKING", "0")  # it warns that cuDNN is newer than the one it was built with
    if version < 11080:
        environ.setdefault("MXNET_USE_FUSION", "0")  # code fused at run time by CUDA 11.8 needs an 11.8 driver (R520)
    return Library("gpu", f"{count} GPU" + "s" * (count > 1))


def has_cuda_wheel(installed: Path) -> bool:
    """Whether a GPU wheel (mxnet-cu112 and its like) is installed in this site-packages."""
    return any(installed.glob("mxnet_cu*.dist-info"))


def has_both_wheels(installed: Path) -> bool:
    """Whether the CPU wheel and a GPU wheel are installed over each other in this site-packages."""
    return has_cuda_wheel(installed) and any(installed.glob("mxnet-*.dist-info"))


def _classic(installed: Path) -> Library:
    """An environment with mxnet-cu112 alone: the system's CUDA, or NVIDIA's wheels beside it where that has none."""
    try:
        open_library("libcudart.so.11.0")
    except OSError:
        for name in CUDA_LIBRARIES:
            wheel = installed / "nvidia" / name
            if wheel.exists():
                open_library(str(wheel))
    return Library("given", f"mxnet-cu wheel in {installed}")
