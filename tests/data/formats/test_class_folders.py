"""Folders of class folders: what is read, in which order, and which folders are refused."""

import re
import shlex
import shutil

from gluon_classics.data import DataLoader
from gluon_classics.data.formats.class_folders import BadImages, HeldParts, list_image_folder, load_image_folder

import numpy as np
import pytest
from PIL import Image

from image_folders import draw, write

# What is read


def test_the_folders_are_the_classes(photos):
    data = load_image_folder(photos)
    assert data.classes == ("boots", "shoes") and data.labels.tolist() == [0, 0, 1]
    assert data.files == ("boots/a.png", "boots/b.png", "shoes/c.png")
    assert data.images.shape == (3, 6, 8, 3) and (data.images[:, 0, 0] == [[i, 10 + i, 20 + i] for i in range(3)]).all()
    assert (data.name, data.origin) == ("folder", str(photos))


def test_files_at_any_depth_are_sorted_and_the_case_of_suffixes_does_not_matter(photos):
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


def test_a_class_name_may_begin_with_another(photos):
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


def test_hidden_and_system_files_are_ignored(photos):
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
        ValueError, match=re.escape("2 sizes, 8x6 (3 images), 80x60 (1 images): give image_size")
    ) as error:
        load_image_folder(photos)
    assert not isinstance(error.value, BadImages)
    data = load_image_folder(photos, image_size=10)
    assert data.images.shape == (4, 10, 10, 3) and (data.images[2] == (200, 100, 50)).all()


def test_many_sizes_are_counted(photos):
    for i in range(20):
        draw(photos / f"boots/{i}.png", size=(10 + i, 10))
    with pytest.raises(ValueError, match="21 sizes, 8x6 .* and 16 more: give image_size, .* --image-size 6"):
        load_image_folder(photos)


def test_an_images_size_is_that_of_the_upright_image(photos):
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(photos / "boots/turned.jpg", size=(6, 8), exif=exif)
    assert load_image_folder(photos).images.shape == (4, 6, 8, 3)


def test_channels_are_those_of_the_files_or_as_given(tmp_path):
    root = tmp_path / "grey"
    for name in ("a/1.png", "b/2.png"):
        draw(root / name, colour=(100, 100, 100), mode="L")
    assert load_image_folder(root).images.shape[3] == 1
    assert (load_image_folder(root, channels=3).images == 100).all()
    draw(root / "b/3.png", colour=(100, 100, 100))
    assert load_image_folder(root).images.shape[3] == 3
    assert load_image_folder(root, channels=1).images.shape[3] == 1


@pytest.mark.parametrize(
    ("options", "words"), [({"image_size": 0}, "--image-size.* is 0"), ({"channels": 2}, "--channels.* is 2")]
)
def test_refuses_invalid_options(photos, options, words):
    with pytest.raises(ValueError, match=words):
        load_image_folder(photos, **options)


# Folders that are refused


def test_paths_that_are_not_folders(tmp_path, photos):
    with pytest.raises(ValueError, match="data folder .*absent does not exist; name a folder that holds a folder for"):
        load_image_folder(tmp_path / "absent")
    with pytest.raises(ValueError, match="a.png is not a folder"):
        load_image_folder(photos / "boots/a.png")


def test_folders_without_two_classes(tmp_path, photos):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no class folders, and at least two"):
        load_image_folder(tmp_path / "empty")
    with pytest.raises(ValueError, match="boots holds no class folders, .*; a.png is not in a class folder"):
        load_image_folder(photos / "boots")
    (photos / "shoes/c.png").unlink()
    (photos / "shoes").rmdir()
    with pytest.raises(ValueError, match="photos holds one class folder, boots, and at least two"):
        load_image_folder(photos)
    (photos / "shoes").symlink_to(tmp_path / "empty")
    with pytest.raises(ValueError, match="one class folder, boots, .*; shoes is a link that leads out of the folder"):
        load_image_folder(photos)


# Folders around the class folders


def test_goes_down_while_there_is_one_folder_and_no_picture(photos, tmp_path):
    root = tmp_path / "downloaded"
    (root / "archive").mkdir(parents=True)
    photos.rename(root / "archive/PetImages")
    for name in ("LICENSE", "readme[1].txt", "archive/MSR-LA.docx", "__MACOSX/a/._b.png", "archive/Thumbs.db"):
        write(root / name, b"something")
    (root / "archive/lost+found").mkdir()
    lines = []
    data = load_image_folder(root, log=lines.append)
    assert data.classes == ("boots", "shoes") and data.files[0] == "boots/a.png"
    assert data.origin == str(root / "archive/PetImages") and data.origin in lines[0]
    draw(root / "stray.png")  # then `archive` is meant as a class
    with pytest.raises(ValueError, match="one class folder, archive, and at least two .*; stray.png is not in a class"):
        load_image_folder(root)


def test_does_not_go_down_into_the_only_class(photos):
    (photos / "shoes/c.png").unlink()
    (photos / "shoes").rmdir()
    draw(photos / "boots/old/c.png")
    draw(photos / "boots/new/c.png")
    (photos / "shoes").symlink_to("../nowhere")
    with pytest.raises(ValueError, match="photos holds one class folder, boots, .*; shoes is a link to nothing"):
        load_image_folder(photos)


