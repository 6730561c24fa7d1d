"""The tutorial's one call for its data."""

from __future__ import annotations

from gluon_classics.data.catalog import load_dataset
from gluon_classics.data.loader import DataLoader
from gluon_classics.data.transforms import ImageTransform


def load_data_fashion_mnist(batch_size: int, resize: int | None = None, root=None) -> tuple[DataLoader, DataLoader]:
    """The training and the test loader of Fashion-MNIST: (N, 1, 28, 28), or ``resize`` pixels high and wide.

    `root` is the folder to look in first and to fetch into. Raises ValueError for a folder that does not exist, and
    DatasetUnavailable, a ValueError, when the data set cannot be had.
    """
    train, test = load_dataset("fashion-mnist", root)
    transform = ImageTransform(resize)
    return (
        DataLoader(train, batch_size, shuffle=True, transform=transform),
        DataLoader(test, batch_size, shuffle=False, transform=transform),
    )
