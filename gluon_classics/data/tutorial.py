"""The tutorial's function for its data."""

from __future__ import annotations

from pathlib import Path

from gluon_classics.data.catalog import load_dataset
from gluon_classics.data.loader import DataLoader
from gluon_classics.data.transforms import ImageTransform


def load_data_fashion_mnist(
    batch_size: int, resize: int | None = None, root: str | Path | None = None
) -> tuple[DataLoader, DataLoader]:
    """Return the training and the test loader of Fashion-MNIST: images (N, 1, 28, 28), or `resize` pixels a side.

    `root` is the folder to search first and to download into. Raises ValueError if it does not exist, and
    DatasetUnavailable, a ValueError, if the data set cannot be found or downloaded.
    """
    train, test = load_dataset("fashion-mnist", root)
    transform = ImageTransform(resize)
    return (
        DataLoader(train, batch_size, shuffle=True, transform=transform),
        DataLoader(test, batch_size, shuffle=False, transform=transform),
    )
