"""launch.py: what it starts and where, and what it refuses to start."""

import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from gluon_classics.commands import keeper
from gluon_classics.commands.job import Host, roles

import pytest

from jobs import DO_EXP, LAUNCH, descendants, listening, run, started, wait_until

pytestmark = pytest.mark.thorough

LENET = ["--dataset", "fashion-mnist-sample", "--net", "lenet", "--limit-test", "50", "--out", "run"]
# Stands for ssh: what it would have another machine run, this one runs, whose addresses are 127.*, not 192.0.2.8.
SSH = """#!/bin/sh
while [ "$1" = -o ]; do shift 2; done
echo "$1" >> "$0.log"
case $1 in 127.* | 192.0.2.8) exec sh -c "$2" ;; esac
echo "ssh: connect to host $1 port 22: No route to host" >&2
exit 255
"""


@pytest.fixture
def path(tmp_path):
    """A PATH with the stand-in for ssh at its head."""
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin" / "ssh"
    ssh.write_text(SSH)
    ssh.chmod(0o755)
    return f"{tmp_path / 'bin'}:/usr/local/bin:/usr/bin:/bin"


def hosts_file(tmp_path, text):
    (tmp_path / "hosts.txt").write_text(text)
    return "hosts.txt"


def test_two_hosts_train_together(tmp_path, path):
    """Addresses of the loopback network stand for machines."""
    hosts = hosts_file(tmp_path, "127.0.0.2 slots=1  # first\n\n127.0.0.3\n")
    flags = [*DO_EXP, *LENET, "--epochs", "200", "--distributed", "dist_sync"]
    with started([*LAUNCH, "--hosts", hosts, "-s", "2", "--port", "9191", "--", *flags], tmp_path, PATH=path) as job:
        wait_until(lambda: "Epoch 0." in (tmp_path / "output.txt").read_text(), job, tmp_path)
        assert listening(descendants(job.pid)) == {"0200007F", "0300007F"}
        job.send_signal(signal.SIGINT)
        assert job.wait(timeout=30) == 130
    said = (tmp_path / "output.txt").read_text()
    assert "[worker 0] 2 workers over dist_sync" in said and "[worker 0] Stopped by Ctrl-C" in said
    # asked whether they are there, then: the scheduler, two servers, two workers
    reached = (tmp_path / "bin" / "ssh.log").read_text().split()
    assert sorted(reached[2:]) == ["127.0.0.2"] * 3 + ["127.0.0.3"] * 2


@pytest.mark.parametrize(
    "hosts, problem",
    [
        (
            "192.0.2.7 slots=4\n",
            "not every machine can take part: 192.0.2.7: ssh: connect to host 192.0.2.7 port 22: No route to host",
        ),
        (
            "192.0.2.8\n",
            "not every machine can take part: 192.0.2.8: 192.0.2.8 is not an address of this machine",
        ),
        ("127.0.0.2\n192.0.2.7\n", "hosts.txt: 127.0.0.2 is a loopback address here, where no other machine finds it"),
        ("node.invalid\n", "node.invalid cannot be found: "),
    ],
)
def test_a_host_that_cannot_take_part_is_named_before_anything_starts(hosts, problem, tmp_path, path):
    hosts = hosts_file(tmp_path, hosts)
    status, said = run([*LAUNCH, "--hosts", hosts, "--", *DO_EXP, "--distributed", "dist_sync"], tmp_path, PATH=path)
    assert status == 2
    assert said.startswith(f"launch.py: error: {problem}") and said.count("\n") == 1


@pytest.mark.parametrize("host", [None, "127.0.0.2"])
def test_a_port_in_use_is_found_before_anything_starts(host, tmp_path, path):
    where, flags = (
        ("", []) if host is None else (f"not every machine can take part: {host}: ", ["--hosts", "hosts.txt"])
    )
    hosts_file(tmp_path, f"{host}\n")
    address = host or "127.0.0.1"
    with socket.socket() as taken:
        taken.bind((address, 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, said = run([*LAUNCH, *flags, "--port", str(port), "--", "true"], tmp_path, PATH=path)
    assert status == 2
    assert said == (
        f"launch.py: error: {where}port {port} of {address} cannot be taken: Address already in use. "
        "Name another with --port\n"
    )


@pytest.mark.parametrize(
    "text, message",
    [
        ("node1 slots=x\n", "hosts.txt, line 1: 'node1 slots=x' is not NAME slots=N"),
        ("# none\n", "hosts.txt names no machine"),
        ("node1\nnode1 slots=2\n", "names a machine twice"),
        ("-oProxyCommand=x\n", "line 1: '-oProxyCommand=x' is not NAME"),
    ],
)
def test_a_bad_host_file_is_refused(text, message, tmp_path):
    status, said = run([*LAUNCH, "--hosts", hosts_file(tmp_path, text), "--", "true"], tmp_path)
    assert status == 2 and message in said


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "what shall the workers run?"),
        (["-n", "0", "--", "true"], "'0' is not a whole number"),
        (["--port", "70000", "--", "true"], "'70000' is not a port"),
        (["--hosts", "missing.txt", "--", "true"], "missing.txt"),
        (["-n", "2", "--", "no-such-program"], "cannot run no-such-program: No such file or directory"),
    ],
)
def test_bad_flags_are_refused(flags, message, tmp_path):
    status, said = run([*LAUNCH, *flags], tmp_path)
    assert status in (2, 127) and message in said and "Traceback" not in said


