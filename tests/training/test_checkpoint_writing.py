"""Writing a checkpoint: a kill at any moment leaves a complete one, and an error leaves the existing ones."""

import errno
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from gluon_classics.training import durable
from gluon_classics.training.checkpoint_files import (
    NonFiniteWeights,
    newest_checkpoint,
    read_checkpoint,
    write_checkpoint,
)

import numpy as np
import pytest
from checkpoints import FILES, filled, names, silent, value_of
from mxnet import nd

KILLS = """
    import os, shutil, signal, sys
    from pathlib import Path
    from gluon_classics.training import durable
    from gluon_classics.training.checkpoint_files import newest_checkpoint, prune, write_checkpoint
    from checkpoints import damage, filled, value_of

    WATCHED = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}
    real_save = durable.nd.save
    os.fsync = lambda descriptor: None  # a kill loses nothing that a process has written

    def kill_at(moment):
        left = [moment]
        def tick(event=None, args=None):
            if event is None or event in WATCHED:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        def fsync(descriptor):
            tick()
        def save(path, arrays):
            real_save(path, arrays)
            whole = Path(path).read_bytes()
            Path(path).write_bytes(whole[: len(whole) // 2])
            tick()
            Path(path).write_bytes(whole)
        os.fsync, durable.nd.save = fsync, save
        sys.addaudithook(tick)

    def beside_older(folder):
        write_checkpoint(folder, filled(1, epoch=1))
        write_checkpoint(folder, filled(1, epoch=2))
    def in_place_of_another(folder):
        write_checkpoint(folder, filled(1, epoch=3))
    def in_place_of_one_set_aside(folder):
        path = write_checkpoint(folder, filled(1, epoch=3))
        shutil.copytree(path, folder / ".epoch-0003-batch-000000.999999999-ab.part")
        os.rename(path, f"{path}.old")
    def both_stand(folder):
        path = write_checkpoint(folder, filled(1, epoch=3))
        shutil.copytree(path, f"{path}.old")
    def before_damaged_ones(folder):
        write_checkpoint(folder, filled(1, epoch=1))
        for epoch in (4, 5):
            damage(write_checkpoint(folder, filled(9, epoch=epoch)))

    root = Path(sys.argv[1])
    for scene in (beside_older, in_place_of_another, in_place_of_one_set_aside, both_stand, before_damaged_ones):
        for moment in range(1, 1000):
            folder = root / f"{scene.__name__}-{moment}"
            scene(folder)
            child = os.fork()
            if child == 0:
                kill_at(moment)
                write_checkpoint(folder, filled(2, epoch=3))
                prune(folder, keep=1)
                os._exit(0)
            status = os.waitpid(child, 0)[1]
            found = value_of(newest_checkpoint(folder, lambda line: None))
            write_checkpoint(folder, filled(3, epoch=3, batch=1))
            prune(folder, keep=1)
            after = value_of(newest_checkpoint(folder, lambda line: None))
            print(scene.__name__, moment, status, found, after, len(os.listdir(folder)), flush=True)
            if status == 0:
                break
"""


def test_a_kill_at_any_moment_leaves_the_old_or_the_new_one(tmp_path):
    # Forked from a process without engine threads; killed at each file operation, and within a file.
    environment = {**os.environ, "MXNET_ENGINE_TYPE": "NaiveEngine", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLS), str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    scenes = {}
    for line in done.stdout.splitlines():
        scene, _moment, status, found, after, entries = line.split()
        scenes.setdefault(scene, []).append((int(status), float(found)))
        assert (float(after), int(entries)) == (3, 1), line  # the run continues, and leftovers of the kill are gone
    assert len(scenes) == 5
    for scene, outcomes in scenes.items():
        statuses, found = zip(*outcomes)
        assert statuses == (9,) * (len(outcomes) - 1) + (0,), scene
        assert len(outcomes) > 40, scene
        new = found.index(2)
        assert found == (1,) * new + (2,) * (len(found) - new), scene  # first the old one, then the new
        assert 0 < new < len(found) - 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, dtype, value):
    array = np.ones((3, 4), dtype)
    array[2, 3] = value
    weights = {
        "good": nd.ones(2),
        "whole": nd.ones(1, dtype="int32"),
        "bad": nd.array(array, dtype=dtype),
        "worse": nd.array([np.nan]),
    }
    with pytest.raises(NonFiniteWeights, match="^bad of weights is not finite"):
        write_checkpoint(tmp_path, filled(1, weights=weights))
    with pytest.raises(NonFiniteWeights, match="^worse of optimizer is not finite"):
        write_checkpoint(tmp_path, filled(1, optimizer={"worse": weights["worse"]}))
    assert names(tmp_path) == []


