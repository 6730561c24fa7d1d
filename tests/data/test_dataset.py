"""Data sets: equal to MXNet's own classes for the same files; the sample; the full set if it is available."""

import gzip
import os
import re
import runpy
import sys
from pathlib import Path

from gluon_classics.data import (
    FASHION_MNIST_CLASSES,
    DamagedFile,
    ImageDataset,
    list_datasets,
    load_dataset,
)
from gluon_classics.data.formats.fashion_mnist import FASHION_MNIST_SAMPLE, SAMPLE_FOLDER

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

pytestmark = pytest.mark.usefixtures("island")
REPO = Path(__file__).resolve().parents[2]
FULL = Path("/usr/share/datasets/fashion-mnist")
README = Path("/usr/share/doc/dataset-fashion-mnist/README.md.gz")
needs_full = pytest.mark.skipif(not FULL.is_dir(), reason=f"the full data set is not in {FULL}")


@pytest.fixture(scope="module")
def sample():
    return load_dataset("fashion-mnist-sample")


@pytest.fixture(scope="module")
def full():
    return load_dataset("fashion-mnist", FULL)


@pytest.fixture
def mxnets_own(monkeypatch):
    """MXNet's own FashionMNIST on the sample's files, without its checksums of the original files."""
    from mxnet.gluon.data.vision import datasets

    monkeypatch.setattr(datasets, "download", lambda url, path, sha1_hash: os.path.join(path, url.rsplit("/", 1)[1]))
    return lambda train: datasets.FashionMNIST(root=str(SAMPLE_FOLDER), train=train)


def same(ours, theirs):
    return (
        type(ours[0]) is type(theirs[0])
        and ours[0].dtype == theirs[0].dtype
        and ours[0].shape == theirs[0].shape
        and ours[0].context == theirs[0].context
        and (ours[0].asnumpy() == theirs[0].asnumpy()).all()
        and type(ours[1]) is type(theirs[1])
        and ours[1].dtype == theirs[1].dtype
        and np.array_equal(ours[1], theirs[1])
    )


# The same interface as MXNet's own data sets


@pytest.mark.parametrize("train", [True, False])
def test_equals_mxnets_own_class(sample, mxnets_own, train):
    ours, theirs = sample[0 if train else 1], mxnets_own(train)
    assert len(ours) == len(theirs)
    for index in (0, 1, 777, -1, slice(2, 7), slice(None), slice(-3, None), slice(0, 50, 7)):
        assert same(ours[index], theirs[index]), index
    for index in (len(ours), -len(ours) - 1):
        with pytest.raises(IndexError):
            theirs[index]
        with pytest.raises(IndexError):
            ours[index]


def test_works_with_the_standard_data_loader(sample, mxnets_own):
    transform = gluon.data.vision.transforms.ToTensor()
    loaders = [
        gluon.data.DataLoader(data.transform_first(transform), batch_size=300)
        for data in (sample[1], mxnets_own(train=False))
    ]
    batches = list(zip(*loaders))
    assert len(batches) == 4  # 300 + 300 + 300 + 100
    for ours, theirs in batches:
        assert ours[0].shape[1:] == (1, 28, 28) and ours[0].dtype == np.float32
        for one, other in zip(ours, theirs):
            assert one.dtype == other.dtype and (one.asnumpy() == other.asnumpy()).all()


def test_works_with_worker_processes(sample):
    loader = gluon.data.DataLoader(sample[1].take(64), batch_size=16, num_workers=2)
    labels = np.concatenate([label.asnumpy() for _, label in loader])
    assert (labels == sample[1].labels[:64]).all()


def test_stays_on_the_cpu_in_another_context(sample):
    fresh = sample[1].take(5)
    with mx.Context(mx.cpu(1)):
        assert fresh[0][0].context == mx.cpu(0)


def test_take_returns_the_first_examples(sample):
    train = sample[0]
    few = train.take(10)
    assert isinstance(few, ImageDataset) and len(few) == 10 and few.classes == train.classes
    assert (few.images == train.images[:10]).all() and (few.labels == train.labels[:10]).all()
    assert few[:][0].shape == (10, 28, 28, 1)
    assert len(train.take(6000)) == len(train.take(10**9)) == len(train.take(None)) == 6000
    for count in (0, -1):
        with pytest.raises(ValueError, match=f"cannot take {count} examples; take 1 to 6,000"):
            train.take(count)


# Validation


def positions(part, whole):
    """Return the indices of a part's images in the whole, whose images all differ."""
    place = {image.tobytes(): i for i, image in enumerate(whole.images)}
    return [place[image.tobytes()] for image in part.images]


def numbered(labels):
    images = np.arange(len(labels), dtype=np.uint8).reshape((-1, 1, 1, 1))
    return ImageDataset(images, np.array(labels), ("a", "b", "c"), "numbered", "folder")


def test_split_takes_the_same_part_of_every_class(sample):
    train, validation = sample[0].split(0.1, seed=0)
    assert np.bincount(train.labels).tolist() == [540] * 10 and np.bincount(validation.labels).tolist() == [60] * 10
    for part in (train, validation):
        assert part.name == "fashion-mnist-sample" and part.classes == FASHION_MNIST_CLASSES
        assert part.origin == sample[0].origin and part.images.dtype == np.uint8


