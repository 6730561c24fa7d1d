"""The loader: order, balance, parts of a batch, and what it accepts."""

from gluon_classics.data import DataLoader, ImageDataset, ImageTransform, load_data_fashion_mnist, load_dataset

import numpy as np
import pytest
from mxnet import gluon, nd


def numbered(n):
    """Return n images with their number in two pixels, and modulo 10 as the label."""
    images = np.zeros((n, 2, 1, 1), "uint8")
    images[:, 0, 0, 0], images[:, 1, 0, 0] = np.arange(n) // 256, np.arange(n) % 256
    return ImageDataset(images, np.arange(n) % 10, [str(i) for i in range(10)], "numbered")


def numbers(loader):
    """Return the numbers of the images in the loader's order."""
    batches = [x.asnumpy().astype(int).reshape(len(x), 2) for x, _ in loader]
    return np.concatenate([b[:, 0] * 256 + b[:, 1] for b in batches]).tolist()


def test_an_epoch_is_a_permutation():
    order = numbers(DataLoader(numbered(1000), 64, shuffle=True, last_batch="keep"))
    assert sorted(order) == list(range(1000))
    assert order != list(range(1000))


def test_without_shuffle_the_order_is_that_of_the_data_set():
    assert numbers(DataLoader(numbered(300), 64, shuffle=False)) == list(range(300))


