"""Splits of COIL-20's poses: nothing shared, no neighbours in training, the same on every machine, stored."""

import json

from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.image_options import ImageOptions
from gluon_classics.data.splits import (
    split_from_json,
    split_images,
    split_leave_poses,
    split_pose_blocks,
    split_random,
    split_to_json,
)

import numpy as np
import pytest

OBJECTS = 20
ALL_POSES = range(72)


def make(poses=ALL_POSES, name="obj{}__{}.png"):
    """Return COIL-20's file names, not in the order of the poses, with the index in each image."""
    files = [name.format(number, pose) for number in range(1, OBJECTS + 1) for pose in reversed(poses)]
    images = np.arange(len(files), dtype=">u2").view(np.uint8).reshape((-1, 1, 2, 1))
    labels = np.repeat(np.arange(OBJECTS), len(poses))
    return ImageDataset(images, labels, [f"obj{i + 1}" for i in range(OBJECTS)], "coil20", "root", files)


@pytest.fixture(scope="module")
def whole():
    return make()


def turn(part, label):
    """Return the poses of one object in a part, sorted."""
    return sorted(int(file.split("__")[1][:-4]) for file, each in zip(part.files, part.labels) if each == label)


def check_parts(whole, train, test):
    """Assert that the parts share nothing and that each image keeps its name and label."""
    assert not set(train.files) & set(test.files)
    places = {file: place for place, file in enumerate(whole.files)}
    for part in (train, test):
        assert part.classes == whole.classes and part.name == whole.name and part.origin == whole.origin
        rows = [places[file] for file in part.files]
        assert rows == sorted(set(rows))  # in the order of the whole
        assert (part.images == whole.images[rows]).all() and (part.labels == whole.labels[rows]).all()
        assert sorted(set(part.labels.tolist())) == list(range(len(whole.classes)))  # every class in both


# Random


def test_random_is_nine_to_one_in_every_class(whole):
    train, test = split_random(whole)
    check_parts(whole, train, test)
    assert (len(train), len(test)) == (1300, 140)
    assert np.bincount(train.labels).tolist() == [65] * 20 and np.bincount(test.labels).tolist() == [7] * 20


def test_random_leaves_a_neighbour_in_training_for_nearly_every_test_image(whole):
    """Why pose-block exists: the chance that neither neighbour is in training is about (6/71)(5/70), below 1 %."""
    train, test = split_random(whole)
    alone = 0
    for label in range(OBJECTS):
        learnt = set(turn(train, label))
        alone += sum({(pose - 1) % 72, (pose + 1) % 72}.isdisjoint(learnt) for pose in turn(test, label))
    assert alone <= 7  # of 140


# Blocks of poses


@pytest.mark.parametrize(("fraction", "held"), [(0.1, 7), (0.05, 4), (0.25, 18), (0.5, 36), (0.001, 1)])
def test_no_test_image_has_a_neighbour_in_training(whole, fraction, held):
    went_round = 0
    for seed in range(25):
        train, test = split_pose_blocks(whole, fraction, seed)
        if seed == 0:
            check_parts(whole, train, test)
        assert (len(train), len(test)) == (OBJECTS * (72 - held - 2), OBJECTS * held)
        for label in range(OBJECTS):
            tested, learnt = turn(test, label), set(turn(train, label))
            for pose in tested:
                near = {(pose + step) % 72 for step in (-1, 0, 1)}
                assert near.isdisjoint(learnt), (seed, label, pose)
            # one arc: exactly one pose has no pose of the test set before it
            assert sum((pose - 1) % 72 not in tested for pose in tested) == 1
            went_round += 0 in tested and 71 in tested
    assert went_round or held == 1  # over the end of the turn as well


def test_with_a_tenth_63_poses_are_learnt_and_2_left_out(whole):
    train, test = split_pose_blocks(whole)
    assert (len(train), len(test), len(whole) - len(train) - len(test)) == (1260, 140, 40)
    assert np.bincount(train.labels).tolist() == [63] * 20


def test_the_seed_alone_says_where(whole):
    def arcs(seed):
        test = split_pose_blocks(whole, 0.1, seed)[1]
        return [turn(test, label) for label in range(OBJECTS)]

    first = arcs(1)
    np.random.seed(9)
    assert arcs(1) == first
    assert all(arcs(seed) != first for seed in range(2, 8))
    assert len({tuple(arc) for arc in first}) > 10  # another arc for each object


