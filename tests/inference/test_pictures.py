"""The pictures found, and the classes of their folders."""

import os

from gluon_classics.inference.pictures import Picture, class_by_folder, find_pictures

import pytest


@pytest.fixture
def touch(tmp_path, monkeypatch):
    """Make empty files, in the current folder."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
            open(name, "w").close()

    return make


def files(pictures):
    return [picture.file for picture in pictures.found]


def test_folders_are_walked_in_order(touch):
    touch("f/b.png", "f/a.JPG", "f/c/2.webp", "f/c/1.jpeg", "f/b/9.bmp", "f/notes.txt", "f/c/.DS_Store", "f/.git/a.png")
    touch("z.png", "f/-x.png", "f/ein Bild.png", "f/写真.gif")
    found = find_pictures(["z.png", "f"])
    inside = ["-x.png", "a.JPG", "b.png", "ein Bild.png", "写真.gif", "b/9.bmp", "c/1.jpeg", "c/2.webp"]
    assert files(found) == ["z.png", *(f"f/{name}" for name in inside)]
    assert (found.others, found.hidden, found.repeated) == (1, 2, 0)


def test_a_named_file_needs_no_suffix(touch):
    touch(".hidden", "scan.dat")
    assert files(find_pictures([".hidden", "scan.dat", "not there.png", "-"])) == [
        ".hidden",
        "scan.dat",
        "not there.png",
        "-",
    ]


def test_each_picture_once(touch):
    touch("f/a.png", "f/b.png")
    os.symlink("a.png", "f/link.png")
    os.symlink("f", "g")
    found = find_pictures(["f/b.png", "f", "./f/../f/a.png", "f", "g"])
    assert files(found) == ["f/b.png", "f/a.png"]
    assert found.repeated == 3
    assert "f/link.png" in found and "f/c.png" not in found


def test_links_in_a_circle(touch):
    touch("f/a.png", "f/g/b.png")
    os.symlink("..", "f/g/up")
    os.symlink(".", "f/self")
    os.symlink("gone.png", "f/gone.png")
    os.symlink("round.png", "f/round.png")
    assert files(find_pictures(["f"])) == ["f/a.png", "f/gone.png", "f/round.png", "f/g/b.png"]


def test_a_folder_that_cannot_be_read(touch, monkeypatch):
    touch("f/a.png", "f/g/b.png", "f/h/c.png")
    scandir = os.scandir

    def closed(path):
        if path == "f/g":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    found = find_pictures(["f"])
    assert files(found) == ["f/a.png", "f/h/c.png"]
    assert found.unreadable == [("f/g", "cannot be read: Permission denied")]


def test_classes_by_folders(tmp_path, monkeypatch):
    named = class_by_folder(["Coat", "T-shirt/top", "top", "caf\u00e9", "Shirt", ""])
    assert named(Picture("photos/Coat/1.png", "photos")) == "Coat"
    assert named(Picture("photos/Coat/new/1.png", "photos")) == "Coat"
    assert named(Picture("photos/Coat/Shirt/1.png", "photos")) == "Shirt"
    assert named(Picture("photos/T-shirt/top/1.png", "photos")) == "T-shirt/top"
    assert named(Picture("photos/top/1.png", "photos")) == "top"
    assert named(Picture("photos/cafe\u0301/1.png", "photos")) == "café"
    assert named(Picture("photos/Raincoat/1.png", "photos")) is None
    assert named(Picture("photos/coat/1.png", "photos")) is None
    assert named(Picture("/home/Coat/photos/1.png", "/home/Coat/photos")) is None
    assert named(Picture("photos/Coat/" + 2000 * "d/" + "1.png", "photos")) == "Coat"
    assert named(Picture("/home/Coat/1.png", "/home/Coat")) == "Coat"
    (tmp_path / "Coat").mkdir()
    monkeypatch.chdir(tmp_path / "Coat")
    assert named(Picture("1.png", "")) == "Coat"
    assert named(Picture("./1.png", ".")) == "Coat"
    assert named(Picture("../1.png", "..")) is None
