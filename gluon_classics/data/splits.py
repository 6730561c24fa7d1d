"""Split a data set of images into a training and a test set, and store the split.

Neighbouring poses of a turntable (72 in COIL-20, 5 degrees apart) are almost the same image. A random split leaves
nearly every test image a neighbour in the training set, so it measures memory. `split_pose_blocks` measures whether a
network recognises an object from sides that it has not seen.
"""

from __future__ import annotations

import json
import re
from collections import Counter

from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.image_options import ImageOptions
from gluon_classics.nearest import unknown_name
from gluon_classics.printable import printable

import numpy as np

SPLITS = ("random", "pose-block", "leave-poses")
POSES = 72  # of a full turn; pose 71 and pose 0 are neighbours
POSE_NAME = re.compile(r"((?:.*/)?obj\d+__)(\d+)(\.png)")

Parts = tuple[ImageDataset, ImageDataset]


def split_images(dataset: ImageDataset, options: ImageOptions) -> Parts:
    """Return (training, test) by `options.stored`, or else by `options.split`.

    The defaults are random, a test_fraction of 0.1, and a pose_step of 2. Raises ValueError for an unknown split, for
    an option of another split, and whenever the split does.
    """
    if options.stored is not None:
        return split_from_json(dataset, options.stored)
    train, test = _split(dataset, options)
    for line in untested_lines(train, test, "test"):
        options.log(line)
    return train, test


def _split(dataset: ImageDataset, options: ImageOptions) -> Parts:
    split = options.split or "random"
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    if split == "leave-poses":
        if options.test_fraction is not None:
            given = f"test_fraction (--test-fraction) is {options.test_fraction}"
            raise ValueError(f"{given}, but the split leave-poses tests on all poses outside the training set: omit it")
        return split_leave_poses(dataset, 2 if options.pose_step is None else options.pose_step)
    if options.pose_step is not None:
        raise ValueError(f"the split {split} takes no number of poses ({options.pose_step}); leave-poses does")
    fraction = 0.1 if options.test_fraction is None else options.test_fraction
    cut = split_random if split == "random" else split_pose_blocks
    return cut(dataset, fraction, options.seed)


def untested_lines(train: ImageDataset, test: ImageDataset, part: str) -> list[str]:
    """Warn of classes that a split could not divide, so that all of their images are in `train`; [] without any."""
    counts = np.bincount(train.labels, minlength=len(train.classes))
    untested = np.setdiff1d(np.unique(train.labels), test.labels)
    if not untested.size:
        return []
    names = some([f"{printable(train.classes[label])} ({counts[label]:,})" for label in untested])
    what = "class has" if untested.size == 1 else "classes have"
    why = f"{untested.size:,} {what} too few images to be split"
    return [f"WARNING: {why}, which therefore all stay in training: the {part} set has no image of {names}"]


def split_random(dataset: ImageDataset, fraction: float = 0.1, seed: int = 0) -> Parts:
    """Return (training, test): of each class, round(fraction * count) images, drawn at random, are for testing.

    For COIL-20 and 0.1: 1,300 and 140 images, 65 and 7 of each object. See `ImageDataset.split`.
    """
    return dataset.split(fraction, seed)


