"""Folders of class folders: what is read, in which order, and everything that is refused by name."""

import os
import re
import zlib

from gluon_classics.data import DataLoader
from gluon_classics.data.formats.class_folders import BadImages, list_image_folder, load_image_folder, printable

import numpy as np
import pytest
from PIL import Image


def draw(path, size=(8, 6), colour=(200, 100, 50), mode="RGB", **options):
    """An image file of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path, **options)
    return path


def write(path, data=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def photos(tmp_path):
    """Two classes, three images: boots/a.png, boots/b.png, shoes/c.png."""
    root = tmp_path / "photos"
    for i, name in enumerate(("boots/a.png", "boots/b.png", "shoes/c.png")):
        draw(root / name, colour=(i, 10 + i, 20 + i))
    return root


def bad_of(root, **options):
    with pytest.raises(BadImages) as refused:
        load_image_folder(root, **options)
    return refused.value.bad


# What is read


def test_classes_are_the_folders_and_files_their_images(photos):
    data = load_image_folder(photos)
    assert data.classes == ("boots", "shoes") and data.labels.tolist() == [0, 0, 1]
    assert data.files == ("boots/a.png", "boots/b.png", "shoes/c.png")
    assert data.images.shape == (3, 6, 8, 3) and (data.images[:, 0, 0] == [[i, 10 + i, 20 + i] for i in range(3)]).all()
    assert (data.name, data.origin) == ("folder", str(photos))


def test_files_are_found_at_any_depth_in_sorted_order_whatever_their_suffixs_case(photos):
    draw(photos / "boots/old/worn/z.JPEG")
    draw(photos / "boots/old/y.Jpg")
    draw(photos / "Anoraks/x.WebP")
    draw(photos / "Anoraks/w.bmp")
    draw(photos / "shoes/v.gif")
    data = load_image_folder(photos)
    assert data.classes == ("Anoraks", "boots", "shoes")
    assert list(data.files) == sorted(data.files) and len(data.files) == 8
    for name, label in zip(data.files, data.labels):
        assert name.startswith(data.classes[label] + "/") and (photos / name).is_file()


def test_a_class_whose_name_begins_with_anothers(photos):
    draw(photos / "boots new/a.png")
    draw(photos / "boots.old/a.png")
    data = load_image_folder(photos)
    assert data.classes == ("boots", "boots new", "boots.old", "shoes")
    assert [data.classes[label] for label in data.labels] == [name.split("/")[0] for name in data.files]


NAMES = ("图像", "أحذية", "👟👩‍👩‍👧", "Ботинки", 'it\'s a "name"', "a,b;c", "-rf", "ünïcode")


def test_names_in_any_script(photos):
    for name in NAMES:
        draw(photos / name / f"{name}.png")
    data = load_image_folder(photos)
    assert data.classes == tuple(sorted((*NAMES, "boots", "shoes")))
    assert {f"{name}/{name}.png" for name in NAMES} <= set(data.files)
    write(photos / "图像" / "坏.png")
    with pytest.raises(BadImages, match=re.escape("  图像/坏.png is empty (0 bytes)")):
        load_image_folder(photos)


def test_hidden_files_and_those_of_systems_are_left_out(photos):
    for name in (
        ".DS_Store",
        "Thumbs.db",
        "boots/.DS_Store",
        "boots/._a.png",
        "boots/Thumbs.db",
        "boots/desktop.ini",
        "boots/.thumbnails/a.png",
        "__MACOSX/boots/._a.png",
        "shoes/__MACOSX/a.png",
        ".git/config",
        "README.md",
        "labels.csv",
    ):
        write(photos / name, b"something")
    assert load_image_folder(photos).files == ("boots/a.png", "boots/b.png", "shoes/c.png")


def test_the_root_may_be_text_relative_or_a_link(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    (photos.parent / "link").symlink_to("photos")
    for root in (str(photos), "photos", "link"):
        assert len(load_image_folder(root)) == 3


# Sizes and channels


def test_images_of_several_sizes_need_a_size(photos):
    draw(photos / "boots/large.png", size=(80, 60))
    with pytest.raises(
        ValueError, match=re.escape("2 sizes, 8x6 (3 images), 80x60 (1 images): give --image-size")
    ) as error:
        load_image_folder(photos)
    assert not isinstance(error.value, BadImages)
    data = load_image_folder(photos, image_size=10)
    assert data.images.shape == (4, 10, 10, 3) and (data.images[2] == (200, 100, 50)).all()


def test_many_sizes_are_counted(photos):
    for i in range(20):
        draw(photos / f"boots/{i}.png", size=(10 + i, 10))
    with pytest.raises(ValueError, match="21 sizes, 8x6 .* and 16 more: give --image-size"):
        load_image_folder(photos)


def test_an_images_size_is_that_of_the_upright_picture(photos):
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(photos / "boots/turned.jpg", size=(6, 8), exif=exif)
    assert load_image_folder(photos).images.shape == (4, 6, 8, 3)


def test_channels_are_as_the_files_have_them_or_as_asked(tmp_path):
    root = tmp_path / "grey"
    for name in ("a/1.png", "b/2.png"):
        draw(root / name, colour=(100, 100, 100), mode="L")
    assert load_image_folder(root).images.shape[3] == 1
    assert (load_image_folder(root, channels=3).images == 100).all()
    draw(root / "b/3.png", colour=(100, 100, 100))
    assert load_image_folder(root).images.shape[3] == 3
    assert load_image_folder(root, channels=1).images.shape[3] == 1


@pytest.mark.parametrize(
    ("options", "words"), [({"image_size": 0}, "--image-size is 0"), ({"channels": 2}, "--channels is 2, but")]
)
def test_refuses_options_that_make_no_sense(photos, options, words):
    with pytest.raises(ValueError, match=words):
        load_image_folder(photos, **options)


# Bad files


@pytest.fixture
def spoiled(photos):
    """As photos, with one of every kind of bad file; their names, and a word of each reason."""
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
        "shoes/Makefile": "is no image",
        "shoes/gone.png": "is a link to nothing",
        "shoes/moves.gif": "is an animated GIF",
        "shoes/new/text.png": "is no image",
        "shoes/notes.txt": "is no image",
        "stray.png": "lies in no class folder",
    }


@pytest.mark.parametrize("cache", [False, True])
def test_all_bad_files_are_listed_at_once(spoiled, cache, tmp_path):
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
def test_skip_bad_goes_on_without_them_and_logs_each(spoiled, cache, tmp_path):
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


def test_no_sound_image_at_all(tmp_path):
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
    assert bad_of(photos) == {"boots/pipe.png": "is no regular file"}


# Links


def test_links_to_files_inside_are_followed(photos):
    (photos / "shoes/same.png").symlink_to("../boots/a.png")
    (photos / "shoes/again.png").symlink_to(photos / "shoes/same.png")
    data = load_image_folder(photos)
    assert data.files == ("boots/a.png", "boots/b.png", "shoes/again.png", "shoes/c.png", "shoes/same.png")
    assert (data.images[2] == data.images[0]).all() and data.labels[2] == 1


def test_other_links_are_refused_by_name(photos):
    outside = draw(photos.parent / "outside/a.png")
    draw(photos.parent / "photos2/a.png")  # a neighbour whose path begins alike
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
    out = f"is a link that leads out of the folder, to {outside}: put the file itself there"
    assert {
        name: bad.pop(name) for name in ("boots/absolute.png", "boots/relative.png", "boots/by way.png")
    } == dict.fromkeys(("boots/absolute.png", "boots/relative.png", "boots/by way.png"), out)
    for name in ("boots/neighbour.png", "class", "twin2"):
        assert "leads out of the folder" in bad.pop(name), name
    assert bad == {
        "boots/folder": "is a link to a folder: put the folder itself there",
        "boots/up": "is a link to a folder: put the folder itself there",
        "twin": "is a link to a folder: put the folder itself there",
        "boots/round.png": "is a link to nothing, or in a circle",
    }


# Folders that are no such data set


def test_what_is_no_folder(tmp_path, photos):
    with pytest.raises(ValueError, match="data folder .*absent does not exist; name a folder that holds a folder for"):
        load_image_folder(tmp_path / "absent")
    with pytest.raises(ValueError, match="a.png is not a folder"):
        load_image_folder(photos / "boots/a.png")


def test_folders_without_two_classes(tmp_path, photos):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no class folders, and two are the least"):
        load_image_folder(tmp_path / "empty")
    with pytest.raises(ValueError, match="boots holds no class folders, .*; a.png lies in no class folder"):
        load_image_folder(photos / "boots")
    (photos / "shoes/c.png").unlink()
    (photos / "shoes").rmdir()
    with pytest.raises(ValueError, match="photos holds one class folder, boots, and two are the least"):
        load_image_folder(photos)
    (photos / "shoes").symlink_to(tmp_path / "empty")
    with pytest.raises(ValueError, match="one class folder, boots, .*; shoes is a link that leads out of the folder"):
        load_image_folder(photos)


def test_the_parts_of_a_data_set_are_not_taken_for_classes(photos):
    photos.rename(photos.with_name("train"))
    root = photos.parent
    draw(root / "test/boots/d.png")
    with pytest.raises(
        ValueError, match=f"holds test and train, which are parts .*name one of them, as {root / 'test'}"
    ):
        load_image_folder(root)
    draw(root / "bus/e.png")  # a train and a bus are classes
    assert load_image_folder(root).classes == ("bus", "test", "train")


def test_listing_opens_no_file(photos, monkeypatch):
    write(photos / "boots/z.png")
    write(photos / "boots/z.txt")
    monkeypatch.setattr("builtins.open", None)
    classes, files, bad = list_image_folder(photos)
    assert classes == ["boots", "shoes"] and files[-2:] == ["boots/z.png", "shoes/c.png"]
    assert list(bad) == ["boots/z.txt"]


# On disk


def test_a_cached_folder_is_mapped_and_its_batches_are_slices(photos, tmp_path):
    for i in range(30):
        draw(photos / f"boots/{i}.png", colour=(i, 0, 0))
        draw(photos / f"shoes/{i}.png", colour=(0, i, 0))
    on_disk, in_memory = (load_image_folder(photos, cache=cache) for cache in (tmp_path / "cache", None))
    assert isinstance(on_disk.images, np.memmap) and not isinstance(in_memory.images, np.memmap)
    for part, other in zip(on_disk.split(0.2, seed=0), in_memory.split(0.2, seed=0)):
        assert part.files == other.files
        for batch, same in zip(*(DataLoader(each, 7, shuffle=True, seed=1) for each in (part, other))):
            assert (batch[0].asnumpy() == same[0].asnumpy()).all() and (batch[1].asnumpy() == same[1].asnumpy()).all()
