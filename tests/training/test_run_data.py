"""The data of a run: limits that are near the whole data set."""

from gluon_classics.training.config import RunConfig
from gluon_classics.training.distributed import ALONE
from gluon_classics.training.run_data import class_counts, load_data

import pytest

from image_folders import draw


@pytest.fixture
def photos(tmp_path):
    for name, count in (("frequent", 40), ("rare", 1), ("seldom", 3)):
        for i in range(count):
            draw(tmp_path / "photos" / name / f"{i}.png", colour=(i, 0, 0))
    return tmp_path / "photos"


def loaded(photos, **settings):
    config = {"dataset": "folder", "data_dir": str(photos), "batch_size": 1, **settings}
    return load_data(RunConfig.complete(config), ALONE)


def test_any_limit_is_accepted(photos):
    whole = loaded(photos)
    assert class_counts(whole.train.dataset) == {"frequent": 36, "rare": 1, "seldom": 2}
    assert class_counts(whole.test.dataset) == {"frequent": 4, "rare": 0, "seldom": 1}
    for limit in range(1, 41):
        part = loaded(photos, limit_train=limit, limit_test=limit)
        assert abs(len(part.train.dataset) - limit) <= 2 and abs(len(part.test.dataset) - min(limit, 5)) <= 1
        assert all(class_counts(part.train.dataset).values())


def test_the_log_names_the_classes_that_are_not_tested(photos):
    notes = [note for note in loaded(photos, val_fraction=0.2).notes if "WARNING" in note]
    assert [("test set" in note, "validation set" in note, "rare (1)" in note) for note in notes] == [
        (True, False, True),
        (False, True, True),
    ]
    assert "seldom" not in "".join(notes)


def test_too_few_steps_are_a_warning(photos):
    few = loaded(photos, batch_size=16, epochs=5).notes
    assert any("39 training images" in note and "10 steps" in note and "--batch-size" in note for note in few)
    assert not any("steps" in note for note in loaded(photos, batch_size=1, epochs=5).notes)
