"""Cutting one data set of images into a training and a test set, and keeping the cut.

Neighbouring poses of a turntable (72 in COIL-20, 5 degrees apart) are almost the same picture. A random cut leaves
nearly every test image one of its neighbours in the training set, so that it measures how well a network remembers.
`split_pose_blocks` measures whether it knows an object from sides that it has not seen.
"""

from __future__ import annotations

import json
import re
from collections import Counter

from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.image_options import ImageOptions
from gluon_classics.nearest import unknown_name

import numpy as np

SPLITS = ("random", "pose-block", "leave-poses")
POSES = 72  # of a full turn; pose 71 and pose 0 are neighbours
POSE_NAME = re.compile(r"((?:.*/)?obj\d+__)(\d+)(\.png)")

Parts = tuple[ImageDataset, ImageDataset]


def split_images(dataset: ImageDataset, options: ImageOptions) -> Parts:
    """(training, test) as `options` has it: `stored` first, and else `split` (random), a tenth of it (pose_step 2).

    Raises ValueError for an unknown split, for an option of another split, and what the split raises.
    """
    if options.stored is not None:
        return split_from_json(dataset, options.stored)
    split = options.split or "random"
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    if split == "leave-poses":
        if options.test_fraction is not None:
            raise ValueError(
                f"--test-fraction is {options.test_fraction}, but --split leave-poses K trains on every K-th pose and"
                " tests on all others: leave the fraction out"
            )
        return split_leave_poses(dataset, 2 if options.pose_step is None else options.pose_step)
    if options.pose_step is not None:
        raise ValueError(f"the split {split} takes no number of poses ({options.pose_step}): leave-poses does")
    fraction = 0.1 if options.test_fraction is None else options.test_fraction
    cut = split_random if split == "random" else split_pose_blocks
    return cut(dataset, fraction, options.seed)


def split_random(dataset: ImageDataset, fraction: float = 0.1, seed: int = 0) -> Parts:
    """(training, test): of each class, round(fraction * its count) images at random are for testing.

    Of COIL-20 and a tenth: 1,300 and 140 images, 65 and 7 of each object. See ImageDataset.split, also for the errors.
    """
    return dataset.split(fraction, seed)


def split_pose_blocks(dataset: ImageDataset, fraction: float = 0.1, seed: int = 0) -> Parts:
    """(training, test): of each class, one arc of poses that follow each other is for testing; `seed` says where.

    The arc has round(fraction * its count) images, at least 1, and may go over from pose 71 to pose 0. The pose before
    it and the pose behind it are in neither part, so that no test image has a neighbour of 5 degrees in training; those
    at the arc's ends have one of 10 degrees. Of COIL-20 and a tenth: of each object 7 poses (35 degrees) for testing, 2
    left out, 63 for training; in all 140, 40 and 1,260.

    Where poses are missing, as in a training set that was cut this way before, the arc goes over the gap, and what was
    said of neighbours still holds.

    Raises ValueError for a fraction outside 0..1, for one that leaves no image of a class to train on, for a data set
    without the names of its files, and for names that are not like obj3__17.png with poses 0 to 71.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"{dataset.name}: cannot split off {fraction} of the images; give a fraction between 0 and 1")
    poses = poses_of(dataset)
    random = np.random.RandomState(seed)  # not Generator: its stream is the same on every NumPy
    test, left_out = np.zeros(len(dataset), bool), np.zeros(len(dataset), bool)
    for label in np.unique(dataset.labels):
        members = np.flatnonzero(dataset.labels == label)
        members = members[np.argsort(poses[members], kind="stable")]
        count = max(1, round(fraction * len(members)))
        start = random.randint(len(members))
        arc = members[(start + np.arange(count)) % len(members)]
        near = {(pose + step) % POSES for pose in poses[arc].tolist() for step in (-1, 0, 1)}
        test[arc] = True
        left_out[members] = [pose in near for pose in poses[members].tolist()]
        if (test | left_out)[members].all():
            raise ValueError(
                f"{dataset.name}: the fraction {fraction} and the poses beside it leave no image of class"
                f" {dataset.classes[label]} to train on, of {len(members)}; give a smaller one"
            )
    return dataset._only(~(test | left_out)), dataset._only(test)


def split_leave_poses(dataset: ImageDataset, k: int = 2) -> Parts:
    """(training, test): the poses that k divides are for training, all others for testing.

    With k of 2 every other pose is learnt, as by H. Murase and S. K. Nayar, "Visual learning and recognition of 3-D
    objects from appearance" (1995): of COIL-20 720 images, one every 10 degrees, and 720 to test on, each of which lies
    between two of them. Larger ones are harder: 4, 9 and 18 leave 18, 8 and 4 views of an object. Where k does not
    divide 72, the last step of the turn is a shorter one.

    Raises ValueError for a k that is not 2 to 72, where a class is left without an image in one of the parts, and as
    `split_pose_blocks` for names without poses.
    """
    if not 2 <= k <= POSES:
        raise ValueError(f"{dataset.name}: cannot train on every {k}th pose: give 2 to {POSES}")
    train = poses_of(dataset) % k == 0
    for label in np.unique(dataset.labels):
        members = train[dataset.labels == label]
        if members.all() or not members.any():
            raise ValueError(
                f"{dataset.name}: all {len(members)} images of class {dataset.classes[label]} are for"
                f" {'training' if members.any() else 'testing'} with k {k}; take another k"
            )
    return dataset._only(train), dataset._only(~train)


def poses_of(dataset: ImageDataset) -> np.ndarray:
    """The pose of each image, (N,) of 0 to 71, out of its file's name. Raises ValueError as `split_pose_blocks`."""
    if dataset.files is None:
        raise ValueError(f"{dataset.name}: its images have no file names, and so no poses; take the split random")
    poses = []
    for name in dataset.files:
        match = POSE_NAME.fullmatch(name)
        if match is None or int(match[2]) >= POSES:
            raise ValueError(
                f"{dataset.name}: the file {name!r} names no pose as obj3__17.png does, which is pose 17 of 0 to"
                f" {POSES - 1} of object 3; take the split random"
            )
        poses.append(int(match[2]))
    return np.array(poses)


