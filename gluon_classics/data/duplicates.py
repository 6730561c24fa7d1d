"""Test images that are also training images, pixel for pixel."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from gluon_classics.data.dataset import ImageDataset
from gluon_classics.printable import printable

CHUNK = 256  # images in memory at a time


def find_duplicates(train: ImageDataset, test: ImageDataset) -> list[tuple[int, int]]:
    """Return (training index, test index) for each test image whose pixels equal a training image's.

    In the order of the test images; each is paired with the first training image that it equals. Images that were
    compressed again with losses, or changed in any way, are not found. 70,000 images of 28x28 take 0.2 s.
    """
    if train.images.shape[1:] != test.images.shape[1:]:
        return []
    first: dict[bytes, int] = {}
    for index, digest in enumerate(_digests(train)):
        first.setdefault(digest, index)
    return [(first[digest], index) for index, digest in enumerate(_digests(test)) if digest in first]


def duplicate_lines(
    duplicates: list[tuple[int, int]], train: ImageDataset, test: ImageDataset, most: int = 10
) -> list[str]:
    """Describe the result of `find_duplicates`: the count, then the first `most` by name. Empty without duplicates."""
    if not duplicates:
        return []
    lines = [f"{len(duplicates):,} of {len(test):,} test images are also training images, which makes the test easier:"]
    for i, j in duplicates[:most]:
        classes = printable(train.classes[train.labels[i]]), printable(test.classes[test.labels[j]])
        other = "" if classes[0] == classes[1] else f", labelled {classes[1]} for testing and {classes[0]} for training"
        lines.append(f"  {_name(test, j, 'test')} is {_name(train, i, 'training')}{other}")
    if len(duplicates) > most:
        lines.append(f"  and {len(duplicates) - most:,} more")
    return lines


def _digests(dataset: ImageDataset) -> Iterator[bytes]:
    """Yield the hash of each image's pixels."""
    for begin in range(0, len(dataset), CHUNK):
        for image in dataset.images[begin : begin + CHUNK]:
            yield hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def _name(dataset: ImageDataset, index: int, part: str) -> str:
    return printable(dataset.files[index]) if dataset.files else f"{part} image {index:,}"