def test_names_the_folder_to_give_where_a_class_alone_holds_images(photos, tmp_path):
    photos.rename(tmp_path / "images of shoes")
    root = tmp_path
    write(root / "annotations/a.xml", b"<a/>")
    with pytest.raises(BadImages, match=re.escape(f"--data-dir '{root}/images of shoes'")):
        load_image_folder(root)


# Parts of a data set


PARTS = [
    ("train", "test"),
    ("Train", "Test"),
    ("training_set", "test_set"),
    ("train", "validation", "test"),
    ("seg_train/seg_train", "seg_test/seg_test"),
    ("TrainSet", "valset"),
    ("asl_alphabet_train", "asl_alphabet_test"),
    ("imagesTr", "imagesTs"),
    ("fold 1", "fold 2", "fold 3"),
    ("amazon/images", "dslr/images"),
]


@pytest.mark.parametrize("parts", PARTS, ids="-".join)
def test_parts_are_never_classes_and_the_advice_works(tmp_path, parts):
    for part in parts:
        for name in ("cats", "dogs"):
            draw(tmp_path / "my data" / part / name / "a.png")
    draw(tmp_path / "my data/seg_pred/1.png")
    if not parts[0].startswith("seg"):
        shutil.rmtree(tmp_path / "my data/seg_pred")
    with pytest.raises(HeldParts, match="are parts of a data set, not classes") as refused:
        load_image_folder(tmp_path / "my data")
    advised = shlex.split(re.search(r"--data-dir ('[^']+'|\S+)", str(refused.value))[1])[0]
    assert advised == str(tmp_path / "my data" / parts[0])
    assert load_image_folder(advised).classes == ("cats", "dogs")


def test_parts_with_some_of_the_classes_or_none(photos):
    photos.rename(photos.with_name("train"))
    root = photos.parent
    draw(root / "test/boots/d.png")
    draw(root / "unlabelled/e.png")
    with pytest.raises(HeldParts, match=f"holds test and train, which are parts .* --data-dir {root / 'train'}$"):
        load_image_folder(root)
    shutil.rmtree(root / "train")
    draw(root / "train/f.png")
    with pytest.raises(HeldParts, match="make a folder with images for each class"):
        load_image_folder(root)


def test_classes_that_look_like_parts(photos):
    photos.rename(photos.with_name("train"))
    root = photos.parent
    draw(root / "bus/e.png")  # with a bus, a train is a class
    assert load_image_folder(root).classes == ("bus", "train")
    shutil.rmtree(root / "train")
    for name in ("cat/train/a.png", "cat/test/b.png", "dog/train/a.png", "dog/test/b.png"):
        draw(root / name)
    shutil.rmtree(root / "bus")
    assert load_image_folder(root).classes == ("cat", "dog")  # the parts are in the classes


def test_a_resumed_run_takes_the_folder_as_it_was(photos):
    for name in ("Train/cats/a.png", "Train/dogs/a.png", "Test/cats/b.png", "Test/dogs/b.png"):
        draw(photos.parent / "own" / name)
    files = ["Test/cats/b.png", "Test/dogs/b.png", "Train/cats/a.png", "Train/dogs/a.png"]
    assert load_image_folder(photos.parent / "own", known=files).classes == ("Test", "Train")
    # files that older versions could not read, and --skip-bad left out
    draw(photos / "boots/new.tif")
    draw(photos / "chart.pgm")
    known = ("boots/a.png", "boots/b.png", "shoes/c.png")
    assert load_image_folder(photos, known=known, skip_bad=True, log=str).files == known
    assert "boots/new.tif" in load_image_folder(photos, known=known).files


def test_classes_that_differ_in_case_or_unicode_form_are_named(photos):
    for name in ("Boots", "caf\u00e9", "cafe\u0301"):
        draw(photos / name / "a.png")
    lines = []
    assert len(load_image_folder(photos, log=lines.append).classes) == 5
    assert lines == [
        "WARNING: the classes Boots and boots differ in case only",
        "WARNING: the classes 'cafe\\u0301' and 'caf\\xe9' differ in Unicode form only",
    ]


SYSTEM = ("lost+found", "@eaDir", ".Trash-1000", "#recycle", "$RECYCLE.BIN", "System Volume Information", "@Recycle")


def test_folders_of_systems_are_not_classes(photos):
    for name in SYSTEM:
        draw(photos / name / "a.png")
        draw(photos / "boots" / name / "a.png")
    for name in ("Icon\r", "THUMBS.DB", "desktop.ini"):
        write(photos / name)
        write(photos / "boots" / name)
    assert load_image_folder(photos).files == ("boots/a.png", "boots/b.png", "shoes/c.png")


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "ppm", "pgm", "tif", "TIFF"])
def test_other_suffixes(photos, suffix):
    draw(photos / "boots/old", format="PNG").rename(photos / f"boots/z.{suffix}")
    assert load_image_folder(photos).files[2] == f"boots/z.{suffix}"


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
