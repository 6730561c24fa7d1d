"""Run folders: valid, damaged and hostile ones."""

import hashlib
import json
import shutil

from gluon_classics.inference import Predictor, read_run

import pytest
from mxnet import nd


def change(run, **settings):
    file = run / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


def test_the_fields_of_a_run(write_run, tmp_path):
    run = read_run(write_run(tmp_path / "run", mean=[0.3], std=[0.4]))
    assert (run.net, run.classes, run.channels) == ("lenet", ("Katze", "дом", "b/c"), 1)
    assert (run.transform.resize, run.transform.mean, run.transform.std) == (28, (0.3,), (0.4,))
    assert run.weights == tmp_path / "run" / "last.params"


@pytest.mark.parametrize(
    "settings, size",
    [
        ({"dataset": "fashion-mnist-sample"}, (28, 28)),
        ({"dataset": "cifar100"}, (32, 32)),
        ({"dataset": "coil20"}, (128, 128)),
        ({"dataset": "folder", "image_size": 64}, (64, 64)),
        ({"dataset": "folder", "image_size": None, "stored_size": [48, 64]}, (48, 64)),
        ({"dataset": "folder", "image_size": 64, "stored_size": [64, 64]}, (64, 64)),
    ],
)
def test_the_size_in_which_images_are_stored(run, settings, size):
    change(run, **settings)
    assert read_run(run).image_size == size


def test_the_weights_that_were_tested(run):
    shutil.copy(run / "last.params", run / "best.params")
    (run / "result.json").write_text('{"weights": "best.params"}')
    assert read_run(run).weights.name == "best.params"
    (run / "result.json").unlink()  # an unfinished run
    assert read_run(run).weights.name == "last.params"
    change(run, val_fraction=0.1)
    assert read_run(run).weights.name == "best.params"
    (run / "best.params").unlink()
    with pytest.raises(ValueError, match="run has no weights best.params"):
        read_run(run)


def test_weights_elsewhere_are_not_opened(run):
    for name in ("../last.params", "/etc/passwd", "checkpoints/last.params", None, 3):
        (run / "result.json").write_text(json.dumps({"weights": name}))
        with pytest.raises(ValueError, match=r"result.json names the weights .*must be best.params or last"):
            read_run(run)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"net": "os.system"}, "unknown network 'os.system'"),
        ({"net": "lenett"}, "did you mean lenet"),
        ({"net": ["lenet"]}, "not the name of a network"),
        ({"net_args": "lenet"}, "not an object with the network's arguments"),
        ({"net_args": {"num_classes": 4, "in_channels": 1}}, "num_classes 4, but there are 3 classes"),
        ({"net_args": {"num_classes": 3, "in_channels": 2}}, "in_channels 2"),
        ({"net_args": {"num_classes": 3, "in_channels": True}}, "in_channels True"),
        ({"classes": []}, "not a list of unique names"),
        ({"classes": ["a", "b", 3]}, "not a list of unique names"),
        ({"classes": ["a", "b", "a"]}, "not a list of unique names"),
        ({"classes": None}, "not a list of unique names"),
        ({"resize": 10**9}, "resize is 1000000000, not a number of pixels from 1 to 4096"),
        ({"resize": "28"}, "resize is '28'"),
        ({"resize": None}, "resize is None"),
        ({"mean": "0"}, "mean is '0'"),
        ({"mean": [0.1, 0.2], "std": [1, 1]}, "mean is "),
        ({"std": 0.0}, "std is 0.0, but pixels are divided by it"),
        ({"mean": float("nan")}, "mean is nan"),
        ({"image_size": -1}, "stored_size is -1"),
        ({"stored_size": 28}, r"stored_size is 28, not \[height, width\]"),
        ({"dataset": "folder"}, "has no stored_size, and the image size of 'folder' is not known"),
        ({"dataset": ["coil20"]}, "has no stored_size"),
    ],
)
def test_invalid_settings(run, settings, words):
    change(run, **settings)
    with pytest.raises(ValueError, match=words) as refused:
        read_run(run)
    assert str(refused.value).startswith(f"{run}/config.json: ")


@pytest.mark.parametrize("more", [{"colour": 1}, {"params": "x"}, {"activation": 7}, {"prefix": []}])
def test_arguments_that_the_network_does_not_take(run, more):
    change(run, net_args={"num_classes": 3, "in_channels": 1, **more})
    with pytest.raises(ValueError, match=r"run/config.json: lenet does not take these net_args: "):
        Predictor.from_run(run)