def test_a_state_that_is_not_json_is_refused(tmp_path):
    checkpoint = filled(1)
    checkpoint.state["best"] = tmp_path
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_checkpoint(tmp_path, checkpoint)
    assert names(tmp_path) == []


def fails_and_changes_nothing(folder, file, code):
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    for epoch in (1, 2):  # replacing the existing one, and next to it
        with pytest.raises(OSError, match=os.strerror(code)) as error:
            write_checkpoint(folder, filled(2, epoch=epoch))
        assert error.value.errno == code
        assert file in str(error.value)
        assert {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()} == before
        assert names(folder) == ["epoch-0001-batch-000000"]
    assert value_of(newest_checkpoint(folder, silent)) == 1


def test_arrays_lost_in_writing_are_noticed(tmp_path, monkeypatch):
    write_checkpoint(tmp_path, filled(1))
    real = nd.save

    def half(path, arrays):
        real(path, arrays)
        os.truncate(path, os.path.getsize(path) // 2)

    def fewer(path, arrays):
        real(path, dict(list(arrays.items())[:1]))

    def nothing(path, arrays):
        open(path, "w").close()

    for fake in (half, fewer, nothing):
        monkeypatch.setattr(durable.nd, "save", fake)
        fails_and_changes_nothing(tmp_path, "weights.params", errno.EIO)
        monkeypatch.setattr(durable.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, 0))
        fails_and_changes_nothing(tmp_path, "weights.params", errno.ENOSPC)
        monkeypatch.undo()


def test_an_error_at_any_fsync_or_rename(tmp_path, monkeypatch):
    write_checkpoint(tmp_path, filled(1))

    def fail_at(name, moment, calls):
        real = getattr(os, name)

        def call(*args):
            calls.append(args)
            if len(calls) == moment:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args)

        monkeypatch.setattr(os, name, call)

    # weights, optimizer, state, manifest, its hash, the folder; then the new one is renamed
    for moment in range(1, 7):
        for epoch in (1, 2):
            fail_at("fsync", moment, [])
            with pytest.raises(OSError, match="No space left"):
                write_checkpoint(tmp_path, filled(2, epoch=epoch))
            monkeypatch.undo()
            assert names(tmp_path) == ["epoch-0001-batch-000000"]
            assert value_of(newest_checkpoint(tmp_path, silent)) == 1
    for moment in (1, 2):  # rename the old one, then the new one
        fail_at("replace", moment, [])
        with pytest.raises(OSError, match="No space left"):
            write_checkpoint(tmp_path, filled(2))
        monkeypatch.undo()
        assert names(tmp_path) == ["epoch-0001-batch-000000"]
        assert value_of(newest_checkpoint(tmp_path, silent)) == 1
    calls = []
    fail_at("fsync", 100, calls)
    write_checkpoint(tmp_path, filled(2))
    assert len(calls) == 8  # and its two parent folders


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk(small_disk):
    write_checkpoint(small_disk, filled(1))
    before = read_checkpoint(small_disk / "epoch-0001-batch-000000")
    failed = []
    free = shutil.disk_usage(small_disk).free
    for left in range(0, 100_000, 4096):  # space for the other files: a page more each time
        weights = {"w": nd.ones(((free - left) // 4,))}
        try:
            write_checkpoint(small_disk, filled(2, epoch=2, weights=weights))
            break
        except OSError as error:
            assert error.errno == errno.ENOSPC
            failed.append(Path(error.filename).name)
            assert names(small_disk) == ["epoch-0001-batch-000000"]
            assert value_of(newest_checkpoint(small_disk, silent)) == 1
    shutil.rmtree(small_disk / "epoch-0002-batch-000000")
    found = newest_checkpoint(small_disk, silent)
    assert found.state == before.state
    assert value_of(found) == 1
    assert set(failed) == set(FILES)  # each file has been the one that did not fit
    write_checkpoint(small_disk, filled(3, epoch=2))
    assert value_of(newest_checkpoint(small_disk, silent)) == 3