def test_a_training_set_can_be_cut_again_for_validation(whole):
    for seed in range(25):
        rest, test = split_pose_blocks(whole, 0.1, seed)
        train, validation = split_pose_blocks(rest, 0.1, seed + 1)
        check_parts(rest, train, validation)
        assert np.bincount(validation.labels).tolist() == [6] * 20  # round(6.3)
        for label in range(OBJECTS):
            learnt = set(turn(train, label))
            for pose in turn(validation, label) + turn(test, label):
                assert {(pose + step) % 72 for step in (-1, 0, 1)}.isdisjoint(learnt)


def test_blocks_that_leave_nothing_to_train_on_are_refused():
    split_pose_blocks(make(), 69 / 72)
    with pytest.raises(ValueError, match=r"coil20: the fraction 0.97\d* leaves none of the 72 images of class obj1"):
        split_pose_blocks(make(), 70 / 72)
    with pytest.raises(ValueError, match="every class has too few poses"):
        split_pose_blocks(make(poses=range(2)), 0.1)


# Classes that are too small to split


def small(counts, name="{}/{}.png"):
    """Return a data set with this number of images of each class."""
    files = [name.format(label, i) for label, count in enumerate(counts) for i in range(count)]
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.zeros((len(files), 1, 1, 1), np.uint8)
    return ImageDataset(images, labels, "abcdef"[: len(counts)], "own", files=files)


@pytest.mark.parametrize(
    ("counts", "options", "untested"),
    [
        ((20, 1), {}, "b (1)"),
        ((1, 20, 1), {"test_fraction": 0.5}, "a (1), c (1)"),
        ((20, 2), {"split": "pose-block"}, "b (2)"),  # one pose for testing, and the other next to it
        ((20, 1), {"split": "leave-poses"}, "b (1)"),
    ],
)
def test_a_class_too_small_to_split_stays_in_training_with_a_warning(counts, options, untested):
    lines = []
    whole = small(counts, "obj{}__{}.png")
    train, test = split_images(whole, ImageOptions(log=lines.append, **options))
    assert len(lines) == 1 and lines[0].startswith("WARNING")
    assert lines[0].endswith(f"the test set has no image of {untested}")
    for label, count in enumerate(counts):
        if count <= 3:
            assert (train.labels == label).sum() == count and not (test.labels == label).any()
        else:
            assert (train.labels == label).any() and (test.labels == label).any()
    lines.clear()
    again = split_images(whole, ImageOptions(log=lines.append, stored=split_to_json(train, test)))
    assert [part.files for part in again] == [train.files, test.files] and not lines


@pytest.mark.parametrize("split", ["random", "pose-block", "leave-poses"])
def test_classes_of_one_image_alone_are_refused(split):
    with pytest.raises(ValueError, match="no class has two images|every class has too few"):
        split_images(small((1, 1), "obj{}__{}.png"), ImageOptions(split=split))


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_blocks_refuse_an_invalid_fraction(whole, fraction):
    with pytest.raises(ValueError, match=f"coil20: cannot split off {fraction} of the images"):
        split_pose_blocks(whole, fraction)


# Every k-th pose


@pytest.mark.parametrize(("k", "views"), [(2, 36), (4, 18), (9, 8), (18, 4), (72, 1), (7, 11)])
def test_leave_poses_trains_on_every_kth(whole, k, views):
    train, test = split_leave_poses(whole, k)
    check_parts(whole, train, test)
    assert (len(train), len(test)) == (OBJECTS * views, OBJECTS * (72 - views))
    assert turn(train, 3) == list(range(0, 72, k))


@pytest.mark.parametrize("k", [1, 0, -2, 73])
def test_leave_poses_refuses_other_numbers(whole, k):
    with pytest.raises(ValueError, match=f"cannot train on every {k}th pose: give 2 to 72"):
        split_leave_poses(whole, k)


def test_leave_poses_refuses_to_leave_a_part_without_a_class():
    with pytest.raises(ValueError, match="k = 2, all 4 images of class obj1 are for training"):
        split_leave_poses(make(poses=range(0, 8, 2)), 2)
    with pytest.raises(ValueError, match="k = 2, all 4 images of class obj1 are for testing"):
        split_leave_poses(make(poses=range(1, 8, 2)), 2)


@pytest.mark.parametrize("name", ["cat{}_{}.png", "obj{}__1{}0.png", "obj{}__{}.jpg", "obj{}_{}.png"])
@pytest.mark.parametrize("split", [split_pose_blocks, split_leave_poses])
def test_names_without_poses_are_refused(split, name):
    with pytest.raises(ValueError, match="like obj3__17.png, .*; use the split random"):
        split(make(name=name))


def test_poses_are_read_in_folders_too():
    train, _ = split_leave_poses(make(name="coil-20-proc/obj{}__{}.png"), 2)
    assert len(train) == 720


