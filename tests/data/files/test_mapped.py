"""Parts of images on disk, compared with the same parts of an array in memory."""

from pathlib import Path

from gluon_classics.data import DataLoader, ImageDataset
from gluon_classics.data.files.mapped import MappedRows, choose, is_mapped, release

import numpy as np
import pytest


@pytest.fixture
def images():
    return np.random.RandomState(0).randint(0, 256, (50, 4, 5, 3), np.uint8)


@pytest.fixture
def mapped(images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    return np.load(tmp_path / "images.npy", mmap_mode="r")


ROWS = np.array([30, 2, 2, 49, 7, 11])


def test_a_part_can_be_indexed_like_an_array(images, mapped):
    part = choose(mapped, ROWS)
    assert isinstance(part, MappedRows) and is_mapped(part) and not is_mapped(images)
    assert (part.shape, part.ndim, part.dtype, len(part)) == ((6, 4, 5, 3), 4, np.uint8, 6)
    for index in (3, -1, slice(1, 4), slice(None), slice(None, None, 2), [5, 0], np.array([4, 4])):
        assert type(part[index]) is np.ndarray
        assert (part[index] == images[ROWS][index]).all()
    assert (np.asarray(part) == images[ROWS]).all()
    with pytest.raises(IndexError):
        part[6]


def test_a_part_of_a_part(images, mapped):
    part = choose(mapped, ROWS)
    mask = np.array([True, False, False, True, True, False])
    for rows in (mask, np.array([2, 0]), slice(1, None)):
        assert isinstance(choose(part, rows), MappedRows)
        assert (np.asarray(choose(part, rows)) == images[ROWS][rows]).all()


def test_a_slice_of_a_mapped_array_stays_mapped_and_an_array_stays_an_array(images, mapped):
    assert isinstance(choose(mapped, slice(3, 9)), np.memmap)
    assert (choose(mapped, slice(3, 9)) == images[3:9]).all()
    assert (choose(images, ROWS) == images[ROWS]).all() and type(choose(images, ROWS)) is np.ndarray


def test_released_pages_come_back(images, mapped, monkeypatch):
    monkeypatch.setattr("gluon_classics.data.files.mapped.KEPT", 100)
    part = choose(mapped[5:], np.arange(40))
    for _ in range(3):
        assert (part[:] == images[5:45]).all()
    release(mapped)
    assert (mapped == images).all()


def test_the_parts_of_a_data_set_on_disk_stay_on_disk(images, mapped):
    labels = np.arange(50) % 2
    files = [f"{'ab'[label]}/{i}.png" for i, label in enumerate(labels)]
    on_disk = ImageDataset(mapped, labels, "ab", "mapped", "folder", files)
    in_memory = ImageDataset(images, labels, "ab", "mapped", "folder", files)
    assert isinstance(on_disk.images, np.memmap)
    for part, other in zip(on_disk.split(0.2, seed=1), in_memory.split(0.2, seed=1)):
        assert isinstance(part.images, MappedRows)
        for index in (0, -1, slice(2, 5), slice(None)):
            assert (part[index][0].asnumpy() == other[index][0].asnumpy()).all()
            assert (part[index][1] == other[index][1]).all()
        assert part.files == other.files and part.take(3).files == other.files[:3]
        assert isinstance(part.take(3).images, MappedRows)
    assert isinstance(on_disk.take(7).images, np.memmap)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_the_loader_yields_the_same_batches(images, mapped, shuffle, whole):
    labels = np.arange(50) % 2
    sets = [ImageDataset(array, labels, "ab", "set") for array in (mapped, images)]
    if not whole:
        sets = [each.split(0.2, seed=1)[0] for each in sets]
    for _ in range(2):
        for ours, other in zip(*(DataLoader(each, 8, shuffle, last_batch="keep") for each in sets)):
            assert (ours[0].asnumpy() == other[0].asnumpy()).all()
            assert (ours[1].asnumpy() == other[1].asnumpy()).all()


def own_memory_mb():
    """Return this process's own memory, without the pages of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_splitting_and_slicing_do_not_load_the_data_set(tmp_path):
    # 200 MB on disk, of zeros that the file system does not store
    mapped = np.lib.format.open_memmap(tmp_path / "zeros.npy", "w+", np.uint8, (4000, 128, 128, 3))
    whole = ImageDataset(mapped, np.arange(4000) % 2, "ab", "zeros")
    before = own_memory_mb()
    train, test = whole.split(0.5, seed=0)
    for i in range(0, 2000, 50):
        train[i : i + 50], test[i : i + 50]
    assert own_memory_mb() - before < 50
