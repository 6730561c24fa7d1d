"""Preparation of MXNet 1.9.1 for this machine. Only this package knows about NumPy versions, CUDA and AMX.

`import gluon_classics` calls `install()`, which sets the number of threads and AMX in the environment, before a library
reads them, and installs an import hook. The first `import mxnet` in the process then runs `_load()`, which chooses the
CPU or the GPU build, supplies what MXNet misses in today's Python and NumPy, and patches its faults.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from gluon_classics.runtime import amx, errors, library, threads
from gluon_classics.runtime.hook import ImportHook

IMPORTED_BEFORE = "MXNet was imported before gluon_classics"
_log = logging.getLogger("gluon_classics")
_settings: tuple[threads.Threads, amx.Amx] | None = None  # what install() chose
_prepared: Description | None = None


@dataclass(frozen=True)
class Description:
    """The versions and settings in use, and the reason for each; `dataclasses.asdict` gives JSON values."""

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
    bfloat16: str  # the instructions oneDNN computes it with: see amx.bfloat16_instructions()


_started_with = dict(os.environ)


def started_with() -> dict[str, str]:
    """Return the environment of this process before `install` changed it, for processes that make their own choice."""
    return dict(_started_with)


def install() -> None:
    """Set threads and AMX in the environment, and prepare MXNet when it is first imported.

    If MXNet has already been imported, and has read its settings, only patch it.
    """
    global _settings
    if _settings:
        return
    if "mxnet" in sys.modules:
        _settings = threads.Threads(threads.in_use(), IMPORTED_BEFORE), amx.Amx(False, IMPORTED_BEFORE)
        _load(None)
        return
    _settings = threads.choose(os.environ), amx.choose(os.environ)
    threads.apply(_settings[0], os.environ)
    amx.apply(_settings[1], os.environ)
    sys.meta_path.insert(0, ImportHook("mxnet", _load, _import_error))


def prepare() -> None:
    """Import MXNet with the right library and number of threads. Calling it again does nothing.

    Raises ImportError, in one paragraph that says what to install, if MXNet is missing or does not load.
    """
    import mxnet  # noqa: F401  (through the hook)


def _load(execute: Callable[[], None] | None) -> None:
    """Run MXNet's code with what it needs before and after. `execute` runs it; None if it has already run."""
    global _prepared
    assert _settings, "install() comes first"
    try:
        from gluon_classics.runtime import compat  # imports NumPy

        compat.before_mxnet()
        chosen = _choose_library(imported_before=execute is None)
        if execute:
            execute()
        compat.after_mxnet()
        from gluon_classics.runtime import nag  # noqa: F401  (replaces MXNet's)
    except (ImportError, OSError, RuntimeError) as error:
        raise _import_error(error) from error
    import mxnet

    chosen_threads, chosen_amx = _settings
    _prepared = Description(
        processor=amx.processor(),
        python=platform.python_version(),
        numpy=compat.numpy.__version__,
        mxnet=mxnet.__version__,
        library="gpu" if mxnet.runtime.Features().is_enabled("CUDA") else "cpu",
        library_reason=chosen.reason,
        threads=chosen_threads.count,
        threads_source=chosen_threads.source,
        wait_policy=threads.wait_policy(os.environ),
        amx=chosen_amx.enabled,
        amx_reason=chosen_amx.reason,
        bfloat16=amx.bfloat16_instructions(chosen_amx, os.environ),
    )


def _import_error(error: Exception) -> ImportError:
    return ImportError(errors.why_not_loaded(error), name="mxnet")


def _choose_library(imported_before: bool) -> library.Library:
    spec = importlib.util.find_spec("mxnet")
    installed = Path(spec.origin).parent.parent if spec and spec.origin else None
    if installed and library.has_both_wheels(installed):
        _log.warning(
            "mxnet and mxnet-cu112 are both installed in %s and overwrite each other's files. To repair it: "
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
    """Return the versions, the build of MXNet and the settings in use."""
    prepare()
    assert _prepared
    return _prepared


def gpu_reason() -> str:
    """Return why MXNet has no GPU here, for an error message; empty if it has one."""
    import mxnet

    if describe().library == "gpu":
        try:
            if mxnet.context.num_gpus():
                return ""
        except mxnet.MXNetError as error:  # mxnet-cu112 installed alone, with a driver that it cannot use
            return f"MXNet's GPU build cannot use the driver: {str(error).splitlines()[-1]}"
        try:
            library.usable_gpus()
        except library.NoGpu as reason:
            return str(reason)
        return "MXNet's GPU build finds no GPU"
    return f"MXNet runs its CPU build: {describe().library_reason}"
