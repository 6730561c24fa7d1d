"""--dataset folder with an archive: extracted once, beside itself, and read as the folder would be."""

import os
import shutil
import zipfile

from gluon_classics.data import ImageOptions, load_dataset
from gluon_classics.data.archives import BadArchive
from gluon_classics.data.unpacked import unpacked

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path):
    """photos/boots and photos/shoes, five pictures each, and photos.zip, which holds the folder photos."""
    for label, name in enumerate(("boots", "shoes")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(5):
            Image.new("L", (8, 8), 100 * label + i).save(tmp_path / "photos" / name / f"{i}.png")
    shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path, "photos")
    return tmp_path / "photos"


def test_gives_the_data_set_that_the_folder_gives(photos):
    said = []
    archive = f"{photos}.zip"
    for _time in range(2):
        for ours, theirs in zip(
            load_dataset("folder", archive, ImageOptions(log=said.append)), load_dataset("folder", photos)
        ):
            np.testing.assert_array_equal(ours.images, theirs.images)
            assert (ours.files, ours.classes) == (theirs.files, theirs.classes)
            assert ours.origin == f"{archive}.extracted/photos"
    assert said == [f"{archive} was extracted as {archive}.extracted"]


def test_class_folders_may_lie_at_the_top(photos):
    shutil.make_archive(str(photos.parent / "flat"), "gztar", photos)
    made = unpacked(photos.parent / "flat.tar.gz")
    assert sorted(path.name for path in made.iterdir()) == ["boots", "shoes"]


def test_a_newer_archive_is_not_passed_over(photos):
    archive = f"{photos}.zip"
    made = unpacked(archive).parent
    os.utime(archive, (made.stat().st_mtime + 10,) * 2)
    with pytest.raises(ValueError, match=r"photos\.zip is newer than .*photos\.zip\.extracted.*: remove that folder"):
        unpacked(archive)


def test_a_folder_is_left_as_it_is(photos):
    assert unpacked(photos) == photos
    assert unpacked(photos / "none") == photos / "none"


def test_a_hostile_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../boots/a.png", b"")
    with pytest.raises(BadArchive, match=r"a\.zip: holds '\.\./boots/a\.png'"):
        load_dataset("folder", tmp_path / "a.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
