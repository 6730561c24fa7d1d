"""Reading checkpoints: the written content comes back, any changed byte is noticed, and no pickle is read."""

import json
import os
import pickle
import subprocess
import sys

from gluon_classics import runtime
from gluon_classics.training.checkpoint_files import (
    Checkpoint,
    DamagedCheckpoint,
    newest_checkpoint,
    prune,
    read_checkpoint,
    write_checkpoint,
)
from gluon_classics.training.manifest import write_manifest

import numpy as np
import pytest
from checkpoints import FILES, damage, filled, names, silent, value_of
from mxnet import nd


def test_what_was_written_is_read(tmp_path):
    random = np.random.RandomState(0)
    arrays = {
        "weights": {f"{i}.{dtype}": nd.array(random.randn(2, i + 1), dtype=dtype) for i, dtype in enumerate(
            ["float32", "float64", "float16", "uint8", "int32", "int64"])},
        "optimizer": {"0/1/0": nd.array(random.randn(5))},
        "average": {"ä.weight": nd.array(random.randn(1))},
    }  # fmt: skip
    state = {"epoch": 3, "batch": 120, "seconds": 0.1 + 0.2, "counts": [1, None], "best": "epoch-0001-batch-000000"}
    path = write_checkpoint(tmp_path / "run" / "checkpoints", Checkpoint(arrays, state))
    assert path == tmp_path / "run" / "checkpoints" / "epoch-0003-batch-000120"
    found = read_checkpoint(path)
    assert found.state == state
    assert {stem: set(named) for stem, named in found.arrays.items()} == {s: set(n) for s, n in arrays.items()}
    for stem, named in arrays.items():
        for name, array in named.items():
            assert found.arrays[stem][name].dtype == array.dtype
            assert (found.arrays[stem][name].asnumpy() == array.asnumpy()).all()


def test_a_file_without_arrays_is_left_out(tmp_path):
    path = write_checkpoint(tmp_path, filled(1, optimizer={}))
    assert names(path) == [name for name in FILES if name != "optimizer.params"]
    assert set(read_checkpoint(path).arrays) == {"weights"}