def test_images_without_file_names_have_no_poses(whole):
    nameless = ImageDataset(whole.images, whole.labels, whole.classes, "nameless")
    for call in (split_pose_blocks, split_leave_poses):
        with pytest.raises(ValueError, match="nameless: its images have no file names, and so no poses"):
            call(nameless)
    with pytest.raises(ValueError, match="nameless: .* cannot be stored"):
        split_to_json(nameless, nameless)
    with pytest.raises(ValueError, match="nameless: .* no stored split applies"):
        split_from_json(nameless, "{}")


# By options


def test_options_choose_the_split(whole):
    for options, train in (
        (ImageOptions(), 1300),
        (ImageOptions("random", test_fraction=0.5), 720),
        (ImageOptions("pose-block"), 1260),
        (ImageOptions("pose-block", test_fraction=0.2), 1120),  # 14 of 72 for testing, 2 left out
        (ImageOptions("leave-poses"), 720),
        (ImageOptions("leave-poses", pose_step=4), 360),
    ):
        assert len(split_images(whole, options)[0]) == train, options
    first, second = (split_images(whole, ImageOptions(seed=seed))[1].files for seed in (1, 2))
    assert first == split_random(whole, 0.1, 1)[1].files != second


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (ImageOptions("pose_blocks"), "unknown split 'pose_blocks': did you mean pose-block"),
        (ImageOptions("leave-poses", test_fraction=0.2), r"\(--test-fraction\) is 0.2, but the split leave-poses"),
        (ImageOptions("random", pose_step=2), r"the split random takes no number of poses \(2\); leave-poses does"),
        (ImageOptions("pose-block", pose_step=2), "the split pose-block takes no number of poses"),
    ],
)
def test_options_that_do_not_go_together_are_refused(whole, options, words):
    with pytest.raises(ValueError, match=words):
        split_images(whole, options)


# Stored


@pytest.mark.parametrize("split", ["random", "pose-block", "leave-poses"])
def test_a_stored_split_gives_the_same_parts(whole, split):
    parts = split_images(whole, ImageOptions(split, seed=5))
    text = split_to_json(*parts)
    stored = json.loads(text)
    assert [len(stored[part]) for part in ("train", "test")] == [len(part) for part in parts]
    for again in (split_from_json(whole, text), split_images(whole, ImageOptions("random", seed=6, stored=text))):
        for part, same in zip(parts, again):
            assert part.files == same.files and (part.images == same.images).all()


def named(*files):
    return ImageDataset(
        np.zeros((len(files), 1, 1, 1), np.uint8), np.zeros(len(files), int), ("a",), "mine", "x", files
    )


def test_names_in_any_script_are_kept():
    files = ("a/Ärger 1.png", "a/猫.png", "a/صورة.png", 'a/"quoted".png')
    whole = named(*files)
    text = split_to_json(named(*files[:3]), named(*files[3:]))
    text.encode("ascii")  # whatever encoding a file is written in
    assert split_from_json(whole, text)[0].files == files[:3]


def test_missing_and_new_files_are_named():
    text = split_to_json(named("a/1.png", "a/2.png"), named("a/3.png"))
    with pytest.raises(ValueError) as error:
        split_from_json(named("a/1.png", "a/new.png", "a/other.png"), text)
    assert str(error.value).startswith(
        "mine changed since the split was stored: 2 of its files are missing: a/2.png, a/3.png; 2 files are new:"
        " a/new.png, a/other.png. "
    )
    with pytest.raises(ValueError, match=r"1 files are new: a/4.png\. "):
        split_from_json(named("a/1.png", "a/2.png", "a/3.png", "a/4.png"), text)
    many = named(*(f"a/{i:04}.png" for i in range(1000)), "a/1.png", "a/2.png", "a/3.png")
    with pytest.raises(ValueError, match="1,000 files are new: a/0000.png, .*, a/0019.png and 980 more"):
        split_from_json(many, text)


def test_a_lost_pose_is_named(whole):
    text = split_to_json(*split_pose_blocks(whole))
    lost = whole._only(np.arange(len(whole)) != 100)
    file = whole.files[100]
    assert file in json.loads(text)["train"]
    with pytest.raises(ValueError, match=f"1 of its files are missing: {file}"):
        split_from_json(lost, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        '{"train": ["a"]}',
        '{"train": "a", "test": ["b"]}',
        '{"train": [1], "test": ["b"]}',
        '{"train": [], "test": ["b"]}',
    ],
)
def test_refuses_text_that_is_not_a_stored_split(text):
    with pytest.raises(ValueError, match='mine: the stored split is not {"train"'):
        split_from_json(named("a", "b"), text)


def test_a_file_in_both_parts_is_refused():
    with pytest.raises(ValueError, match="names files more than once: b$"):
        split_from_json(named("a", "b"), '{"train": ["a", "b"], "test": ["b"]}')
