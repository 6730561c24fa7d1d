"""The data set "folder" from an archive, which is extracted once and read like the folder."""

import os
import shutil
import subprocess
import sys
import zipfile

from gluon_classics.data import ImageOptions, load_dataset
from gluon_classics.data.files.archives import BadArchive
from gluon_classics.data.formats import folder
from gluon_classics.data.formats.class_folders import HeldParts
from gluon_classics.data.formats.folder import unpacked

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path):
    """photos/boots and photos/shoes, five images each, and photos.zip, which holds the folder photos."""
    for label, name in enumerate(("boots", "shoes")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(5):
            Image.new("L", (8, 8), 100 * label + i).save(tmp_path / "photos" / name / f"{i}.png")
    shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path, "photos")
    return tmp_path / "photos"


def test_an_archive_equals_its_folder(photos):
    messages = []
    archive = f"{photos}.zip"
    for _time in range(2):
        for ours, theirs in zip(
            load_dataset("folder", archive, ImageOptions(log=messages.append)), load_dataset("folder", photos)
        ):
            np.testing.assert_array_equal(ours.images, theirs.images)
            assert (ours.files, ours.classes) == (theirs.files, theirs.classes)
            assert ours.origin == f"{archive}.extracted/photos"
    assert len(messages) == 1 and archive in messages[0] and f"{archive}.extracted" in messages[0]


def test_class_folders_may_be_at_the_top(photos):
    shutil.make_archive(str(photos.parent / "flat"), "gztar", photos)
    made = unpacked(photos.parent / "flat.tar.gz")
    assert sorted(path.name for path in made.iterdir()) == [".archive", "boots", "shoes"]


def test_a_changed_archive_is_refused(photos):
    archive = f"{photos}.zip"
    unpacked(archive)
    before = os.stat(archive).st_mtime
    (photos / "boots" / "5.png").write_bytes((photos / "boots" / "4.png").read_bytes())
    shutil.make_archive(str(photos), "zip", photos.parent, "photos")
    os.utime(archive, (before, before - 1000))  # older, as mv and cp -p may leave it
    with pytest.raises(
        ValueError, match=r"photos\.zip is not the archive that .*photos\.zip\.extracted was .*: remove"
    ):
        unpacked(archive)


def test_wrapping_folders_and_a_readme(photos):
    with zipfile.ZipFile(photos.with_name("cats.zip"), "w") as archive:
        for path in photos.rglob("*.png"):
            archive.write(path, f"download/PetImages/{path.relative_to(photos)}")
        for name in ("readme[1].txt", "download/LICENSE", "__MACOSX/._download"):
            archive.writestr(name, "something")
    assert unpacked(photos.with_name("cats.zip")) == photos.with_name("cats.zip.extracted") / "download/PetImages"


def test_an_archive_of_parts_is_extracted_and_a_part_can_be_named(photos):
    with zipfile.ZipFile(photos.with_name("split.zip"), "w") as archive:
        for part in ("train", "validation"):
            for path in photos.rglob("*.png"):
                archive.write(path, f"top/{part}/{path.relative_to(photos)}")
    for _time in range(2):
        with pytest.raises(HeldParts, match="holds train and validation, which are parts") as refused:
            load_dataset("folder", photos.with_name("split.zip"), ImageOptions(log=str))
    advised = str(refused.value).split("--data-dir ")[1]
    assert advised == f"{photos.parent}/split.zip.extracted/top/train"
    assert load_dataset("folder", advised)[0].classes == ("boots", "shoes")


def test_the_slower_of_two_processes_uses_the_finished_folder(photos, monkeypatch):
    archive = photos.with_name("photos.zip")
    real, calls = folder.extract, []

    def slow(*args):
        calls.append(args)
        if len(calls) == 1:
            assert unpacked(archive) == photos.with_name("photos.zip.extracted") / "photos"
        return real(*args)

    monkeypatch.setattr(folder, "extract", slow)
    messages = []
    assert unpacked(archive, messages.append) == photos.with_name("photos.zip.extracted") / "photos"
    assert len(calls) == 2 and messages == []
    assert sorted(path.name for path in photos.parent.iterdir()) == ["photos", "photos.zip", "photos.zip.extracted"]


def test_many_processes_at_once(photos):
    code = "import sys; from gluon_classics.data.formats.folder import unpacked; print(unpacked(sys.argv[1], str))"
    command = [sys.executable, "-c", code, str(photos.with_name("photos.zip"))]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    ended = [(*process.communicate(), process.returncode) for process in running]
    assert ended == [(f"{photos.parent}/photos.zip.extracted/photos\n", "", 0)] * 4


def test_an_archive_without_class_folders_leaves_nothing(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("boots/a.png", b"")
    with pytest.raises(ValueError, match=r"a\.zip holds one class folder, boots, .*; nothing was extracted"):
        unpacked(tmp_path / "a.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_names_in_any_script_as_infozip_writes_them(tmp_path):
    """UTF-8 without the flag."""
    names = ["三角形", "полосы"]
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i, name in enumerate(names):
            archive.writestr(f"X{i}{'x' * (len(name.encode()) - 2)}/a.png", b"")
    data = path.read_bytes()
    for i, name in enumerate(names):
        data = data.replace(f"X{i}{'x' * (len(name.encode()) - 2)}/a.png".encode(), f"{name}/a.png".encode())
    path.write_bytes(data)
    assert {each.name for each in unpacked(path).iterdir()} == {*names, ".archive"}


def test_a_folder_is_returned_as_it_is(photos):
    assert unpacked(photos) == photos
    assert unpacked(photos / "none") == photos / "none"


def test_a_hostile_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../boots/a.png", b"")
    with pytest.raises(BadArchive, match=r"a\.zip: holds '\.\./boots/a\.png'"):
        load_dataset("folder", tmp_path / "a.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
