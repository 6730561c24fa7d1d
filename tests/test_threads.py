"""The number of threads, from fake /sys and /proc trees with known answers."""

import os
import subprocess
import sys
from pathlib import Path

from gluon_classics.runtime import threads

import pytest

ROOT = Path(__file__).parent.parent


def write(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that makes a machine from the siblings of each CPU, and the CPUs this process may use."""

    def make(siblings, allowed=None, name="core_cpus_list"):
        for cpu, text in enumerate(siblings):
            write(tmp_path, f"sys/devices/system/cpu/cpu{cpu}/topology/{name}", text)
        allowed = set(range(len(siblings))) if allowed is None else allowed
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: allowed, raising=False)
        return tmp_path

    return make


def test_without_hyper_threads_every_processor_counts(machine):
    assert threads.cores(machine(["0", "1"])).count == 2


@pytest.mark.parametrize("name", ["core_cpus_list", "thread_siblings_list"])
def test_hyper_threads_of_one_core_count_once(machine, name):
    assert threads.cores(machine(["0,4", "1,5", "2,6", "3,7"] * 2, name=name)).count == 4


def test_cores_in_the_affinity_mask_count(machine):
    siblings = ["0,4", "1,5", "2,6", "3,7"] * 2
    assert threads.cores(machine(siblings, allowed={0, 4})).count == 1
    assert threads.cores(machine(siblings, allowed={0, 1, 5})).count == 2


def test_unknown_topology_counts_processors(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    assert threads.cores(tmp_path).count == 3


@pytest.mark.parametrize(
    "cpu_max, count",
    [("200000 100000", 2), ("250000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("1600000 100000", 8)],
)
def test_container_limit_version_2(machine, cpu_max, count):
    root = machine([str(cpu) for cpu in range(8)])
    write(root, "proc/self/cgroup", "0::/")
    write(root, "sys/fs/cgroup/cpu.max", cpu_max)
    assert threads.cores(root).count == count


def test_the_tightest_of_nested_limits_counts(machine):
    root = machine([str(cpu) for cpu in range(8)])
    write(root, "proc/self/cgroup", "0::/system.slice/docker-1.scope/job")
    write(root, "sys/fs/cgroup/system.slice/cpu.max", "600000 100000")
    write(root, "sys/fs/cgroup/system.slice/docker-1.scope/cpu.max", "300000 100000")
    write(root, "sys/fs/cgroup/system.slice/docker-1.scope/job/cpu.max", "max 100000")
    found = threads.cores(root)
    assert found.count == 3
    assert "limit of 3 processors" in found.source


@pytest.mark.parametrize("quota, count", [("400000", 4), ("150000", 1), ("-1", 8)])
@pytest.mark.parametrize("mount, controllers", [("cpu", "cpu"), ("cpu,cpuacct", "cpu,cpuacct")])
def test_container_limit_version_1(machine, quota, count, mount, controllers):
    root = machine([str(cpu) for cpu in range(8)])
    # the path is the host's; in the container only the root of the mount has the limit
    write(root, "proc/self/cgroup", f"5:cpuset:/docker/ab\n4:{controllers}:/docker/ab\n1:name=systemd:/docker/ab")
    write(root, f"sys/fs/cgroup/{mount}/cpu.cfs_quota_us", quota)
    write(root, f"sys/fs/cgroup/{mount}/cpu.cfs_period_us", "100000")
    assert threads.cores(root).count == count


def test_the_users_own_number_counts(machine):
    root = machine(["0", "1"])
    assert threads.choose({"OMP_NUM_THREADS": "7"}, root) == threads.Threads(7, "OMP_NUM_THREADS")
    assert threads.choose({"OMP_NUM_THREADS": "5,2"}, root).count == 5
    assert threads.choose({"MXNET_OMP_MAX_THREADS": "3"}, root) == threads.Threads(3, "MXNET_OMP_MAX_THREADS")
    assert threads.choose({"OMP_NUM_THREADS": "many"}, root).count == 2


def test_parallel_workers_share_the_cores(machine):
    root = machine([str(cpu) for cpu in range(8)])
    assert threads.choose({"MXNET_CPU_WORKER_NTHREADS": "2"}, root).count == 4
    assert threads.choose({"MXNET_CPU_WORKER_NTHREADS": "20"}, root).count == 1


@pytest.mark.parametrize("name", ["LOCAL_WORLD_SIZE", "HOROVOD_LOCAL_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"])
def test_processes_that_train_together_share_the_cores(name, machine):
    root = machine([str(cpu) for cpu in range(8)])
    chosen = threads.choose({name: "4"}, root)
    assert chosen.count == 2 and f"{name}=4" in chosen.source
    assert threads.choose({name: "1"}, root).count == 8
    assert threads.choose({name: "4", "OMP_NUM_THREADS": "3"}, root).count == 3


def test_apply_leaves_what_the_user_set(monkeypatch):
    monkeypatch.setattr(threads, "openmp_loaded", lambda: False)
    for name, value in [("OMP_NUM_THREADS", "7"), ("MXNET_OMP_MAX_THREADS", "3")]:
        environ = {name: value, "OMP_WAIT_POLICY": "ACTIVE"}
        threads.apply(threads.choose(environ), environ)
        assert environ == {name: value, "OMP_WAIT_POLICY": "ACTIVE"}


def run(code, **environ):
    """Return a new interpreter's output, started without thread settings."""
    known = (*threads.COUNT_VARIABLES, *threads.WAIT_VARIABLES, "MXNET_CPU_WORKER_NTHREADS")
    clean = {name: value for name, value in os.environ.items() if name not in known}
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, env={**clean, **environ}, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


LIBGOMP = "import ctypes; ctypes.CDLL('libgomp.so.1'); "
ASK = "print(gluon_classics.runtime.threads.in_use(), gluon_classics.runtime.describe().threads)"


def test_settings_reach_libgomp_in_a_new_interpreter():
    """libgomp prints what it has read."""
    count = threads.cores().count
    shown = run("import gluon_classics; " + ASK, OMP_DISPLAY_ENV="verbose")
    assert shown.stdout.split() == [str(count), str(count)]
    assert f"OMP_NUM_THREADS = '{count}'" in shown.stderr
    assert f"GOMP_SPINCOUNT = '{threads.SPIN_COUNT}'" in shown.stderr


def test_the_users_settings_reach_libgomp():
    shown = run(
        "import gluon_classics; " + ASK, OMP_DISPLAY_ENV="verbose", OMP_NUM_THREADS="3", OMP_WAIT_POLICY="ACTIVE"
    )
    assert shown.stdout.split() == ["3", "3"]
    assert "OMP_WAIT_POLICY = 'ACTIVE'" in shown.stderr
    assert f"GOMP_SPINCOUNT = '{threads.SPIN_COUNT}'" not in shown.stderr


def test_a_libgomp_that_is_already_loaded_still_gets_the_number():
    count = str(threads.cores().count)
    code = LIBGOMP + "import os, gluon_classics; print(os.environ.get('OMP_NUM_THREADS')); "
    assert run(code + ASK).stdout.split() == ["None", count, count]
