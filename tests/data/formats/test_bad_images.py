"""Files and links in a folder of class folders that cannot be used, all of them by name."""

import os
import re
import zlib

from gluon_classics.data.formats.class_folders import BadImages, load_image_folder
from gluon_classics.printable import printable

import pytest
from PIL import Image

from image_folders import draw, write


def bad_of(root, **options):
    with pytest.raises(BadImages) as refused:
        load_image_folder(root, **options)
    return refused.value.bad


@pytest.fixture
def spoiled(photos):
    """photos with a bad file of every kind, and the beginning of the reason by name."""
    whole = draw(photos / "boots/truncated.png", size=(50, 40)).read_bytes()
    write(photos / "boots/truncated.png", whole[: len(whole) // 2])
    write(photos / "boots/empty.jpg")
    write(photos / "shoes/new/text.png", b"not found")
    write(photos / "shoes/notes.txt", b"todo")
    write(photos / "shoes/Makefile", b"all:")
    write(photos / "stray.png", (photos / "boots/a.png").read_bytes())
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    frames[0].save(photos / "shoes/moves.gif", save_all=True, append_images=frames[1:])
    bomb = bytearray((photos / "boots/a.png").read_bytes())
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    write(photos / "boots/bomb.png", bytes(bomb))
    (photos / "shoes/gone.png").symlink_to("nowhere.png")
    return photos, {
        "boots/bomb.png": "is too large",
        "boots/empty.jpg": "is empty",
        "boots/truncated.png": "is damaged",
        "shoes/Makefile": "is not an image",
        "shoes/gone.png": "is a link to nothing",
        "shoes/moves.gif": "is an animated GIF",
        "shoes/new/text.png": "is not an image",
        "shoes/notes.txt": "is not an image",
        "stray.png": "is not in a class folder",
    }


@pytest.mark.parametrize("cache", [False, True])
def test_all_bad_files_are_listed_together(spoiled, cache, tmp_path):
    root, expected = spoiled
    options = {"image_size": 8, "cache": tmp_path / "cache" if cache else None}
    for _ in range(2):
        with pytest.raises(BadImages) as refused:
            load_image_folder(root, **options)
        assert list(refused.value.bad) == list(expected)
        text = str(refused.value)
        assert text.startswith(f"{root}: 9 of its files and folders cannot be used:\n")
        for name, words in expected.items():
            assert refused.value.bad[name].startswith(words)
            assert f"\n  {name} {refused.value.bad[name]}\n" in text
        assert "--skip-bad" in text


@pytest.mark.parametrize("cache", [False, True])
def test_skip_bad_leaves_them_out_and_logs_each(spoiled, cache, tmp_path):
    root, expected = spoiled
    for _ in range(2):
        lines = []
        data = load_image_folder(
            root, image_size=8, skip_bad=True, log=lines.append, cache=tmp_path / "cache" if cache else None
        )
        assert data.files == ("boots/a.png", "boots/b.png", "shoes/c.png") and data.labels.tolist() == [0, 0, 1]
        assert (data.images[:, 0, 0] == [[i, 10 + i, 20 + i] for i in range(3)]).all()
        assert [line.split()[1] for line in lines] == list(expected)
        assert all(line.startswith(f"skipped: {name} {words}") for line, (name, words) in zip(lines, expected.items()))


def test_a_long_list_is_cut_and_counted(photos):
    for i in range(25):
        write(photos / f"boots/bad {i:02}.png")
    with pytest.raises(BadImages) as refused:
        load_image_folder(photos)
    assert len(refused.value.bad) == 25
    assert "bad 19.png" in str(refused.value) and "bad 20.png" not in str(refused.value)
    assert "  and 5 more\n" in str(refused.value)


def test_classes_without_an_image_are_refused_even_with_skip_bad(photos):
    (photos / "hats").mkdir()
    write(photos / "gloves/only.png")
    assert bad_of(photos) == {
        "gloves/": "holds no image that can be used",
        "hats/": "holds no image that can be used",
        "gloves/only.png": "is empty (0 bytes)",
    }
    assert {"gloves/", "hats/"} <= set(bad_of(photos, skip_bad=True))


def test_a_folder_without_any_valid_image(tmp_path):
    for name in ("a/1.png", "b/2.png"):
        write(tmp_path / name)
    for skip_bad in (False, True):
        assert list(bad_of(tmp_path, skip_bad=skip_bad)) == ["a/", "b/", "a/1.png", "b/2.png"]


def test_names_that_are_not_utf_8_are_refused_readably(photos):
    root = os.fsencode(photos)
    try:
        with open(os.path.join(root, b"boots", b"caf\xe9.png"), "wb"):
            pass
    except OSError:
        pytest.skip("this file system has no such names")
    os.mkdir(os.path.join(root, b"caf\xe9"))
    with pytest.raises(BadImages) as refused:
        load_image_folder(photos)
    str(refused.value).encode()
    assert "  boots/caf\\xe9.png has a name that is not valid UTF-8: rename it\n" in str(refused.value)
    assert "  caf\\xe9 has a name that is not valid UTF-8: rename it\n" in str(refused.value)
    lines = []
    assert len(load_image_folder(photos, skip_bad=True, log=lines.append)) == 3
    assert len("".join(lines).encode()) > 0


def test_control_characters_do_not_reach_the_terminal(photos):
    write(photos / "boots/\x1b[31mred\nline.png")
    with pytest.raises(BadImages, match=re.escape("boots/\\x1b[31mred\\x0aline.png is empty")):
        load_image_folder(photos)
    assert printable("图\u200d👟 é") == "图\u200d👟 é"


def test_files_that_cannot_be_read(photos):
    path = draw(photos / "boots/locked.png")
    folder = photos / "shoes/locked"
    folder.mkdir()
    path.chmod(0)
    folder.chmod(0)
    try:
        if os.access(path, os.R_OK):
            pytest.skip("root can read every file")
        assert bad_of(photos) == {
            "boots/locked.png": "cannot be read: Permission denied",
            "shoes/locked": "cannot be read: Permission denied",
        }
    finally:
        folder.chmod(0o700)


def test_a_folder_that_cannot_be_listed(photos, monkeypatch):
    scandir, locked = os.scandir, photos / "shoes/locked"
    locked.mkdir()

    def refused(path):
        if path in (locked, photos.parent / "secret"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    assert bad_of(photos) == {"shoes/locked": "cannot be read: Permission denied"}
    (photos.parent / "secret").mkdir()
    with pytest.raises(ValueError, match="secret cannot be read: Permission denied"):
        load_image_folder(photos.parent / "secret")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(photos):
    os.mkfifo(photos / "boots/pipe.png")
    assert bad_of(photos) == {"boots/pipe.png": "is not a regular file"}


# Links


def test_links_to_files_inside_are_followed(photos):
    (photos / "shoes/same.png").symlink_to("../boots/a.png")
    (photos / "shoes/again.png").symlink_to(photos / "shoes/same.png")
    data = load_image_folder(photos)
    assert data.files == ("boots/a.png", "boots/b.png", "shoes/again.png", "shoes/c.png", "shoes/same.png")
    assert (data.images[2] == data.images[0]).all() and data.labels[2] == 1


def test_other_links_are_refused_by_name(photos):
    outside = draw(photos.parent / "outside/a.png")
    draw(photos.parent / "photos2/a.png")  # a folder next to it whose path begins with the same text
    for name, target in {
        "boots/absolute.png": outside,
        "boots/relative.png": "../../outside/a.png",
        "boots/neighbour.png": "../../photos2/a.png",
        "boots/folder": photos / "shoes",
        "boots/up": photos,
        "boots/round.png": "round.png",
        "class": "../outside",
        "twin": "boots",
        "boots/by way.png": photos / "twin2/a.png",
    }.items():
        (photos / name).symlink_to(target)
    (photos / "twin2").symlink_to(outside.parent)
    bad = bad_of(photos)
    way = "follow_links (--follow-links) accepts it"
    out = f"is a link that leads out of the folder, to the file {outside}: {way}"
    assert {
        name: bad.pop(name) for name in ("boots/absolute.png", "boots/relative.png", "boots/by way.png")
    } == dict.fromkeys(("boots/absolute.png", "boots/relative.png", "boots/by way.png"), out)
    for name in ("boots/neighbour.png", "class", "twin2"):
        assert "leads out of the folder" in bad.pop(name), name
    assert bad == {
        "boots/folder": f"is a link to a folder: {way}",
        "boots/up": f"is a link to a folder: {way}",
        "twin": f"is a link to a folder: {way}",
        "boots/round.png": "is a link to nothing, or in a circle",
    }


def test_follow_links_follows_all_but_circles(photos, tmp_path):
    blobs = tmp_path / "blobs"
    for i in range(3):
        draw(blobs / f"sha{i}", format="PNG", colour=(i, 0, 0))
    for i in range(3):  # as in hubs' caches
        (photos / f"boots/{i}.png").symlink_to(f"../../blobs/sha{i}")
    draw(tmp_path / "elsewhere/d.png")
    (photos / "hats").symlink_to("../elsewhere")
    (photos / "shoes/more").symlink_to(tmp_path / "elsewhere")
    assert len(bad_of(photos)) == 5 and len(bad_of(photos, follow_links=False)) == 5
    data = load_image_folder(photos, follow_links=True)
    assert data.classes == ("boots", "hats", "shoes")
    assert [name for name in data.files if "boots" not in name] == ["hats/d.png", "shoes/c.png", "shoes/more/d.png"]
    assert data.images[:3, 0, 0, 0].tolist() == [0, 1, 2]

    (photos / "shoes/up").symlink_to("..")
    (tmp_path / "elsewhere/back").symlink_to(photos / "shoes")
    (photos / "boots/gone.png").symlink_to("nowhere.png")
    assert bad_of(photos, follow_links=True) == {
        "boots/gone.png": "is a link to nothing, or in a circle",
        "hats/back/more": "is a link to a folder that it is in",
        "hats/back/up": "is a link to a folder that it is in",
        "shoes/more/back": "is a link to a folder that it is in",
        "shoes/up": "is a link to a folder that it is in",
    }
