"""SIGTERM and Ctrl-C while the main thread waits inside MXNet, where Python does not call handlers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# the products take far longer than the test waits
CODE = """
from gluon_classics.training import StopSignals, signals
import sys
from mxnet import nd
signals.PATIENCE = 1
x = nd.zeros((3000, 3000))
with StopSignals() as stop:
    stop.training = len(sys.argv) == 1
    for _ in range(1000):
        x = nd.dot(x, x)
    print("begun", flush=True)
    x.asnumpy()
"""


def stopped_by(*numbers, flags=()):
    """Send these signals to a process, a moment apart. Return its exit status, seconds and messages."""
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, *flags], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "begun\n", process.stderr.read()
        began = time.monotonic()
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.3)
        words = process.communicate(timeout=60)[1]
        return process.returncode, time.monotonic() - began, words
    finally:
        process.kill()


@pytest.mark.parametrize(
    "numbers", [[signal.SIGTERM], [signal.SIGTERM, signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]]
)
def test_sigterm_ends_the_process_in_time_and_a_second_one_no_sooner(numbers):
    status, seconds, words = stopped_by(*numbers)
    assert status == 143
    assert "not ready 1 s after SIGTERM" in words
    assert 1 <= seconds < 8


def test_a_second_ctrl_c_ends_the_process_immediately():
    status, seconds, words = stopped_by(signal.SIGINT, signal.SIGINT)
    assert status == 130
    assert "again to stop" in words
    assert seconds < 5


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_before_the_training_there_is_nothing_to_wait_for(number, status):
    found, seconds, words = stopped_by(number, flags=["not training"])
    assert found == status
    assert "stopped before the training" in words
    assert seconds < 1


def test_ctrl_c_before_the_training_leaves_nothing_half_written(tmp_path):
    """For example while an archive is extracted, or a cache is written."""
    code = (
        "import os, signal, time; from pathlib import Path\n"
        "from gluon_classics.training import StopSignals\n"
        "from gluon_classics.whole_file import whole_file, whole_folder\n"
        "with StopSignals(), whole_file('file') as file, whole_folder('new') as new:\n"
        "    file.touch(); (new / 'part').touch(); os.kill(os.getpid(), signal.SIGINT); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path)
    assert done.returncode == 130
    assert list(tmp_path.iterdir()) == []