def test_sha256sum_reads_the_manifest_and_it_has_the_versions(tmp_path):
    path = write_checkpoint(tmp_path, filled(1))
    assert names(path) == FILES
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["format"] == 1
    assert manifest["versions"]["mxnet"] == runtime.describe().mxnet
    assert manifest["versions"]["threads"] == runtime.describe().threads
    assert manifest["versions"]["gluon_classics"]
    lines = "".join(f"{entry['sha256']}  {name}\n" for name, entry in manifest["files"].items())
    sums = (path / "manifest.json.sha256").read_text() + lines
    done = subprocess.run(["sha256sum", "-c", "--strict"], input=sums, cwd=path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK\n") == 4


# --- damaged


@pytest.mark.parametrize("name", FILES)
def test_every_changed_byte_is_noticed(tmp_path, name):
    path = write_checkpoint(tmp_path, filled(1))
    content = (path / name).read_bytes()
    assert len(content) >= 80
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        (path / name).write_bytes(bytes(changed))
        with pytest.raises(DamagedCheckpoint, match=f"{path}: manifest.json: SHA-256|{path}: {name}: SHA-256"):
            read_checkpoint(path)
    (path / name).write_bytes(content)
    assert value_of(read_checkpoint(path)) == 1


def test_changed_bytes_in_a_large_file_are_noticed(tmp_path):
    weights = {"w": nd.random.normal(shape=(200_000,))}
    path = write_checkpoint(tmp_path, filled(1, weights=weights))
    size = (path / "weights.params").stat().st_size
    with open(path / "weights.params", "rb+", buffering=0) as file:
        for position in {*range(0, size, size // 100), size - 1}:
            byte = os.pread(file.fileno(), 1, position)
            os.pwrite(file.fileno(), bytes([byte[0] ^ 0x10]), position)
            with pytest.raises(DamagedCheckpoint, match=r"weights.params: SHA-256 is \w{64}, expected \w{64}"):
                read_checkpoint(path)
            os.pwrite(file.fileno(), byte, position)
    assert (read_checkpoint(path).arrays["weights"]["w"] == weights["w"]).min().asscalar() == 1


@pytest.mark.parametrize("name", FILES)
def test_every_other_length_is_noticed(tmp_path, name):
    path = write_checkpoint(tmp_path, filled(1))
    content = (path / name).read_bytes()
    for length in {0, 1, 8, len(content) // 2, len(content) - 1}:
        (path / name).write_bytes(content[:length])
        with pytest.raises(DamagedCheckpoint, match=f"truncated: {length} of {len(content)} bytes|manifest.json: SHA"):
            read_checkpoint(path)
    (path / name).write_bytes(content + b"\n")
    with pytest.raises(
        DamagedCheckpoint, match=f"{len(content) + 1} bytes, expected {len(content)}|manifest.json: SHA"
    ):
        read_checkpoint(path)
    (path / name).unlink()
    with pytest.raises(DamagedCheckpoint, match=f"{path}: {name}: missing"):
        read_checkpoint(path)


def reseal(path):
    """Recompute the hashes, as an attacker could."""
    for name in ("manifest.json", "manifest.json.sha256"):
        (path / name).unlink(missing_ok=True)
    write_manifest(path)


class Opens:
    """Its pickle creates a file when it is loaded."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


@pytest.mark.parametrize("name", ["weights.params", "optimizer.params", "state.json"])
def test_a_pickle_with_the_right_hash_is_refused_and_not_executed(tmp_path, name):
    path = write_checkpoint(tmp_path / "checkpoints", filled(1))
    content = pickle.dumps(Opens(tmp_path / "marker"))
    (path / name).write_bytes(content)
    reseal(path)
    with pytest.raises(DamagedCheckpoint, match=f"{path}: {name}: "):
        read_checkpoint(path)
    assert names(tmp_path) == ["checkpoints"]
    pickle.loads(content).close()  # loading it does create the file
    assert names(tmp_path) == ["checkpoints", "marker"]


def test_other_contents_with_the_right_hash_are_refused(tmp_path):
    def refused(message, name, content):
        path = write_checkpoint(tmp_path, filled(1))
        (path / name).write_bytes(content)
        reseal(path)
        with pytest.raises(DamagedCheckpoint, match=message):
            read_checkpoint(path)

    nd.save(str(tmp_path / "list"), [nd.ones(2)])
    refused("weights.params: its arrays have no names", "weights.params", (tmp_path / "list").read_bytes())
    refused("weights.params: .*empty file", "weights.params", b"")
    refused("state.json: ", "state.json", b"[" * 100_000)
    refused("state.json: epoch and batch", "state.json", b'{"epoch": "3", "batch": 1}')
    refused("state.json: ", "state.json", b"[]")

    for files in ({"../other.params": {}}, {"weights.params": {}}, {}, [], {"state.json": 7}):
        path = write_checkpoint(tmp_path, filled(1))
        (path / "manifest.json").write_text(json.dumps({"format": 1, "files": files}))
        digest = subprocess.run(["sha256sum", "manifest.json"], cwd=path, capture_output=True).stdout
        (path / "manifest.json.sha256").write_bytes(digest)
        with pytest.raises(DamagedCheckpoint):
            read_checkpoint(path)


def test_another_format_is_refused_and_not_skipped(tmp_path):
    write_checkpoint(tmp_path, filled(1, epoch=1))
    path = write_checkpoint(tmp_path, filled(2, epoch=2))
    (path / "manifest.json").write_text('{"format": 2}')
    digest = subprocess.run(["sha256sum", "manifest.json"], cwd=path, capture_output=True).stdout
    (path / "manifest.json.sha256").write_bytes(digest)
    with pytest.raises(ValueError, match=f"{path} has format 2, and this gluon-classics, .*, reads format 1") as error:
        newest_checkpoint(tmp_path, silent)
    assert not isinstance(error.value, DamagedCheckpoint)


# --- the newest


def test_the_newest_is_the_furthest_in_the_run(tmp_path):
    for value, (epoch, batch) in enumerate([(1, 500), (2, 0), (2, 9), (2, 1_000_000), (9_999, 0), (10_000, 0)]):
        path = write_checkpoint(tmp_path, filled(value, epoch, batch))
        assert value_of(newest_checkpoint(tmp_path, silent)) == value
    os.utime(path, (0, 0))  # the modification time does not matter
    assert value_of(newest_checkpoint(tmp_path, silent)) == 5


def test_a_damaged_checkpoint_is_skipped_and_logged(tmp_path):
    paths = [write_checkpoint(tmp_path, filled(value, epoch=value)) for value in (1, 2, 3)]
    damage(paths[2])
    (paths[1] / "state.json").unlink()
    lines = []
    assert value_of(newest_checkpoint(tmp_path, lines.append)) == 1
    assert len(lines) == 2
    assert f"damaged checkpoint: {paths[2]}: weights.params: SHA-256 is" in lines[0]
    assert lines[1].endswith(f"{paths[1]}: state.json: missing")
    damage(paths[0], "manifest.json")
    with pytest.raises(DamagedCheckpoint) as error:
        newest_checkpoint(tmp_path, silent)
    assert all(str(path) in str(error.value) for path in paths)


def test_a_checkpoint_before_damaged_ones_replaces_them(tmp_path):
    write_checkpoint(tmp_path, filled(1, epoch=1))
    for epoch in (2, 3):
        damage(write_checkpoint(tmp_path, filled(9, epoch=epoch)))
    write_checkpoint(tmp_path, filled(2, epoch=1, batch=50))
    prune(tmp_path, keep=1)
    assert names(tmp_path) == ["epoch-0001-batch-000050"]
    assert value_of(newest_checkpoint(tmp_path, silent)) == 2


def test_no_checkpoint(tmp_path):
    assert newest_checkpoint(tmp_path / "missing", silent) is None
    assert newest_checkpoint(tmp_path, silent) is None
    (tmp_path / ".epoch-0001-batch-000000.1-ab.part").mkdir()
    (tmp_path / "epoch-0001-batch-000000-copy").mkdir()
    assert newest_checkpoint(tmp_path, silent) is None


def test_a_checkpoint_replaces_one_of_the_same_place(tmp_path):
    for value in (1, 2):
        path = write_checkpoint(tmp_path, filled(value))
        assert names(tmp_path) == [path.name]
        assert value_of(read_checkpoint(path)) == value


def test_prune_keeps_the_newest_and_the_best(tmp_path):
    paths = [write_checkpoint(tmp_path, filled(epoch, epoch)) for epoch in range(5)]
    prune(tmp_path, keep=2, best=paths[1])
    assert names(tmp_path) == [paths[1].name, paths[3].name, paths[4].name]
    prune(tmp_path, keep=2)
    assert names(tmp_path) == [paths[3].name, paths[4].name]
    prune(tmp_path / "missing")


def test_folders_of_killed_writers_are_removed(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for pid in (gone.pid, os.getppid()):
        (tmp_path / f".epoch-0001-batch-000000.{pid}-ab.part").mkdir()
    path = write_checkpoint(tmp_path, filled(1))
    assert names(tmp_path) == [f".epoch-0001-batch-000000.{os.getppid()}-ab.part", path.name]
