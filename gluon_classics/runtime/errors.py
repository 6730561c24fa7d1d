"""What to tell a user whose MXNet is missing or does not load: one paragraph that says what to install."""

from __future__ import annotations

import platform
import re
import sys

# Libraries that MXNet needs from the system, and the Debian package that brings each.
SYSTEM_LIBRARIES = {"libgomp.so.1": "libgomp1", "libquadmath.so.0": "libquadmath0", "libstdc++.so.6": "libstdc++6"}


def install_command() -> str:
    """The command that installs MXNet on this Python."""
    if sys.version_info >= (3, 13):  # MXNet's wheel asks for numpy<2, which has no wheel there
        return "pip install -r requirements.txt && pip install --no-deps mxnet==1.9.1"
    return "pip install -r requirements.txt"


def why_not_loaded(error: Exception) -> str:
    """Return one paragraph: why `import mxnet` failed with this error, and what to do."""
    text = str(error)
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "?").partition(".")[0]
        return f"{_platform()}The Python package {package} is not installed. Install it with: {install_command()}"
    missing = re.search(r"(lib\S+): cannot open shared object file", text)
    if missing:
        return f"{_platform()}MXNet needs {missing[1]}, which this machine does not have. {_advice(missing[1])}"
    if "GLIBC" in text:
        return f"{_platform()}This system's C library is too old for MXNet 1.9.1 ({text}): use a newer Linux with glibc"
    if "Cannot find the MXNet library" in text:
        return (
            f"{_platform()}The installed MXNet has lost its library libmxnet.so, as happens when mxnet and mxnet-cu112 "
            "were in one environment and one was uninstalled. Install it again: "
            "pip install --force-reinstall --no-deps mxnet==1.9.1"
        )
    return f"{_platform()}MXNet does not load: {type(error).__name__}: {text}"


def _advice(library: str) -> str:
    if library in SYSTEM_LIBRARIES:
        return f"On Debian or Ubuntu: apt-get install {SYSTEM_LIBRARIES[library]}"
    if library.startswith("libcuda.so"):
        return (
            "It is a part of the NVIDIA driver, and the installed MXNet is a GPU build. Install the driver, or for the "
            "CPU: pip uninstall -y mxnet-cu112 && pip install --no-deps mxnet==1.9.1"
        )
    if library.startswith(("libcu", "libnv", "libnccl")):
        return (
            "It is a part of CUDA 11: the installed MXNet is a GPU build. Install CUDA 11.2 with cuDNN 8 and NCCL, or "
            "use the CPU build (pip uninstall -y mxnet-cu112 && pip install --no-deps mxnet==1.9.1) and `make gpu`."
        )
    return "Install the system package that brings it."


def _platform() -> str:
    """A first sentence for platforms that MXNet 1.9.1 does not support; empty on Linux x86-64."""
    system, machine = platform.system(), platform.machine()
    if (system, machine.lower()) in (("Linux", "x86_64"), ("Linux", "amd64")):
        return ""
    return (
        f"MXNet 1.9.1 runs on Linux x86-64, and this is {system} {machine}: "
        "use a Linux x86-64 machine or container (docker run --platform linux/amd64). "
    )
