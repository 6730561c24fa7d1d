"""Images that are in both the training and the test set."""

from time import perf_counter

from gluon_classics.data import ImageDataset
from gluon_classics.data.duplicates import duplicate_lines, find_duplicates

import numpy as np

CLASSES = ("boots", "shoes")


def images(n, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (n, 5, 4, 1), np.uint8)


def dataset(pixels, files=None, labels=None):
    return ImageDataset(pixels, np.zeros(len(pixels), int) if labels is None else labels, CLASSES, "set", files=files)


def test_finds_exactly_the_equal_images():
    train, test = images(600), images(300, seed=1)
    test[7], test[299] = train[599], train[0]
    nearly = train[5].copy()
    nearly[0, 0, 0] ^= 1
    test[8] = nearly
    assert find_duplicates(dataset(train), dataset(test)) == [(599, 7), (0, 299)]
    assert find_duplicates(dataset(train), dataset(images(300, seed=1))) == []


def test_each_test_image_is_paired_with_the_first_equal_one():
    black = np.zeros((50, 5, 4, 1), np.uint8)
    train = np.concatenate([images(3), black])
    assert find_duplicates(dataset(train), dataset(black)) == [(3, i) for i in range(50)]


def test_the_same_bytes_in_another_shape_are_not_duplicates():
    pixels = images(3)
    assert find_duplicates(dataset(pixels), dataset(pixels.reshape(3, 4, 5, 1))) == []


def test_images_on_disk_are_compared_too(tmp_path):
    np.save(tmp_path / "images.npy", images(600))
    whole = dataset(np.load(tmp_path / "images.npy", mmap_mode="r"))
    train, test = whole.split(0.1, seed=0)
    assert find_duplicates(train, test) == []
    assert len(find_duplicates(whole, test)) == len(test) == 60


def test_70_000_small_images_are_quick():
    train, test = dataset(np.zeros((60_000, 28, 28, 1), np.uint8)), dataset(np.ones((10_000, 28, 28, 1), np.uint8))
    start = perf_counter()
    assert find_duplicates(train, test) == []
    assert perf_counter() - start < 10  # on any machine, however busy


def test_the_report_names_the_files_and_the_classes_that_differ():
    pixels = images(4)
    train = dataset(pixels, [f"boots/{i}.png" for i in range(4)])
    test = dataset(pixels[1:3], ["boots/x.png", "shoes/y.png"], np.array([0, 1]))
    first, same, different = duplicate_lines(find_duplicates(train, test), train, test)
    assert first.startswith("2 of 2 test images")
    assert same == "  boots/x.png is boots/1.png"
    assert different.startswith("  shoes/y.png is boots/2.png, ") and "shoes for testing and boots" in different
    assert duplicate_lines([], train, test) == []


def test_the_report_without_file_names_is_cut_and_counted():
    data = dataset(np.zeros((1200, 5, 4, 1), np.uint8))
    lines = duplicate_lines(find_duplicates(data, data), data, data, most=2)
    assert lines[0].startswith("1,200 of 1,200 test images")
    assert lines[1:] == [
        "  test image 0 is training image 0",
        "  test image 1 is training image 0",
        "  and 1,198 more",
    ]


def test_control_characters_in_class_names_are_escaped():
    images = np.zeros((1, 2, 2, 1), np.uint8)
    train, test = (ImageDataset(images, np.array([i]), ("\x1b[2J", "\x07"), "own", files=["\x1ba"]) for i in (0, 1))
    assert "\x1b" not in "".join(duplicate_lines(find_duplicates(train, test), train, test))
