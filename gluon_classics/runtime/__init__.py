"""Makes MXNet 1.9.1 importable and fast on this machine.

`prepare()` runs once, when `gluon_classics` is imported, in the only order that works: the number of threads before
anything loads the OpenMP library, AMX and the choice between the CPU and the GPU build before MXNet loads, what MXNet
misses in Python and NumPy before and after its import. This package alone knows about these things.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from gluon_classics.runtime import amx, errors, library, threads

IMPORTED_BEFORE = "MXNet was imported before gluon_classics"
_log = logging.getLogger("gluon_classics")
_prepared: Description | None = None


@dataclass(frozen=True)
class Description:
    """What runs here and why; `dataclasses.asdict` makes it a record of plain values."""

    processor: str
    python: str
    numpy: str
    mxnet: str
    library: str  # "cpu" or "gpu": what the loaded MXNet was built for
    library_reason: str
    threads: int
    threads_source: str
    wait_policy: str
    amx: bool
    amx_reason: str
    bfloat16: str  # what oneDNN computes it with on this processor: see amx.bfloat16_instructions()


def prepare() -> None:
    """Make `import mxnet` work, with the right library and number of threads. Calling it again does nothing.

    Raises ImportError, in one paragraph that says what to install, when MXNet is missing or does not load.
    """
    global _prepared
    if _prepared:
        return
    imported_before = "mxnet" in sys.modules
    if not imported_before:  # otherwise MXNet and libgomp have read their settings
        chosen_threads = threads.choose(os.environ)
        threads.apply(chosen_threads, os.environ)
        chosen_amx = amx.choose(os.environ)
        amx.apply(chosen_amx, os.environ)
    try:
        from gluon_classics.runtime import compat  # imports NumPy, whose own threads read the same variable

        compat.before_mxnet()
        chosen_library = _choose_library(imported_before)
        import mxnet

        compat.after_mxnet()
    except (ImportError, OSError, RuntimeError) as error:
        raise ImportError(errors.why_not_loaded(error)) from error
    if imported_before:
        chosen_threads = threads.Threads(threads.in_use(), IMPORTED_BEFORE)
        chosen_amx = amx.Amx(False, IMPORTED_BEFORE)
    _prepared = Description(
        processor=amx.processor(),
        python=platform.python_version(),
        numpy=compat.numpy.__version__,
        mxnet=mxnet.__version__,
        library="gpu" if mxnet.runtime.Features().is_enabled("CUDA") else "cpu",
        library_reason=chosen_library.reason,
        threads=chosen_threads.count,
        threads_source=chosen_threads.source,
        wait_policy=threads.wait_policy(os.environ),
        amx=chosen_amx.enabled,
        amx_reason=chosen_amx.reason,
        bfloat16=amx.bfloat16_instructions(chosen_amx, os.environ),
    )


def _choose_library(imported_before: bool) -> library.Library:
    spec = importlib.util.find_spec("mxnet")
    installed = Path(spec.origin).parent.parent if spec and spec.origin else None
    if installed and library.has_both_wheels(installed):
        _log.warning(
            "mxnet and mxnet-cu112 are both installed in %s and overwrite each other's files. Repair it: "
            "pip uninstall -y mxnet mxnet-cu112 && pip install --no-deps mxnet==1.9.1, and for a GPU: make gpu",
            installed,
        )
    if imported_before:
        return library.Library("given", IMPORTED_BEFORE)
    chosen = library.choose(os.environ, installed)
    if chosen.worth_saying:
        _log.warning("MXNet runs on the CPU: %s", chosen.reason)
    return chosen


def describe() -> Description:
    """Return what runs here and why: versions, CPU or GPU build, number of threads."""
    prepare()
    return _prepared


def gpu_reason() -> str:
    """Return why MXNet has no GPU here, for an error message; empty when it has one."""
    import mxnet

    if describe().library == "gpu":
        try:
            if mxnet.context.num_gpus():
                return ""
        except mxnet.MXNetError as error:  # mxnet-cu112 installed the classic way, with a driver that it cannot use
            return f"MXNet's GPU build cannot use the driver: {str(error).splitlines()[-1]}"
        try:
            library.usable_gpus()
        except library.NoGpu as reason:
            return str(reason)
        return "MXNet's GPU build finds no GPU"
    return f"MXNet runs its CPU build: {describe().library_reason}"
