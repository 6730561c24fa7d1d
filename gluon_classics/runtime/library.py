"""The choice of libmxnet.so: the CPU build of `pip install mxnet`, or the GPU build in a folder of its own.

The two builds would overwrite each other's files, so `make gpu` installs mxnet-cu112 and NVIDIA's CUDA 11 libraries
into `gpu_folder()`. `choose()` asks the driver. If MXNet supports the GPUs, it loads the CUDA libraries and sets
MXNET_LIBRARY_PATH to the GPU build, before MXNet loads. Otherwise the CPU build runs, and the choice gives the reason.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

# Dependencies first. Paths are those of NVIDIA's wheels, under nvidia/.
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

# CUdevice_attribute numbers in cuda.h: the compute capability's major and minor part
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76


@dataclass(frozen=True)
class Library:
    """The chosen build of MXNet ("cpu", "gpu", or "given" by the user's own setup) and the reason."""

    kind: str
    reason: str
    worth_saying: bool = False  # there is a GPU or a GPU build that is not used


class NoGpu(Exception):
    """The driver has no GPU that MXNet 1.9.1 can use. The text says why, for the user."""


class UnfitGpu(NoGpu):
    """There is a GPU, but MXNet 1.9.1 cannot use it."""


def gpu_folder() -> Path:
    """Return the GPU build's folder: $GLUON_CLASSICS_GPU_FOLDER, or a folder in this Python's environment."""
    return Path(os.environ.get(FOLDER_VARIABLE) or Path(sys.prefix, "share/gluon-classics/mxnet-cu112"))


def open_library(name: str) -> ctypes.CDLL:
    """Load a shared library with global symbols. Raises OSError if it or a dependency is missing."""
    return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)


def runs_on(capability: tuple[int, int]) -> bool:
    """Whether mxnet-cu112 1.9.1 has machine code for it: sm_50, 60, 70, 80 and 86, each for its generation.

    The wheel contains no PTX that the driver could compile for newer GPUs (Hopper is 9.0).
    """
    return 5 <= capability[0] <= 8


def query_driver() -> tuple[int, list[tuple[int, int]]]:
    """Return the driver's CUDA version (11080 is 11.8) and the compute capability of each visible GPU.

    Raises NoGpu if there is no driver, it does not start, or it shows no GPU.
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
    """Return the driver's CUDA version and the number of GPUs. Raises NoGpu unless MXNet 1.9.1 supports all of them."""
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
    """Choose the build. For the GPU build, load its libraries and set MXNET_LIBRARY_PATH in `environ`.

    `installed` is the folder that contains the installed `mxnet` package (site-packages), or None.
    Raises OSError if mxnet-cu112 is installed alone and one of its CUDA libraries does not load.
    """
    build = gpu_folder() / "mxnet" / "libmxnet.so"
    if environ.get("MXNET_LIBRARY_PATH") == str(build):
        del environ["MXNET_LIBRARY_PATH"]  # inherited from a parent process that chose it: choose again
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
        if error:  # the GPU build would fail later, also on the CPU
            return Library("cpu", f"CUDA 11.8 does not start with this driver (CUDA error {error})", worth_saying=True)
        # Last: a process must not load two builds. RTLD_LOCAL: onnx would call this library's symbols as its own.
        ctypes.CDLL(str(build), mode=ctypes.RTLD_LOCAL)
    except OSError as error:
        return Library("cpu", f"the GPU build does not load ({error}): run `make gpu` again", worth_saying=True)
    environ["MXNET_LIBRARY_PATH"] = str(build)
    environ.setdefault("MXNET_CUDNN_LIB_CHECKING", "0")  # MXNet warns that cuDNN is newer than at build time
    if version < 11080:
        environ.setdefault("MXNET_USE_FUSION", "0")  # kernels that CUDA 11.8 fuses at run time need its driver (R520)
    return Library("gpu", f"{count} GPU" + "s" * (count > 1))


def has_cuda_wheel(installed: Path) -> bool:
    """Whether a GPU wheel, such as mxnet-cu112, is installed in this site-packages."""
    return any(installed.glob("mxnet_cu*.dist-info"))


def has_both_wheels(installed: Path) -> bool:
    """Whether the CPU wheel and a GPU wheel are both installed in this site-packages."""
    return has_cuda_wheel(installed) and any(installed.glob("mxnet-*.dist-info"))


def _classic(installed: Path) -> Library:
    """mxnet-cu112 installed alone: use the system's CUDA, or else NVIDIA's wheels in the same site-packages."""
    try:
        open_library("libcudart.so.11.0")
    except OSError:
        for name in CUDA_LIBRARIES:
            wheel = installed / "nvidia" / name
            if wheel.exists():
                open_library(str(wheel))
    return Library("given", f"mxnet-cu wheel in {installed}")
