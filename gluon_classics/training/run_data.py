"""The data of a run: which images train, validate and test, and how they reach the network."""

from __future__ import annotations

import zlib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from gluon_classics import data
from gluon_classics.data.files.mapped import MappedRows
from gluon_classics.training.config import SPLIT_HERE, RunConfig
from gluon_classics.training.distributed import Workers

import numpy as np

FEW_STEPS = 100  # batch norm's running statistics, for one, have not settled by then


class RunData(NamedTuple):
    train: data.DataLoader
    val: data.DataLoader | None
    test: data.DataLoader
    mean: list[float] | None  # of the training set's channels, 0 to 1; None if the run does not normalize
    std: list[float] | None
    evaluated: dict  # what is evaluated after each epoch, for `train`
    split: str | None  # the text of split.json, if the run has split the data set
    data_dir: str | None  # None, too, if the sample replaces a data set that is unavailable
    notes: list[str]  # for the log: what differs from what was asked, and what is suspicious


def load_data(config: RunConfig, workers: Workers) -> RunData:
    """Load the data of a run. A resumed run is split by its split.json. Each worker has its part of every batch.

    Raises ValueError, as load_dataset, and if the training images do not fill a batch.
    """
    train, test, data_dir, notes = _load(config)
    split = data.split_to_json(train, test) if config.dataset in SPLIT_HERE else None
    if split:
        notes += data.duplicate_lines(data.find_duplicates(train, test), train, test)
    train, val = _limited(train, config.limit_train, config.seed), None
    if config.val_fraction:
        cut = data.split_pose_blocks if config.split and config.split[0] == "pose-block" else data.split_random
        train, val = cut(train, config.val_fraction, config.seed)
        notes += data.untested_lines(train, val, "validation")
    batch_size = config.batch_size
    if len(train) < batch_size:
        raise ValueError(f"--batch-size {batch_size} is more than the {len(train):,} training images: lower it")
    resize = config.resize or min(train.images.shape[1:3])
    mean, std = data.pixel_statistics(train.images) if config.normalize else (None, None)
    plain = data.ImageTransform(resize, mean, std)
    augments = config.crop or config.flip or config.erase
    augmented = data.AugmentedTransform(resize, mean, std, crop=config.crop, flip=config.flip, erase=config.erase)
    part: dict[str, Any] = {"num_parts": workers.size, "part_index": workers.rank}
    transform = augmented if augments else plain
    loader = data.DataLoader(train, batch_size, True, transform, seed=config.seed, balanced=config.balanced, **part)
    steps = len(loader) * config.epochs
    if config.dataset in SPLIT_HERE and steps < FEW_STEPS:
        notes.append(
            f"WARNING: {len(train):,} training images in batches of {batch_size} are {steps} steps in {config.epochs} "
            "epochs, which is too few: take a smaller --batch-size, such as 8, or more --epochs"
        )
    loader.random_choices(0)  # a crop that is too large raises here, not in the first batch
    test = _limited(test, config.limit_test, config.seed)
    test_loader = data.DataLoader(test, batch_size, False, plain, **part)
    val_loader = val and data.DataLoader(val, batch_size, False, plain, **part)
    evaluated = {"val": val_loader, "test": None if val or config.test_at_end else test_loader}
    loaded = RunData(loader, val_loader, test_loader, mean, std, evaluated, split, data_dir, notes)
    workers.must_agree("data", lambda: fingerprint(loaded))
    return loaded


def fingerprint(loaded: RunData) -> dict:
    """Return size, classes and checksums of each set, by which workers notice that their data differ."""
    sets = {"train": loaded.train.dataset, "val": loaded.val and loaded.val.dataset, "test": loaded.test.dataset}
    return {
        name: [len(each), each.classes, zlib.crc32(each.labels), _check_sum(each.images)]
        for name, each in sets.items()
        if each
    }


def _check_sum(images: np.ndarray | MappedRows) -> int:
    """Return the checksum of all bytes, read in parts: the images may be in a file larger than the memory."""
    total = 0
    for begin in range(0, len(images), 1000):
        total = zlib.crc32(np.ascontiguousarray(images[begin : begin + 1000]).data, total)
    return total


def class_counts(dataset: data.ImageDataset) -> dict[str, int]:
    """Return the number of images of each class."""
    counts = Counter(dataset.labels.tolist())
    return {name: counts[label] for label, name in enumerate(dataset.classes)}


def _load(config: RunConfig) -> tuple[data.ImageDataset, data.ImageDataset, str | None, list[str]]:
    """Return training and test set, the data folder, and notes."""
    notes: list[str] = []
    split, *step = config.split or [None]
    options = data.ImageOptions(
        split=split,
        pose_step=step[0] if step else None,
        test_fraction=config.test_fraction,
        seed=config.seed,
        stored=_stored_split(config),
        image_size=config.image_size,
        channels=None if config.channels == "auto" else int(config.channels),
        skip_bad=config.skip_bad,
        follow_links=config.follow_links,
        cache=config.cache,
        log=notes.append,
    )
    try:
        return (*data.load_dataset(config.dataset or "fashion-mnist", config.data_dir, options), config.data_dir, notes)
    except data.DatasetUnavailable as error:
        if config.dataset:
            raise
        train, test = data.load_dataset("fashion-mnist-sample")
        lower = f"WARNING: training on {train.name} instead: expect lower accuracies"
        return train, test, None, [f"WARNING: {error}", lower]


def _stored_split(config: RunConfig) -> str | None:
    file = Path(config.out or "") / "split.json"
    return file.read_text() if config.resume and file.exists() else None


def _limited(dataset: data.ImageDataset, count: int | None, seed: int) -> data.ImageDataset:
    """Take the first `count` images. Pictures are sorted by class, so take the same share of every class instead."""
    if dataset.files is None or count is None or count >= len(dataset):
        return dataset.take(count)
    return dataset.share(count / len(dataset), seed)
