"""The data of a run: which images train, validate and test, and how they reach the network."""

from __future__ import annotations

import argparse
import zlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from gluon_classics import data, training

import numpy as np

# Data sets of pictures: cut into training and test set by the run, and taken by the network in their own size.
OF_PICTURES = ("coil20", "folder")


class RunData(NamedTuple):
    train: data.DataLoader
    val: data.DataLoader | None
    test: data.DataLoader
    split: str | None  # the text of split.json, where the run has cut the data set
    notes: list[str]  # for the log: what was not as asked, and what is strange


def load_data(args: argparse.Namespace, workers: training.Workers) -> RunData:
    """Load what `args` ask for; a run that is resumed is cut as its split.json says. Sets args.resize, mean and std.

    Of several workers each has its part of every batch.

    Raises ValueError, as load_dataset does, and where the training images fill no batch.
    """
    train, test, notes = _load(args)
    split = data.split_to_json(train, test) if args.dataset in OF_PICTURES else None
    if split:
        notes += data.duplicate_lines(data.find_duplicates(train, test), train, test)
    train, val = _limited(train, args.limit_train, args.seed), None
    if args.val_fraction:
        cut = data.split_pose_blocks if args.split and args.split[0] == "pose-block" else data.split_random
        train, val = cut(train, args.val_fraction, args.seed)
    if len(train) < args.batch_size:
        raise ValueError(f"--batch-size {args.batch_size} is more than the {len(train):,} training images: lower it")
    if args.resize is None:
        args.resize = min(train.images.shape[1:3])
    mean, std = data.pixel_statistics(train.images) if args.normalize else (None, None)
    args.mean, args.std = mean, std  # config.json tells them to those who use the weights
    plain = data.ImageTransform(args.resize, mean, std)
    augmented = data.AugmentedTransform(args.resize, mean, std, crop=args.crop, flip=args.flip, erase=args.erase)
    augments = args.crop or args.flip or args.erase
    transform = augmented if augments else plain
    part = {"num_parts": workers.size, "part_index": workers.rank}
    loader = data.DataLoader(train, args.batch_size, True, transform, seed=args.seed, balanced=args.balanced, **part)
    loader.random_choices(0)  # a crop that is too large is refused now, and not in the first batch
    return RunData(
        loader,
        val and data.DataLoader(val, args.batch_size, False, plain, **part),
        data.DataLoader(_limited(test, args.limit_test, args.seed), args.batch_size, False, plain, **part),
        split,
        notes,
    )


def fingerprint(loaded: RunData) -> dict:
    """What tells whether another worker has the same data: of each set the number of images, and check sums."""
    sets = {"train": loaded.train.dataset, "val": loaded.val and loaded.val.dataset, "test": loaded.test.dataset}
    return {
        name: [len(each), each.classes, zlib.crc32(each.labels), _check_sum(each.images)]
        for name, each in sets.items()
        if each
    }


def _check_sum(images: np.ndarray) -> int:
    """Over all bytes, a part at a time: the images may lie in a file that is larger than the memory."""
    total = 0
    for begin in range(0, len(images), 1000):
        total = zlib.crc32(np.ascontiguousarray(images[begin : begin + 1000]), total)
    return total


def class_counts(dataset: data.ImageDataset) -> dict[str, int]:
    """Images of each class."""
    counts = Counter(dataset.labels.tolist())
    return {name: counts[label] for label, name in enumerate(dataset.classes)}


def _load(args: argparse.Namespace) -> tuple[data.ImageDataset, data.ImageDataset, list[str]]:
    """Training and test set, and notes."""
    notes: list[str] = []
    split, *step = args.split or [None]
    options = data.ImageOptions(
        split=split,
        pose_step=step[0] if step else None,
        test_fraction=args.test_fraction,
        seed=args.seed,
        stored=_stored_split(args),
        image_size=args.image_size,
        channels=None if args.channels == "auto" else int(args.channels),
        skip_bad=args.skip_bad,
        cache=args.cache,
        log=notes.append,
    )
    try:
        return (*data.load_dataset(args.dataset or "fashion-mnist", args.data_dir, options), notes)
    except data.DatasetUnavailable as error:
        if args.dataset:
            raise
        args.data_dir = None
        train, test = data.load_dataset("fashion-mnist-sample")
        lower = f"WARNING: training on {train.name} instead: expect lower accuracies"
        return train, test, [f"WARNING: {error}", lower]


def _stored_split(args: argparse.Namespace) -> str | None:
    file = Path(args.out or "") / "split.json"
    return file.read_text() if args.resume and file.exists() else None


def _limited(dataset: data.ImageDataset, count: int | None, seed: int) -> data.ImageDataset:
    """The first `count` images; of pictures, which come class after class, about so many of all classes alike."""
    if dataset.files is None or count is None or count >= len(dataset):
        return dataset.take(count)
    return dataset.split(count / len(dataset), seed)[1]
