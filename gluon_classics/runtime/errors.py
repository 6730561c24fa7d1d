"""The error message for an MXNet that is missing or does not load: one paragraph that says what to install."""

from __future__ import annotations

import platform
import re
import sys

# System libraries that MXNet needs, and their Debian packages.
SYSTEM_LIBRARIES = {"libgomp.so.1": "libgomp1", "libquadmath.so.0": "libquadmath0", "libstdc++.so.6": "libstdc++6"}


def install_command() -> str:
    """Return the command that installs MXNet on this Python."""
    if sys.version_info >= (3, 13):  # MXNet's wheel asks for numpy<2, which has no wheel there
        return "pip install -r requirements.txt && pip install --no-deps mxnet==1.9.1"
    return "pip install -r requirements.txt"


def why_not_loaded(error: Exception) -> str:
    """Return a paragraph on why `import mxnet` failed with this error, and what to do."""
    text = str(error)
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "?").partition(".")[0]
        return f"{_platform()}The Python package {package} is not installed. Install it with: {install_command()}"
    missing = re.search(r"(lib\S+): cannot open shared object file", text)
    if missing:
        return f"{_platform()}MXNet needs {missing[1]}, which is missing on this machine. {_advice(missing[1])}"
    if "GLIBC" in text:
        return f"{_platform()}This system's C library is too old for MXNet 1.9.1 ({text}): use a newer Linux with glibc"
    if "Cannot find the MXNet library" in text:
        return (
            f"{_platform()}The installed MXNet has no libmxnet.so. That happens if mxnet and mxnet-cu112 were both "
            "installed and one of them was uninstalled. Install it again: "
            "pip install --force-reinstall --no-deps mxnet==1.9.1"
        )
    return f"{_platform()}MXNet does not load: {type(error).__name__}: {text}"


def _advice(library: str) -> str:
    if library in SYSTEM_LIBRARIES:
        return f"On Debian or Ubuntu: apt-get install {SYSTEM_LIBRARIES[library]}"
    if library.startswith("libcuda.so"):
        return (
            "It is part of the NVIDIA driver, and the installed MXNet is a GPU build. Install the driver, or for the "
            "CPU: pip uninstall -y mxnet-cu112 && pip install --no-deps mxnet==1.9.1"
        )
    if library.startswith(("libcu", "libnv", "libnccl")):
        return (
            "It is part of CUDA 11: the installed MXNet is a GPU build. Install CUDA 11.2 with cuDNN 8 and NCCL, or "
            "use the CPU build (pip uninstall -y mxnet-cu112 && pip install --no-deps mxnet==1.9.1) and `make gpu`."
        )
    return "Install the system package that contains it."


def _platform() -> str:
    """Return a sentence for platforms that MXNet 1.9.1 does not support; empty on Linux x86-64."""
    system, machine = platform.system(), platform.machine()
    if (system, machine.lower()) in (("Linux", "x86_64"), ("Linux", "amd64")):
        return ""
    return (
        f"MXNet 1.9.1 runs on Linux x86-64, and this is {system} {machine}: "
        "use a Linux x86-64 machine or container (docker run --platform linux/amd64). "
    )
