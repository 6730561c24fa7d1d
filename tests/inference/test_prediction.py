"""Picture files read like the data set's images, and their predictions."""

import os

from gluon_classics.data.files.image_files import BadImage, read_image
from gluon_classics.inference import Predictor
from gluon_classics.inference.pictures import find_pictures
from gluon_classics.inference.prediction import predict_files, read_stored

import numpy as np
import pytest
from PIL import Image


def test_a_picture_of_the_stored_size_is_not_changed(picture, tmp_path):
    file = picture(tmp_path / "a.png", size=(20, 30))
    pixels = np.asarray(Image.open(file))
    assert np.array_equal(read_stored(file, 1, (20, 30))[..., 0], pixels)
    assert np.array_equal(read_stored(file, 3, (20, 30)), np.stack([pixels] * 3, axis=2))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stored", [(28, 28), (20, 36)])
def test_another_picture_is_resized_to_the_stored_size(picture, tmp_path, stored, channels):
    file = picture(tmp_path / "a.png", size=(150, 90))
    small = Image.open(file).resize(stored[::-1], Image.Resampling.BILINEAR)
    pixels = read_stored(file, channels, stored)
    assert pixels.shape == (*stored, channels)
    assert all(np.array_equal(pixels[..., c], np.asarray(small)) for c in range(channels))


def test_pipes_and_folders_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("pipe.png", ""):
        with pytest.raises(BadImage, match="is not a regular file"):
            read_stored(str(tmp_path / name), 1, (28, 28))
    with pytest.raises(BadImage, match="No such file"):
        read_stored(str(tmp_path / "a.png"), 1, (28, 28))


def test_many_pictures_in_order(run, picture, tmp_path):
    names = [str(picture(tmp_path / f"{i:03d}.png", seed=i)) for i in range(75)]
    names[10] = str(tmp_path / "gone.png")
    predictor = Predictor.from_run(run)
    results = list(predict_files(predictor, find_pictures(names).found, top=3))
    assert [result.file for result in results] == names
    assert results[10].error and results[10].best == ()
    images = np.stack([read_image(name, 1) for name in names if name != names[10]])
    probabilities = iter(predictor(images))
    for result in results[:10] + results[11:]:
        by_class = dict(zip(predictor.classes, next(probabilities)))
        assert dict(result.best) == pytest.approx(by_class, abs=1e-6)
        shares = [share for _, share in result.best]
        assert shares == sorted(shares, reverse=True)


def test_at_most_two_batches_are_in_memory(run, picture, tmp_path, monkeypatch):
    from gluon_classics.inference import prediction

    names = [str(picture(tmp_path / f"{i:03d}.png", seed=i)) for i in range(30)]
    monkeypatch.setattr(prediction, "BATCH", 4)
    read = []
    monkeypatch.setattr(prediction, "read_stored", lambda file, *how: read.append(file) or read_stored(file, *how))
    for i, _ in enumerate(predict_files(Predictor.from_run(run), find_pictures(names).found)):
        assert len(read) <= i + 8


def test_all_pictures_unreadable(run, tmp_path):
    names = [str(tmp_path / f"{i}.png") for i in range(3)]
    results = list(predict_files(Predictor.from_run(run), find_pictures(names).found))
    assert all("No such file" in result.error for result in results) and len(results) == 3