def test_workers_are_placed_by_slots_and_servers_in_turn():
    hosts = [Host("127.0.0.2", 2), Host("127.0.0.3", 1)]
    job = roles(hosts, 3, 3, 9091, ["train"])
    placed = [(role.name, role.host.name) for role in job]
    assert placed == [
        ("scheduler", "127.0.0.2"), ("server 0", "127.0.0.2"), ("server 1", "127.0.0.3"), ("server 2", "127.0.0.2"),
        ("worker 0", "127.0.0.2"), ("worker 1", "127.0.0.2"), ("worker 2", "127.0.0.3"),
    ]  # fmt: skip
    names = ("DMLC_TASK_ID", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "DMLC_NODE_HOST")
    assert [[role.environment[name] for name in names] for role in job[4:]] == [
        ["0", "0", "2", "127.0.0.2"],
        ["1", "1", "2", "127.0.0.2"],
        ["2", "0", "1", "127.0.0.3"],
    ]
    assert {role.environment["DMLC_PS_ROOT_URI"] for role in job} == {"127.0.0.2"}
    with pytest.raises(ValueError, match="-n 4: the machines have 3 slots"):
        roles(hosts, 4, 1, 9091, ["train"])


def test_printed_environments_start_the_same_job(tmp_path):
    """Each line is what some other scheduler would run on its machine."""
    flags = [*DO_EXP, *LENET, "--limit-train", "640", "--epochs", "1", "--distributed", "dist_sync"]
    status, lines = run([*LAUNCH, "--print-env", "--", *flags], tmp_path)
    assert status == 0
    commands = [line for line in lines.splitlines() if not line.startswith("#")]
    assert len(commands) == 4
    status, said = run(["sh", "-c", " & ".join(commands) + " & wait"], tmp_path)
    assert status == 0 and "Test acc" in said, said


def test_what_workers_print_keeps_its_order_and_the_first_failure_counts(tmp_path):
    program = "import os, sys, time\nfor i in range(3): print(os.environ['DMLC_TASK_ID'], i, flush=True)\n"
    program += "time.sleep(60 * (os.environ['DMLC_TASK_ID'] == '0')); sys.exit(5)"
    began = time.monotonic()
    status, said = run([*LAUNCH, "-n", "2", "--", sys.executable, "-c", program], tmp_path)
    assert status == 5 and time.monotonic() - began < 40
    for rank in range(2):
        mine = [line for line in said.splitlines() if line.startswith(f"[worker {rank}]")]
        assert mine == [f"[worker {rank}] {rank} {i}" for i in range(3)]


def test_the_job_ends_when_its_reader_has_seen_enough(tmp_path):
    count = f"{sys.executable} -c 'import time; [print(i, flush=i % 1000 == 0) for i in range(10**6)]; time.sleep(60)'"
    command = f"{shlex.join(LAUNCH)} -n 1 -- {count} | head -n 2"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=40)
    assert done.stdout.splitlines() == ["[worker 0] 0", "[worker 0] 1"]
    assert done.stderr == ""


def test_all_failures_at_once_are_one_failure(tmp_path):
    status, said = run([*LAUNCH, "-n", "2", "--", "false"], tmp_path)
    assert status == 1 and said.count("ended with status 1") == 1


def test_a_machine_that_hears_nothing_any_more_ends_its_part():
    words = [sys.executable, keeper.__file__, "--keep", "2", "sleep", "100"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as kept:
        for _ in range(3):
            time.sleep(1)
            kept.stdin.write("\0")  # launch.py is there
            kept.stdin.flush()
        assert kept.poll() is None
        children = descendants(kept.pid)
        assert kept.wait(timeout=30) == 128 + signal.SIGKILL
        assert "nothing has come from the launching machine for 2 s" in kept.stderr.read()
    assert children and not any(Path(f"/proc/{pid}").exists() for pid in children)