def test_split_loses_no_image_and_keeps_the_order():
    whole = numbered([0, 1, 2, 0, 0, 1] * 30)
    train, validation = whole.split(0.25, seed=3)
    places = positions(train, whole), positions(validation, whole)
    assert sorted(places[0] + places[1]) == list(range(180))
    for part, where in zip((train, validation), places):
        assert where == sorted(where)
        assert (part.labels == whole.labels[where]).all()
    assert np.bincount(validation.labels).tolist() == [22, 15, 8]  # of 90, 60, 30: Python rounds 22.5 and 7.5 to even


def test_split_depends_on_the_seed_alone():
    whole = numbered([0, 1] * 50)
    first = positions(whole.split(0.2, seed=1)[1], whole)
    np.random.seed(9)
    assert positions(whole.split(0.2, seed=1)[1], whole) == first
    others = [positions(whole.split(0.2, seed=seed)[1], whole) for seed in range(2, 7)]
    assert all(other != first for other in others)
    assert len(set(sum(others, first))) > 50  # drawn from everywhere


def test_split_takes_at_least_one_of_every_class_and_ignores_absent_ones():
    whole = numbered([0] * 100 + [2] * 3)  # no "b"
    train, validation = whole.split(0.01, seed=0)
    assert np.bincount(validation.labels).tolist() == [1, 0, 1]
    assert len(train) == 101


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_split_refuses_an_invalid_fraction(fraction):
    with pytest.raises(ValueError, match=f"numbered: cannot split off {fraction} of the images"):
        numbered([0, 1] * 5).split(fraction, seed=0)


def test_split_leaves_an_image_of_each_class_to_train_on():
    cases = (([0] * 9 + [1], 0.1, [1]), ([0] * 9 + [1] * 2, 0.9, [8, 1]), ([2, 1, 1], 0.5, [0, 1]))
    for labels, fraction, drawn in cases:
        train, validation = numbered(labels).split(fraction, seed=0)
        assert np.bincount(validation.labels).tolist() == drawn
        assert set(train.labels.tolist()) == set(labels)
    with pytest.raises(ValueError, match="numbered: no class has two images"):
        numbered([0, 1, 2]).split(0.5, seed=0)


def test_a_share_may_take_all_of_a_class_and_else_is_the_validation_part():
    whole = numbered([0, 1] * 50)
    assert positions(whole.share(0.3, 4), whole) == positions(whole.split(0.3, 4)[1], whole)
    labels = [0] * 36 + [1]  # 30 of 37 is a share of 0.8108, of which the rare class's part rounds to all of it
    assert np.bincount(numbered(labels).share(30 / 37, 0).labels).tolist() == [29, 1]
    assert [len(numbered([0, 0, 1]).share(count / 3, 0)) for count in (1, 2)] == [2, 2]


# Files


def test_file_names_stay_with_their_images():
    files = [f"{'abc'[i % 3]}/{i}.png" for i in range(30)]
    whole = ImageDataset(np.zeros((30, 1, 1, 1), np.uint8), np.arange(30) % 3, "abc", "with files", files=files)
    assert whole.files == tuple(files)
    assert whole.take(4).files == tuple(files[:4])
    train, validation = whole.split(0.2, seed=0)
    assert sorted(train.files + validation.files) == sorted(files)
    for part in (train, validation):
        assert isinstance(part.files, tuple)
        assert [name[0] for name in part.files] == ["abc"[label] for label in part.labels]


def test_without_files_there_are_no_names():
    whole = numbered([0, 1] * 5)
    assert whole.files is whole.take(3).files is whole.split(0.5, seed=0)[0].files is None


def test_colour_images_and_any_integer_labels():
    data = ImageDataset(np.zeros((2, 4, 5, 3), np.uint8), np.array([1, 0], np.int64), ("a", "b"), "two")
    assert data.labels.dtype == np.int32
    assert data[0][0].shape == (4, 5, 3)
    assert repr(data) == "ImageDataset('two', images (2, 4, 5, 3), 2 classes)"


IMAGES, LABELS = np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 1])


def test_refuses_another_number_of_file_names():
    with pytest.raises(ValueError, match="^mine: 2 images but 1 file names"):
        ImageDataset(IMAGES, LABELS, ("a", "b"), "mine", files=["a/1.png"])


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (IMAGES.astype(np.float32), LABELS, "images must be uint8 (N, H, W, C), found float32"),
        (IMAGES[..., 0], LABELS, "found uint8 (2, 4, 4)"),
        (IMAGES, LABELS.astype(float), "labels must be integers (N,), found float64"),
        (IMAGES, LABELS[:, None], "labels must be integers (N,), found int64 (2, 1)"),
        (IMAGES, LABELS[:1], "2 images but 1 labels"),
        (IMAGES[:0], LABELS[:0], "are empty"),
        (IMAGES, LABELS + 1, "labels of 2 classes are 0 to 1, found 1 to 2"),
        (IMAGES, LABELS - 1, "labels of 2 classes are 0 to 1, found -1 to 0"),
    ],
)
def test_refuses_arrays_that_do_not_fit(images, labels, words):
    with pytest.raises(ValueError, match="^mine: .*" + re.escape(words)):
        ImageDataset(images, labels, ("a", "b"), "mine")


