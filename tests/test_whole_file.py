"""Only regular files are read: a pipe or a device may never end, or never begin."""

import json
import os
import shutil
import signal

from gluon_classics.data.files.image_files import BadImage, read_header, read_image
from gluon_classics.data.files.verified import DamagedFile, read_file
from gluon_classics.inference.artifact import DamagedArtifact, read_artifact
from gluon_classics.inference.runs import read_json
from gluon_classics.training.config import read_config
from gluon_classics.training.manifest import DamagedCheckpoint, verified_files, write_manifest
from gluon_classics.whole_file import seal, sha256

import pytest


@pytest.fixture(autouse=True)
def limit():
    """A test that hangs fails after 20 seconds."""

    def too_long(*_signal):
        raise RuntimeError("it hangs")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(params=["pipe", "device", "link to a device"])
def replace(request):
    """Put a file that is not regular in the place of another."""

    def replace(path):
        path.unlink(missing_ok=True)
        if request.param == "pipe":
            os.mkfifo(path)
        elif request.param == "link to a device":
            path.symlink_to("/dev/zero")
        else:
            try:
                os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
            except PermissionError:
                pytest.skip("only root may make a device")
        return path

    return replace


@pytest.mark.parametrize(
    "read, error",
    [
        (sha256, OSError),
        (read_json, ValueError),
        (read_config, OSError),
        (read_file, DamagedFile),
        (read_header, BadImage),
        (lambda path: read_image(path, 1), BadImage),
    ],
)
def test_no_reader_opens_it(tmp_path, replace, read, error):
    with pytest.raises(error, match="not a regular file"):
        read(replace(tmp_path / "file.json"))


@pytest.mark.parametrize("name", ["model.json.sha256", "model.json", "lenet-0000.params"])
def test_an_artifact(tmp_path, replace, name):
    entries = {}
    for each in ("lenet-symbol.json", "lenet-0000.params", "signature.json", "synset.txt"):
        (tmp_path / each).write_text(each)
        entries[each] = {"sha256": sha256(tmp_path / each), "bytes": len(each)}
    (tmp_path / "model.json").write_text(json.dumps({"format": 1, "name": "lenet", "files": entries}))
    (tmp_path / "model.json.sha256").write_text(seal(tmp_path / "model.json"))
    replace(tmp_path / name)
    with pytest.raises(DamagedArtifact, match=f"{name}: cannot be read: not a regular file"):
        read_artifact(tmp_path)


@pytest.mark.parametrize("name", ["manifest.json.sha256", "manifest.json", "weights.params"])
def test_a_checkpoint(tmp_path, replace, name):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "weights.params").write_text("weights")
    write_manifest(folder)
    assert verified_files(folder)
    shutil.copytree(folder, tmp_path / "other")
    replace(tmp_path / "other" / name)
    with pytest.raises(DamagedCheckpoint, match=f"{name}: cannot be read: not a regular file"):
        verified_files(tmp_path / "other")