def split_pose_blocks(dataset: ImageDataset, fraction: float = 0.1, seed: int = 0) -> Parts:
    """Return (training, test): of each class, one arc of consecutive poses, placed by `seed`, is for testing.

    The arc has round(fraction * count) images, at least 1, and may pass from pose 71 to pose 0. The poses just before
    and after it are in neither part, so no test image has a training image 5 degrees away; those at the ends have one
    at 10 degrees. For COIL-20 and 0.1, each object has 7 poses (35 degrees) for testing, 2 left out and 63 for
    training: 140, 40 and 1,260 in total. If poses are missing, as in a training set that was already split this way,
    the arc spans the gap, and the same holds. A class of which even one pose for testing would leave nothing to train
    on stays in training.

    Raises ValueError if `fraction` is not between 0 and 1, or leaves no image of a larger class to train on, if no
    class can be split, if the data set has no file names, and for names that are not like obj3__17.png with poses 0 to
    71.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"{dataset.name}: cannot split off {fraction} of the images; give a fraction between 0 and 1")
    poses = poses_of(dataset)
    random = np.random.RandomState(seed)  # not Generator: its stream is the same in every NumPy version
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
            if count > 1:
                images = f"of the {len(members)} images of class {printable(dataset.classes[label])}"
                raise ValueError(f"{dataset.name}: the fraction {fraction} leaves none {images} to train on; use less")
            test[members] = left_out[members] = False
    if not test.any():
        raise ValueError(f"{dataset.name}: every class has too few poses to keep a block of them for testing")
    return dataset._only(~(test | left_out)), dataset._only(test)


def split_leave_poses(dataset: ImageDataset, k: int = 2) -> Parts:
    """Return (training, test): the poses that are multiples of k are for training, all others for testing.

    With k = 2 every other pose is for training, as in H. Murase and S. K. Nayar, "Visual learning and recognition of
    3-D objects from appearance" (1995): for COIL-20, 720 images, one every 10 degrees, and 720 test images between
    them. A larger k is harder: 4, 9 and 18 leave 18, 8 and 4 views of an object. If k does not divide 72, the last step
    of the turn is shorter.

    A class of one image stays in training. Raises ValueError if k is not 2 to 72, if a part has no image of a larger
    class, and for names without poses.
    """
    if not 2 <= k <= POSES:
        raise ValueError(f"{dataset.name}: cannot train on every {k}th pose: give 2 to {POSES}")
    train = poses_of(dataset) % k == 0
    for label in np.unique(dataset.labels):
        rows = dataset.labels == label
        members = train[rows]
        if len(members) == 1:
            train[rows] = True
        elif members.all() or not members.any():
            images = f"all {len(members)} images of class {printable(dataset.classes[label])}"
            part = "training" if members.any() else "testing"
            raise ValueError(f"{dataset.name}: with k = {k}, {images} are for {part}; use another k")
    if train.all():
        raise ValueError(f"{dataset.name}: no class has two images, so none can be split off: add images")
    return dataset._only(train), dataset._only(~train)


def poses_of(dataset: ImageDataset) -> np.ndarray:
    """Return the pose of each image, (N,) of 0 to 71, from its file name. ValueError as in `split_pose_blocks`."""
    if dataset.files is None:
        raise ValueError(f"{dataset.name}: its images have no file names, and so no poses; use the split random")
    poses = []
    for name in dataset.files:
        match = POSE_NAME.fullmatch(name)
        if match is None or int(match[2]) >= POSES:
            need = f"needs file names like obj3__17.png, with poses 0 to {POSES - 1}"
            raise ValueError(f"{dataset.name}: a split by pose {need}, found {name!r}; use the split random")
        poses.append(int(match[2]))
    return np.array(poses)


def split_to_json(train: ImageDataset, test: ImageDataset) -> str:
    """Return the text of split.json, {"train": [file names], "test": [file names]}, for a complete split.

    Raises ValueError if the data sets have no file names.
    """
    if train.files is None or test.files is None:
        raise ValueError(f"{train.name}: its images have no file names, so a split of them cannot be stored")
    return json.dumps({"train": list(train.files), "test": list(test.files)}, indent=1) + "\n"


def split_from_json(dataset: ImageDataset, text: str) -> Parts:
    """Return (training, test) of the complete `dataset` as stored by `split_to_json`.

    Raises ValueError if `text` is not a stored split, or files of the data set are missing or new; it names them. The
    neighbours of test poses are not new: `split_pose_blocks` leaves them out.
    """
    if dataset.files is None:
        raise ValueError(f"{dataset.name}: its images have no file names, so no stored split applies to them")
    train, test = _stored_parts(dataset.name, text)
    files = set(dataset.files)
    gone = [name for name in train + test if name not in files]
    new = sorted(files - set(train) - set(test) - _neighbours(test))
    if gone or new:
        kinds = ((gone, "of its files are missing"), (new, "files are new"))
        changes = "; ".join(f"{len(names):,} {words}: {some(names)}" for names, words in kinds if names)
        raise ValueError(f"{dataset.name} changed since the split was stored: {changes}. Restore it or start a new run")
    in_train, in_test = (np.array([name in names for name in dataset.files]) for names in (set(train), set(test)))
    return dataset._only(in_train), dataset._only(in_test)


def stored_files(text: str) -> set[str]:
    """Return the names of all files in a stored split. Raises ValueError, like `split_from_json`."""
    train, test = _stored_parts("folder", text)
    return {*train, *test}


def _stored_parts(name: str, text: str) -> tuple[list[str], list[str]]:
    try:
        parts = json.loads(text)
        train, test = parts["train"], parts["test"]
        valid = all(isinstance(part, list) and part and all(isinstance(f, str) for f in part) for part in (train, test))
    except (ValueError, KeyError, TypeError):
        valid = False
    if not valid:
        raise ValueError(f'{name}: the stored split is not {{"train": [file names], "test": [file names]}}')
    twice = sorted(file for file, count in Counter(train + test).items() if count > 1)
    if twice:
        raise ValueError(f"{name}: the stored split names files more than once: {some(twice)}")
    return train, test


def _neighbours(names: list[str]) -> set[str]:
    """Return the names of the poses before and after those in `names`."""
    near = set()
    for match in filter(None, map(POSE_NAME.fullmatch, names)):
        near |= {f"{match[1]}{(int(match[2]) + step) % POSES}{match[3]}" for step in (-1, 1)}
    return near


def some(names: list[str], most: int = 20) -> str:
    """Return the names as one printable text, at most `most` of them and the number of the others."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(printable, names[:most])) + more