# Names


def test_lists_the_names():
    assert list_datasets() == [
        "cifar10",
        "cifar100",
        "coil20",
        "fashion-mnist",
        "fashion-mnist-sample",
        "folder",
        "mnist",
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fashion_mnist", "did you mean fashion-mnist"),
        ("FashionMNIST", "did you mean fashion-mnist"),
        ("fashion-mnist-sampel", "did you mean fashion-mnist-sample"),
        ("zebra", "unknown data set 'zebra': The choices are"),
        (None, "unknown data set None"),
    ],
)
def test_an_unknown_name_raises_with_the_nearest(name, words):
    with pytest.raises(ValueError, match=words) as error:
        load_dataset(name)
    assert "The choices are cifar10, cifar100, coil20, fashion-mnist, fashion-mnist-sample, " in str(error.value)


def test_class_names_are_those_of_the_data_sets_readme():
    assert list(FASHION_MNIST_CLASSES) == [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ]
    if not README.is_file():
        pytest.skip(f"no {README} to compare with")
    text = gzip.decompress(README.read_bytes()).decode()
    assert re.findall(r"^\| (\d) \| (.+?) \|$", text, re.M) == [
        (str(label), name) for label, name in enumerate(FASHION_MNIST_CLASSES)
    ]


# The sample


def test_the_sample_is_balanced(sample):
    for data, per_class in zip(sample, (600, 100)):
        assert data.images.shape == (10 * per_class, 28, 28, 1) and data.images.dtype == np.uint8
        assert np.bincount(data.labels).tolist() == [per_class] * 10
        assert data.classes == FASHION_MNIST_CLASSES


def test_the_sample_includes_its_licence_and_is_small():
    licence = (SAMPLE_FOLDER / "LICENSE").read_text(encoding="utf-8")
    assert "MIT License" in licence and "2017 Zalando SE, https://tech.zalando.com" in licence
    assert sum(path.stat().st_size for path in SAMPLE_FOLDER.iterdir()) < 3.2e6


def test_the_sample_takes_no_root(tmp_path):
    with pytest.raises(ValueError, match=str(tmp_path)):
        load_dataset("fashion-mnist-sample", tmp_path)


def test_a_damaged_sample_is_refused(tmp_path, monkeypatch):
    for path in SAMPLE_FOLDER.glob("*.gz"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr("gluon_classics.data.formats.fashion_mnist.SAMPLE_FOLDER", tmp_path)
    load_dataset("fashion-mnist-sample")
    (tmp_path / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DamagedFile, match=f"{tmp_path}: no t10k-images-idx3-ubyte.gz"):
        load_dataset("fashion-mnist-sample")
    data = bytearray((tmp_path / "train-images-idx3-ubyte.gz").read_bytes())
    data[-6] ^= 1
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(data)
    with pytest.raises(DamagedFile, match="train-images-idx3-ubyte.gz: corrupt"):
        load_dataset("fashion-mnist-sample")


@needs_full
def test_the_sample_is_the_first_of_each_class_of_the_full_set(sample, full):
    for few, all_, per_class in zip(sample, full, (600, 100)):
        seen = np.zeros(10, int)
        chosen = []
        for position, label in enumerate(all_.labels):
            if seen[label] < per_class:
                seen[label] += 1
                chosen.append(position)
        assert (few.labels == all_.labels[chosen]).all()
        assert (few.images == all_.images[chosen]).all()


@needs_full
def test_the_script_makes_the_same_sample_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["make_sample.py", "--data-dir", str(FULL), "--out", str(tmp_path)])
    monkeypatch.setattr("sys.path", list(sys.path))  # the script adds the repository to it
    runpy.run_path(str(REPO / "experiments" / "make_sample.py"), run_name="__main__")
    out = capsys.readouterr().out
    for spec in FASHION_MNIST_SAMPLE:
        assert f'"{spec.name}", {spec.size:_}, "{spec.sha256}"' in out
        assert (tmp_path / f"{spec.name}.gz").is_file()


# The full set


@needs_full
def test_the_full_set_is_the_published_one(full):
    """Counts from the README; mean and standard deviation are the usual 0.2860 and 0.3530."""
    train, test = full
    assert train.images.shape == (60_000, 28, 28, 1) and test.images.shape == (10_000, 28, 28, 1)
    assert np.bincount(train.labels).tolist() == [6_000] * 10
    assert np.bincount(test.labels).tolist() == [1_000] * 10
    assert train.labels.dtype == test.labels.dtype == np.int32
    pixels = np.bincount(train.images.reshape(-1), minlength=256) / train.images.size
    values = np.arange(256) / 255
    mean = (pixels * values).sum()
    assert round(mean, 4) == 0.2860
    assert round(np.sqrt((pixels * values**2).sum() - mean**2), 4) == 0.3530