def test_files_that_are_not_json(run):
    for text, words in [
        ("{", "not valid JSON"),
        ("[1]", "not a JSON object"),
        ("[" * 10**5, "not valid"),
        ("\0", "not valid"),
    ]:
        (run / "config.json").write_text(text)
        with pytest.raises(ValueError, match=rf"config.json is {words}"):
            read_run(run)
    (run / "config.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="config.json is not valid JSON"):
        read_run(run)


def test_a_folder_that_is_not_a_run(run, tmp_path):
    with pytest.raises(ValueError, match=rf"is not a run folder of do_exp.py: .*did you mean {run}"):
        read_run(tmp_path)
    with pytest.raises(ValueError, match="the folder does not exist"):
        read_run(tmp_path / "rum")
    with pytest.raises(ValueError, match="name the folder first"):
        read_run(run / "last.params")


def test_weights_of_another_network(run, write_run, tmp_path):
    other = write_run(tmp_path / "other", "lenet5", 32)
    shutil.copy(other / "last.params", run / "last.params")
    with pytest.raises(ValueError, match=r"run/last.params is damaged, or does not fit the lenet .*: Parameter"):
        Predictor.from_run(run)
    more = write_run(tmp_path / "more", classes=["a", "b", "c", "d"])
    shutil.copy(more / "last.params", run / "last.params")
    with pytest.raises(ValueError, match=r"run/last.params is damaged, or does not fit the lenet"):
        Predictor.from_run(run)


def test_weights_that_are_truncated(run):
    whole = (run / "last.params").read_bytes()
    for length in (0, 1, 8, 30, 1000, len(whole) // 2, len(whole) - 1):
        (run / "last.params").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"run/last.params: is (not|truncated)"):
            Predictor.from_run(run)


def test_a_changed_bit_in_a_shape_is_refused_before_memory_is_taken(run):
    raw = bytearray((run / "last.params").read_bytes())
    dimension = raw.index(bytes.fromhex("c9fa93f9")) + 12  # the first array's first, after magic, storage type, count
    raw[dimension + 4] ^= 1  # 2**32 more
    (run / "last.params").write_bytes(raw)
    with pytest.raises(ValueError, match=r"run/last.params: .*array 1 of .*429496") as refused:
        Predictor.from_run(run)
    assert "bytes" in str(refused.value)


@pytest.mark.parametrize(
    "contents, words",
    [(b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"), (b"PK\x03\x04 more", "zip"), (b"", "empty")],
)
def test_other_files_in_place_of_the_weights(run, contents, words):
    (run / "last.params").write_bytes(contents)
    with pytest.raises(ValueError, match=f"run/last.params: .*{words}"):
        Predictor.from_run(run)


def record(run, **hashes):
    (run / "result.json").write_text(json.dumps({"weights": "last.params", "sha256": hashes}))


def test_the_hash_in_result_json(run):
    file = run / "last.params"
    right = hashlib.sha256(file.read_bytes()).hexdigest()
    record(run, **{"last.params": right, "best.params": "0" * 64})
    Predictor.from_run(run)
    raw = bytearray(file.read_bytes())
    raw[raw.index(bytes.fromhex("c9fa93f9")) + 80] ^= 1  # a value, which no header shows
    file.write_bytes(raw)
    with pytest.raises(ValueError, match=f"run/last.params: SHA-256 .*{right}"):
        Predictor.from_run(run)
    record(run)  # an older run
    Predictor.from_run(run)


@pytest.mark.parametrize("recorded", [7, "0" * 63, ["0" * 64], "\x1b[31m"])
def test_a_hash_that_makes_no_sense(run, recorded):
    for hashes in ({"last.params": recorded}, recorded):
        (run / "result.json").write_text(json.dumps({"weights": "last.params", "sha256": hashes}))
        with pytest.raises(ValueError, match="result.json: sha256 of last.params") as refused:
            read_run(run)
        assert "\x1b" not in str(refused.value)


def test_control_characters_in_tensor_names_are_escaped(run):
    arrays = nd.load(str(run / "last.params"))
    nd.save(str(run / "last.params"), {**arrays, "evil\x1b[2J": nd.ones(1)})
    with pytest.raises(ValueError, match=r"evil\\x1b\[2J") as refused:
        Predictor.from_run(run)
    assert "\x1b" not in str(refused.value)