def split_to_json(train: ImageDataset, test: ImageDataset) -> str:
    """The text of split.json, {"train": [file names], "test": [file names]}, from both whole parts.

    Raises ValueError for data sets without the names of their files.
    """
    if train.files is None or test.files is None:
        raise ValueError(f"{train.name}: its images have no file names, so that a split of them cannot be stored")
    return json.dumps({"train": list(train.files), "test": list(test.files)}, indent=1) + "\n"


def split_from_json(dataset: ImageDataset, text: str) -> Parts:
    """(training, test) of the whole `dataset` as `split_to_json` has stored it.

    Raises ValueError for text that is no stored split, and, with their names, for files that are gone from the data set
    or new in it. The neighbours of test poses are not new: `split_pose_blocks` leaves them out.
    """
    if dataset.files is None:
        raise ValueError(f"{dataset.name}: its images have no file names, so that no stored split applies to them")
    train, test = _stored_parts(dataset.name, text)
    files = set(dataset.files)
    gone = [name for name in train + test if name not in files]
    new = sorted(files - set(train) - set(test) - _neighbours(test))
    if gone or new:
        raise ValueError(
            f"{dataset.name} is not what it was when the split was stored: "
            + "; ".join(
                f"{len(names):,} {words}: {some(names)}"
                for names, words in ((gone, "of its files are missing"), (new, "files are new"))
                if names
            )
            + ". Bring the data set back to what it was, or start a new run"
        )
    in_train, in_test = (np.array([name in names for name in dataset.files]) for names in (set(train), set(test)))
    return dataset._only(in_train), dataset._only(in_test)


def _stored_parts(name: str, text: str) -> tuple[list[str], list[str]]:
    try:
        parts = json.loads(text)
        train, test = parts["train"], parts["test"]
        sound = all(isinstance(part, list) and part and all(isinstance(f, str) for f in part) for part in (train, test))
    except (ValueError, KeyError, TypeError):
        sound = False
    if not sound:
        raise ValueError(f'{name}: the stored split is not {{"train": [file names], "test": [file names]}}')
    twice = sorted(file for file, count in Counter(train + test).items() if count > 1)
    if twice:
        raise ValueError(f"{name}: the stored split names files more than once: {some(twice)}")
    return train, test


def _neighbours(names: list[str]) -> set[str]:
    """The names of the poses before and behind those of `names`, where they name poses."""
    near = set()
    for match in filter(None, map(POSE_NAME.fullmatch, names)):
        near |= {f"{match[1]}{(int(match[2]) + step) % POSES}{match[3]}" for step in (-1, 1)}
    return near


def some(names: list[str], most: int = 20) -> str:
    """The names, or the first ones and the number of others, as a part of a sentence."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
