"""Options that a data set does not take are refused, and those that it takes reach it."""

from gluon_classics.data import load_dataset
from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.formats import folder
from gluon_classics.data.image_options import FLAGS, ImageOptions

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("island")


@pytest.mark.parametrize("name", ["fashion-mnist", "fashion-mnist-sample", "mnist", "cifar10", "cifar100"])
def test_data_sets_with_a_test_set_take_none(name):
    options = ImageOptions(image_size=64, split="random", skip_bad=True, seed=3)
    with pytest.raises(ValueError, match=f"^the data set {name} does not take split .*; it takes none") as error:
        load_dataset(name, None, options)
    assert "split (--split), image_size (--image-size), skip_bad (--skip-bad):" in str(error.value)


def test_coil20_takes_those_of_the_split(tmp_path):
    with pytest.raises(ValueError, match=r"coil20 does not take channels .*, cache .*: .*takes split .*, test_frac"):
        load_dataset("coil20", tmp_path, ImageOptions(channels=1, cache=tmp_path, test_fraction=0.2))


def test_every_data_set_accepts_a_seed():
    train, _ = load_dataset("fashion-mnist-sample", None, ImageOptions(seed=7))
    assert len(train) == 6000


def test_every_option_but_the_seed_and_the_log_has_a_flag():
    assert set(ImageOptions._fields) == {*FLAGS, "seed", "log"}


def test_folder_passes_them_on_and_splits(monkeypatch, tmp_path):
    asked = {}

    def load(root, **options):
        asked.update(options, root=root)
        files = [f"{name}/{i}.png" for name in "ab" for i in range(20)]
        return ImageDataset(np.zeros((40, 2, 2, 1), np.uint8), np.repeat([0, 1], 20), "ab", "folder", "x", files)

    monkeypatch.setattr(folder, "load_image_folder", load)
    options = ImageOptions("random", 0.25, None, 5, None, 32, 3, True, tmp_path / "cache", log=len)
    train, test = load_dataset("folder", tmp_path, options)
    assert asked == {
        "root": tmp_path,
        "image_size": 32,
        "channels": 3,
        "skip_bad": True,
        "follow_links": False,
        "known": None,
        "cache": tmp_path / "cache",
        "log": len,
    }
    assert np.bincount(train.labels).tolist() == [15, 15] and np.bincount(test.labels).tolist() == [5, 5]
    assert sorted(train.files + test.files) == sorted(f"{name}/{i}.png" for name in "ab" for i in range(20))


def test_folder_needs_a_folder():
    with pytest.raises(ValueError, match="--data-dir"):
        load_dataset("folder")
