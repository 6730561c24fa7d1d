"""Run folders from elsewhere, damaged and hostile ones."""

import json
import shutil

from gluon_classics.inference import Predictor, read_run

import pytest


def change(run, **settings):
    file = run / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


def test_what_a_run_tells(write_run, tmp_path):
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
    (run / "result.json").unlink()  # a run that goes on
    assert read_run(run).weights.name == "last.params"
    change(run, val_fraction=0.1)
    assert read_run(run).weights.name == "best.params"
    (run / "best.params").unlink()
    with pytest.raises(ValueError, match="run: has no weights best.params: the run stopped in its first epoch"):
        read_run(run)


def test_weights_elsewhere_are_not_opened(run):
    for name in ("../last.params", "/etc/passwd", "checkpoints/last.params", None, 3):
        (run / "result.json").write_text(json.dumps({"weights": name}))
        with pytest.raises(ValueError, match=r"result.json names the weights .*but they are best.params or last"):
            read_run(run)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"net": "os.system"}, "unknown network 'os.system'"),
        ({"net": "lenett"}, "did you mean lenet"),
        ({"net": ["lenet"]}, "not the name of a network"),
        ({"net_args": "lenet"}, "not a table of a network's arguments"),
        ({"net_args": {"num_classes": 4, "in_channels": 1}}, "num_classes 4, but classes are 3"),
        ({"net_args": {"num_classes": 3, "in_channels": 2}}, r"in_channels 2, but pictures have 1 \(grey\) or 3"),
        ({"net_args": {"num_classes": 3, "in_channels": True}}, "in_channels True"),
        ({"classes": []}, "not a list of names"),
        ({"classes": ["a", "b", 3]}, "not a list of names"),
        ({"classes": ["a", "b", "a"]}, "not a list of names, each once"),
        ({"classes": None}, "not a list of names"),
        ({"resize": 10**9}, "resize is 1000000000, not a number of pixels from 1 to 4096"),
        ({"resize": "28"}, "resize is '28'"),
        ({"resize": None}, "resize is None"),
        ({"mean": "0"}, "mean is '0', not a number for each of 1 channels"),
        ({"mean": [0.1, 0.2], "std": [1, 1]}, "mean is "),
        ({"std": 0.0}, "std is 0.0, but pixels are divided by it"),
        ({"mean": float("nan")}, "mean is nan"),
        ({"image_size": -1}, "a side of the stored images is -1"),
        ({"stored_size": 28}, r"stored_size is 28, not \[height, width\]"),
        ({"dataset": "folder"}, "has no stored_size, and the images of 'folder' may have any"),
        ({"dataset": ["coil20"]}, "has no stored_size"),
    ],
)
def test_settings_that_make_no_sense(run, settings, words):
    change(run, **settings)
    with pytest.raises(ValueError, match=words) as refused:
        read_run(run)
    assert str(refused.value).startswith(f"{run}/config.json: ")


@pytest.mark.parametrize("more", [{"colour": 1}, {"params": "x"}, {"activation": 7}, {"prefix": []}])
def test_arguments_that_the_network_does_not_take(run, more):
    change(run, net_args={"num_classes": 3, "in_channels": 1, **more})
    with pytest.raises(ValueError, match=r"run/config.json: lenet cannot be built so: "):
        Predictor.from_run(run)


def test_files_that_are_no_json(run):
    for text, words in [("{", "is damaged"), ("[1]", "is no table"), ("[" * 10**5, "is damaged"), ("\0", "damaged")]:
        (run / "config.json").write_text(text)
        with pytest.raises(ValueError, match=rf"config.json: {words}|config.json: .*{words}"):
            read_run(run)
    (run / "config.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="config.json: is damaged"):
        read_run(run)


def test_a_folder_that_is_no_run(run, tmp_path):
    with pytest.raises(ValueError, match=rf"is no run folder of do_exp.py: .*; there is {run}"):
        read_run(tmp_path)
    with pytest.raises(ValueError, match="nor is there such a folder"):
        read_run(tmp_path / "rum")
    with pytest.raises(ValueError, match="name the folder, and then the pictures"):
        read_run(run / "last.params")


def test_weights_of_another_network(run, write_run, tmp_path):
    other = write_run(tmp_path / "other", "lenet5", 32)
    shutil.copy(other / "last.params", run / "last.params")
    with pytest.raises(ValueError, match=r"run/last.params: is damaged, or not of the lenet that .*: Parameter"):
        Predictor.from_run(run)
    more = write_run(tmp_path / "more", classes=["a", "b", "c", "d"])
    shutil.copy(more / "last.params", run / "last.params")
    with pytest.raises(ValueError, match=r"run/last.params: is damaged, or not of the lenet"):
        Predictor.from_run(run)


def test_weights_that_are_truncated(run):
    whole = (run / "last.params").read_bytes()
    for length in (0, 1, 8, 30, 1000, len(whole) // 2, len(whole) - 1):
        (run / "last.params").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"run/last.params: is damaged, or not of the lenet") as refused:
            Predictor.from_run(run)
        assert "Traceback" not in str(refused.value)
    (run / "last.params").write_bytes(b"PK\x03\x04 no weights at all")
    with pytest.raises(ValueError, match="is damaged"):
        Predictor.from_run(run)