@pytest.mark.parametrize("shuffle, balanced", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("n, parts", [(100, 2), (100, 3), (97, 4), (50, 8)])
def test_the_parts_together_are_the_complete_batches(n, parts, shuffle, balanced):
    """Each example comes once, in the same batch; the parts of a batch have equal sizes to within one."""

    def batches(**part):
        loader = DataLoader(numbered(n), 16, shuffle, last_batch="keep", seed=2, balanced=balanced, **part)
        return [numbers([batch]) if batch else [] for batch in loader.raw_batches()]

    whole = batches()
    split = [batches(num_parts=parts, part_index=i) for i in range(parts)]
    assert [sum(together, []) for together in zip(*split)] == whole
    for together in zip(*split):
        assert max(map(len, together)) - min(map(len, together)) <= 1


def test_the_rows_of_a_part_are_those_it_yields():
    for i in range(3):
        loader = DataLoader(numbered(50), 16, False, num_parts=3, part_index=i)
        assert loader.rows().tolist() == numbers(loader)


@pytest.mark.parametrize("part", [(2, 2), (2, -1), (0, 0)])
def test_refuses_a_part_that_does_not_exist(part):
    with pytest.raises(ValueError, match="part_index is"):
        DataLoader(numbered(50), 16, False, num_parts=part[0], part_index=part[1])


def test_images_and_labels_stay_together():
    for x, y in DataLoader(numbered(500), 7, shuffle=True):
        values = x.asnumpy().astype(int).reshape(-1, 2) @ [256, 1]
        assert (values % 10 == y.asnumpy()).all()


def test_the_order_depends_only_on_seed_and_epoch():
    first, second = (DataLoader(numbered(100), 10, shuffle=True, seed=3) for _ in range(2))
    epochs = [numbers(first) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    np.random.seed(99)  # the global random state does not matter
    second.epoch = 2
    assert numbers(second) == epochs[2]
    assert numbers(DataLoader(numbered(100), 10, shuffle=True, seed=4)) != epochs[0]


@pytest.mark.parametrize("shuffle, balanced", [(False, False), (True, False), (True, True)])
def test_an_epoch_can_start_at_any_batch(shuffle, balanced):
    def batches(loader, *first):
        return [(x.asnumpy().tolist(), y.asnumpy().tolist()) for x, y in loader.raw_batches(*first)]

    whole = DataLoader(numbered(100), 8, shuffle, last_batch="keep", seed=1, balanced=balanced)
    epochs = [batches(whole) for _ in range(3)]
    assert len(epochs[0]) == 13 and (epochs[0] != epochs[2]) == shuffle
    for first in (0, 1, 7, 12, 13):
        again = DataLoader(numbered(100), 8, shuffle, last_batch="keep", seed=1, balanced=balanced)
        again.epoch = 1
        assert batches(again, first) == epochs[1][first:]
        assert again.epoch == 2  # a partial epoch counts
        assert batches(again) == epochs[2]


def test_the_order_is_numpys_permutation_of_seed_and_epoch():
    loader = DataLoader(numbered(100), 10, shuffle=True, seed=3)
    for epoch in range(2):
        assert numbers(loader) == np.random.RandomState([3, epoch]).permutation(100).tolist()


SIZES = 3, 200, 40, 0, 7  # examples of each class, 250 in total; the fourth class has none


def imbalanced():
    labels = np.repeat(np.arange(5), SIZES)
    images = np.zeros((250, 2, 1, 1), "uint8")
    images[:, 1, 0, 0] = np.arange(250)
    return ImageDataset(images, np.random.RandomState(0).permutation(labels), "abcde", "imbalanced")


def drawn(order):
    """Return how often an epoch has each example, by class."""
    times, labels = np.bincount(order, minlength=250), imbalanced().labels
    return {name: times[labels == i] for i, name in enumerate("abcde") if SIZES[i]}


@pytest.mark.parametrize("last_batch, batches, examples", [("keep", 16, 250), ("discard", 15, 240)])
def test_a_balanced_epoch_has_the_same_number_of_each_class(last_batch, batches, examples):
    loader = DataLoader(imbalanced(), 16, True, balanced=True, last_batch=last_batch, seed=5)
    assert len(loader) == batches
    for _ in range(5):
        order = numbers(loader)
        times = drawn(order)
        counts = [sum(each) for each in times.values()]
        assert sum(counts) == len(order) == examples
        assert set(counts) <= {examples // 4, examples // 4 + 1}
        for name in "ace":  # no example of a rare class is repeated before all were used
            assert times[name].min() >= 1 and np.ptp(times[name]) <= 1
        assert times["b"].max() == 1


def test_balanced_epochs_use_all_of_a_frequent_class_before_repeating():
    loader = DataLoader(imbalanced(), 10, True, balanced=True, last_batch="keep")
    orders = [numbers(loader) for _ in range(8)]
    assert len({tuple(order) for order in orders}) == 8
    assert sum(drawn(order)["b"] for order in orders[:3]).max() == 1  # 62 or 63 an epoch, of 200
    assert sum(drawn(order)["b"] for order in orders[:4]).min() == 1
    remainder = [sum(drawn(order)[name].sum() for order in orders) for name in "abce"]
    assert remainder == [500] * 4  # 250 is not a multiple of 4: the classes take turns


def test_the_balanced_order_depends_only_on_seed_and_epoch():
    first, second = (DataLoader(imbalanced(), 16, True, balanced=True, seed=3) for _ in range(2))
    epochs = [numbers(first) for _ in range(3)]
    np.random.seed(99)
    second.epoch = 2
    assert numbers(second) == epochs[2]
    assert numbers(DataLoader(imbalanced(), 16, True, balanced=True, seed=4)) != epochs[0]


def test_a_balanced_epoch_mixes_the_classes():
    labels = imbalanced().labels[numbers(DataLoader(imbalanced(), 16, True, balanced=True))]
    assert (labels[:-1] != labels[1:]).sum() > 150  # of 239, 3 in 4 by chance


@pytest.mark.parametrize("classes, batch_size", [(1, 8), (30, 10), (30, 20), (7, 16)])
def test_balanced_over_one_class_and_over_more_classes_than_draws(classes, batch_size):
    images = np.zeros((30, 2, 1, 1), "uint8")
    loader = DataLoader(
        ImageDataset(images, np.arange(30) % classes, range(classes), "few"), batch_size, True, balanced=True
    )
    labels = [y.asnumpy() for _ in range(classes) for _, y in loader]
    assert np.bincount(np.concatenate(labels)).tolist() == [len(loader) * batch_size] * classes


@pytest.mark.parametrize("first", [-1, 14])
def test_refuses_a_first_batch_outside_the_epoch(first):
    with pytest.raises(ValueError, match=f"the first batch is {first}, but an epoch has the batches 0 to 12"):
        list(DataLoader(numbered(100), 8, False).raw_batches(first))


@pytest.mark.parametrize(
    "shuffle, last_batch, batches, examples",
    [(True, None, 15, 960), (False, None, 16, 1000), (True, "keep", 16, 1000), (False, "discard", 15, 960)],
)
def test_last_batch(shuffle, last_batch, batches, examples):
    loader = DataLoader(numbered(1000), 64, shuffle, last_batch=last_batch)
    assert len(loader) == batches == sum(1 for _ in loader)
    assert len(numbers(loader)) == examples


def test_iterating_yields_transformed_batches_and_raw_batches_the_stored_ones():
    train, _ = load_dataset("fashion-mnist-sample")
    loader = DataLoader(train, 32, False, transform=ImageTransform(56))
    x, y = next(iter(loader))
    assert (x.shape, x.dtype, y.dtype) == ((32, 1, 56, 56), np.float32, np.float32)
    raw, labels = next(loader.raw_batches())
    assert (raw.shape, raw.dtype) == ((32, 28, 28, 1), np.uint8)
    assert (raw.asnumpy() == train.images[:32]).all()
    assert (labels.asnumpy() == train.labels[:32]).all()


def test_accepts_any_gluon_data_set_that_can_be_sliced():
    x = nd.random.uniform(shape=(10, 3))
    loader = DataLoader(gluon.data.ArrayDataset(x, nd.arange(10)), 4, shuffle=False)
    assert [len(batch) for batch, _ in loader] == [4, 4, 2]
    assert (next(iter(loader))[0].asnumpy() == x[:4].asnumpy()).all()


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"last_batch": "rollover"}, "'keep' and 'discard'"),
        ({"balanced": True, "shuffle": False}, "shuffle is False: give shuffle=True"),
        ({"batch_size": 101}, "101 is larger than the 100 examples"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(numbered(100), **{"batch_size": 10, "shuffle": True, **kwargs})


def test_the_tutorials_call(monkeypatch):
    monkeypatch.setattr(
        "gluon_classics.data.tutorial.load_dataset", lambda name, root: load_dataset("fashion-mnist-sample")
    )
    train, test = load_data_fashion_mnist(64, resize=96)
    assert (len(train), len(test)) == (93, 16)  # 6,000 without the short batch; all 1,000
    x, y = next(iter(test))
    assert x.shape == (64, 1, 96, 96)
    assert 0 <= x.min().asscalar() < x.max().asscalar() <= 1


@pytest.mark.parametrize(
    "dataset, message",
    [
        (load_dataset("fashion-mnist-sample")[1].transform_first(lambda x: x), "would do so only once"),
        (gluon.data.SimpleDataset(list(range(10))), r"not \(images, labels\)"),
    ],
)
def test_refuses_a_data_set_that_is_not_an_array(dataset, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(dataset, 4, shuffle=False)


@pytest.mark.parametrize("shuffle", [False, True])
def test_an_array_in_another_memory_order_gives_the_same_images_and_stays_writeable(shuffle):
    channels_first = np.arange(5 * 3 * 2 * 2, dtype="uint8").reshape(5, 3, 2, 2)
    images = channels_first.transpose(0, 2, 3, 1)
    dataset = ImageDataset(images, np.arange(5)[::-1], range(5), "transposed")
    for x, y in DataLoader(dataset, 2, shuffle, last_batch="keep"):
        for picture, label in zip(x.asnumpy(), y.asnumpy()):
            assert (picture == images[4 - label]).all()
    assert images.flags.writeable
