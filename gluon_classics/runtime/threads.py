"""The number of threads that MXNet computes with, and how they wait for each other.

MXNet uses half of the visible processors, assuming hyper-threads; on a machine without them it runs at half speed.
`choose()` counts the physical cores that this process may use. `apply()` writes the number to the environment, which
MXNet and the OpenMP library (libgomp) read once, when they load.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

# The user's own number of threads; the first that is set counts.
COUNT_VARIABLES = ("OMP_NUM_THREADS", "MXNET_OMP_MAX_THREADS")
# Set by programs that start several workers: how many share this machine.
LOCAL_SIZE_VARIABLES = ("LOCAL_WORLD_SIZE", "HOROVOD_LOCAL_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE")
# The user's own way for threads to wait.
WAIT_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
# How often a waiting thread checks before it sleeps. libgomp's default of 300,000 is fast on an idle machine, but very
# slow as soon as another process takes a core: the threads then spin for one that is not running. On two cores, LeNet
# trained with 1000 at 0.85 of the default's speed on a quiet machine, and 40 times faster on a busy one (ResNet-18: 6
# times). Never spinning (OMP_WAIT_POLICY=PASSIVE) is a little faster on a busy machine, but at 0.55 on a quiet one.
SPIN_COUNT = "1000"


@dataclass(frozen=True)
class Threads:
    """The number of threads per operator, and its source."""

    count: int
    source: str


def cores(root: Path = Path("/")) -> Threads:
    """Return the number of physical cores this process may use, by affinity mask, hyper-threads and container limit.

    `root` is the file system's root, where /sys and /proc are read.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    physical = len({_siblings(root, cpu) for cpu in allowed})
    quota = _quota(root)
    if quota is not None and quota < physical:
        return Threads(max(1, int(quota)), f"container limit of {quota:g} processors")
    return Threads(physical, "physical cores this process may use")


def _siblings(root: Path, cpu: int) -> str:
    """Return the kernel's list of the hyper-threads of this processor's core."""
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    for name in ("core_cpus_list", "thread_siblings_list"):  # since Linux 5.3, and before
        text = _read(topology / name)
        if text:
            return text
    return str(cpu)


def _quota(root: Path) -> float | None:
    """Return the smallest processor quota of this process's control groups (version 1 or 2), or None."""
    quotas = []
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mounts, read = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"], _quota_v2
        elif "cpu" in controllers.split(","):
            mounts, read = [root / "sys/fs/cgroup/cpu", root / "sys/fs/cgroup" / controllers], _quota_v1
        else:
            continue
        for mount in mounts:
            # every group up to the root counts; in a container the path may not exist, and the root has the limit
            group = mount / path.strip("/")
            for folder in (group, *group.parents):
                if folder == mount.parent:
                    break
                quota = read(folder)
                if quota is not None:
                    quotas.append(quota)
    return min(quotas, default=None)


def _quota_v2(folder: Path) -> float | None:
    fields = (_read(folder / "cpu.max") or "max").split()
    return None if fields[0] == "max" else int(fields[0]) / int(fields[1])


def _quota_v1(folder: Path) -> float | None:
    quota = int(_read(folder / "cpu.cfs_quota_us") or -1)
    return None if quota <= 0 else quota / int(_read(folder / "cpu.cfs_period_us") or 100000)


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def choose(environ: Mapping[str, str], root: Path = Path("/")) -> Threads:
    """Return the number of threads per operator: the user's own setting, or the cores divided among the workers.

    With MXNET_CPU_WORKER_NTHREADS=k MXNet runs k operators in parallel, so each gets 1/k of the cores. Each of k
    processes that train together on this machine also gets 1/k of them.
    """
    given = _given(environ)
    if given:
        return given
    found = cores(root)
    for name in ("MXNET_CPU_WORKER_NTHREADS", *_local_size(environ)):
        workers = environ.get(name, "").strip()
        if workers.isdigit() and int(workers) > 1:
            found = Threads(max(1, found.count // int(workers)), f"{found.source}, shared by {name}={workers}")
    return found


def _local_size(environ: Mapping[str, str]) -> list[str]:
    """Return the name of the variable that has the number of workers on this machine, if one is set."""
    return [name for name in LOCAL_SIZE_VARIABLES if environ.get(name)][:1]


def _given(environ: Mapping[str, str]) -> Threads | None:
    """Return the user's own number of threads, or None. Like libgomp, ignore what is not a number."""
    for name in COUNT_VARIABLES:
        text = environ.get(name, "").split(",")[0].strip()  # OMP_NUM_THREADS may have one number per nesting level
        if text.isdigit() and int(text) > 0:
            return Threads(int(text), name)
    return None


def openmp_loaded() -> bool:
    """Whether libgomp.so.1, the OpenMP library that MXNet uses, is already loaded."""
    maps = _read(Path("/proc/self/maps")) or ""
    return any(line.rpartition("/")[2].startswith("libgomp.so") for line in maps.splitlines())


def in_use() -> int:
    """Return the number of threads per operator in the loaded libgomp."""
    return ctypes.CDLL("libgomp.so.1").omp_get_max_threads()


def apply(threads: Threads, environ: MutableMapping[str, str]) -> None:
    """Write the choice to the environment; the user's own values stay. Call it before MXNet loads."""
    late = openmp_loaded()
    if not _given(environ):
        # a loaded libgomp does not read OMP_NUM_THREADS again; MXNET_OMP_MAX_THREADS is for MXNet alone
        environ["MXNET_OMP_MAX_THREADS" if late else "OMP_NUM_THREADS"] = str(threads.count)
    if not late and not any(environ.get(name) for name in WAIT_VARIABLES):
        environ["GOMP_SPINCOUNT"] = SPIN_COUNT


def wait_policy(environ: Mapping[str, str]) -> str:
    """Return how threads wait, as a text for records."""
    return " ".join(f"{name}={environ[name]}" for name in WAIT_VARIABLES if environ.get(name)) or "libgomp's default"
