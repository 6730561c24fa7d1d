"""Decoding many files, compared with decoding them one by one; and the cache on disk, intact and damaged."""

import json
import logging
import os
import threading
import time

from gluon_classics.data.files import decoding
from gluon_classics.data.files.decoding import decode, in_threads
from gluon_classics.data.files.image_files import read_header, read_image

import numpy as np
import pytest
from PIL import Image

SHAPE = (12, 12, 3)


@pytest.fixture
def paths(tmp_path):
    """40 different images of different sizes."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.RandomState(0)
    for i in range(40):
        few = Image.fromarray(random.randint(0, 256, (3, 4, 3), np.uint8))
        few.resize((16 + i % 3, 14), Image.Resampling.BICUBIC).save(folder / f"{i:02}.{('png', 'jpg')[i % 2]}")
    return sorted(folder.iterdir())


def one_by_one(paths, channels=3):
    return np.stack([read_image(path, channels, 12) for path in paths])


class Bar:
    """The part of tqdm's interface that decode() uses, and what it received."""

    made = []

    def __init__(self, total, desc, unit):
        self.total, self.desc, self.done = total, desc, 0
        Bar.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def update(self, n):
        self.done += n


@pytest.fixture(autouse=True)
def bars(monkeypatch):
    monkeypatch.setattr(Bar, "made", [])
    return Bar.made


@pytest.fixture
def decoded_files(monkeypatch):
    """The files that were decoded, in order of completion."""
    done = []
    read = decoding.read_image
    monkeypatch.setattr(decoding, "read_image", lambda path, *args: [read(path, *args), done.append(path)][0])
    return done


def array_of(cache):
    """Return the only array of a cache."""
    (file,) = cache.glob("*.npy")
    return file


# In memory


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_order_is_that_of_the_files(paths, threads):
    images, bad = decode(paths, SHAPE, 12, threads=threads)
    assert images.dtype == np.uint8 and images.flags.c_contiguous and not bad
    assert (images == one_by_one(paths)).all()
    assert (decode(paths, (12, 12, 1), 12, threads=threads).images == one_by_one(paths, 1)).all()


def test_it_decodes_in_several_threads(paths, monkeypatch):
    together = threading.Barrier(2, timeout=20)
    read, seen = decoding.read_image, set()

    def meet(path, *args):
        if threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            together.wait()  # until another thread is here, too
        return read(path, *args)

    monkeypatch.setattr(decoding, "read_image", meet)
    assert len(decode(paths, SHAPE, 12, threads=2).images) == 40


def test_without_a_size_the_images_keep_theirs(paths):
    same = [path for path in paths if read_header(path)[:2] == (14, 16)]
    images = decode(same, (14, 16, 3)).images
    assert images.shape == (14, 14, 16, 3)
    assert (images[0] == np.asarray(Image.open(same[0]))).all()


def test_bad_files_are_left_out_and_listed_by_index(paths):
    paths[3].write_bytes(b"")
    paths[4].write_bytes(paths[4].read_bytes()[:-60])
    paths[39].unlink()
    images, bad = decode(paths, SHAPE, 12)
    assert list(bad) == [3, 4, 39]
    assert bad[3] == "is empty (0 bytes)" and "damaged" in bad[4] and "cannot be read: No such file" in bad[39]
    assert (images == one_by_one([path for i, path in enumerate(paths) if i not in bad])).all()


def test_an_image_of_an_unexpected_size_is_bad(paths):
    assert set(decode(paths[:3], (14, 16, 3)).bad.values()) == {
        "has 17x14 pixels, expected 16x14",
        "has 18x14 pixels, expected 16x14",
    }


def test_all_may_be_bad(tmp_path):
    images, bad = decode([tmp_path / "absent.png"] * 3, SHAPE, 12)
    assert len(images) == 0 and len(bad) == 3


def test_images_that_do_not_fit_into_memory_are_refused(paths, monkeypatch):
    monkeypatch.setattr(decoding, "_free_memory", lambda: 40 * 12 * 12 * 3 * 2 - 1)
    with pytest.raises(ValueError, match="40 images of 12x12 pixels take .* GiB decoded, .*--cache FOLDER"):
        decode(paths, SHAPE, 12)
    monkeypatch.setattr(decoding, "_free_memory", lambda: 40 * 12 * 12 * 3 * 2)
    assert len(decode(paths, SHAPE, 12).images) == 40


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, None),
        ({"proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    1000 kB\n"}, 1_024_000),
        ({"proc/meminfo": "MemAvailable: 1000 kB\n", "sys/fs/cgroup/memory.max": "max\n"}, 1_024_000),
        ({"proc/meminfo": "MemAvailable: 1000 kB\n", "sys/fs/cgroup/memory.max": "4096\n"}, 4096),
        ({"sys/fs/cgroup/memory/memory.limit_in_bytes": "8192\n"}, 8192),
    ],
)
def test_free_memory_is_the_systems_or_the_containers(tmp_path, files, free):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert decoding._free_memory(tmp_path) == free


# Progress and interruption


def test_the_bar_counts_every_image(paths, bars, tmp_path):
    decode(paths, SHAPE, 12, progress=Bar)
    assert [(bar.desc, bar.total, bar.done) for bar in bars] == [("Decoding", 40, 40)]
    bars.clear()
    decode(paths, SHAPE, 12, progress=Bar, cache=tmp_path / "cache")
    assert [bar.desc for bar in bars] == ["Looking for cached images", "Decoding", "Checking the cache"]
    assert all(bar.total == bar.done for bar in bars)


def test_without_a_terminal_there_is_no_bar(paths, capfd):
    decode(paths, SHAPE, 12)
    assert capfd.readouterr() == ("", "")


def test_an_interruption_does_not_wait_for_the_rest():
    begun = []

    def work(i):
        begun.append(i)
        if i == 0:
            raise KeyboardInterrupt
        time.sleep(0.001)

    with pytest.raises(KeyboardInterrupt):
        in_threads(work, range(30_000), "Working", threads=2)
    assert len(begun) < 10_000


def test_results_come_in_order():
    assert in_threads(lambda i: i * i, range(1000), "Squaring", threads=5) == [i * i for i in range(1000)]
    assert in_threads(str, [], "Nothing") == []


# The cache


def test_the_cache_is_a_mapped_file_that_is_found_again(paths, tmp_path, decoded_files):
    cache = tmp_path / "new" / "cache"
    for _ in range(3):
        images, bad = decode(paths, SHAPE, 12, cache=cache)
        assert isinstance(images, np.memmap) and not images.flags.writeable and not bad
        assert (images == one_by_one(paths)).all()
    assert len(decoded_files) == 40
    assert sorted(file.suffix for file in cache.iterdir()) == [".json", ".npy"]
    assert (np.load(array_of(cache), allow_pickle=False) == images).all()


def test_the_cache_identifies_files_by_their_contents(paths, tmp_path, decoded_files):
    cache = tmp_path / "cache"
    decode(paths, SHAPE, 12, cache=cache)
    for path in paths:  # other names and times, same contents
        os.utime(path, (1, 1))
        path.rename(path.with_name(f"renamed {path.name}"))
    renamed = [path.with_name(f"renamed {path.name}") for path in paths]
    decode(renamed, SHAPE, 12, cache=cache)
    assert len(decoded_files) == 40
    renamed[0].write_bytes(renamed[1].read_bytes())  # same name, other contents
    images = decode(renamed, SHAPE, 12, cache=cache).images
    assert len(decoded_files) == 80 and (images[0] == images[1]).all()


def test_another_size_channels_order_or_pillow_is_another_cache(paths, tmp_path, decoded_files, monkeypatch):
    cache = tmp_path / "cache"
    decode(paths, SHAPE, 12, cache=cache)
    assert decode(paths, (12, 12, 1), 12, cache=cache).images.shape == (40, 12, 12, 1)
    assert decode(paths, (10, 10, 3), 10, cache=cache).images.shape == (40, 10, 10, 3)
    assert (decode(paths[::-1], SHAPE, 12, cache=cache).images == one_by_one(paths[::-1])).all()
    monkeypatch.setattr("PIL.__version__", "99.0")
    decode(paths, SHAPE, 12, cache=cache)
    assert len(decoded_files) == 200 and len(list(cache.glob("*.npy"))) == 5


def test_bad_files_are_remembered(paths, tmp_path, decoded_files):
    paths[0].write_bytes(b"")
    paths[20].write_bytes(paths[20].read_bytes()[:-60])
    valid = [path for i, path in enumerate(paths) if i not in (0, 20)]
    results = [decode(paths, SHAPE, 12, cache=tmp_path / "cache") for _ in range(2)]
    assert len(decoded_files) == 38
    assert results[0].bad == results[1].bad and list(results[1].bad) == [0, 20]
    for images, _ in results:
        assert isinstance(images, np.memmap) and (images == one_by_one(valid)).all()


def flip(file):
    data = bytearray(file.read_bytes())
    data[-1000] ^= 1
    file.write_bytes(data)


DAMAGE = {
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "one bit": flip,
    "empty": lambda file: file.write_bytes(b""),
    "too long": lambda file: file.write_bytes(file.read_bytes() + b"\0"),
    "another array": lambda file: np.save(file, np.zeros((40, 12, 12, 3), np.uint8)),
    "a pickle": lambda file: np.save(file, np.array([{}], object), allow_pickle=True),
    "without its facts": lambda file: file.with_suffix(".json").unlink(),
    "facts of another array": lambda file: file.with_suffix(".json").write_text('{"bad": {}, "crc32": 1}'),
    "facts of another type": lambda file: file.with_suffix(".json").write_text('["bad"]'),
    "facts cut short": lambda file: file.with_suffix(".json").write_text('{"bad": {}, "cr'),
    "facts that are not text": lambda file: file.with_suffix(".json").write_bytes(b"\xff\xfe"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_noticed_and_made_again(paths, tmp_path, decoded_files, caplog, damage):
    cache = tmp_path / "cache"
    decode(paths, SHAPE, 12, cache=cache)
    DAMAGE[damage](array_of(cache))
    for _ in range(2):
        assert (decode(paths, SHAPE, 12, cache=cache).images == one_by_one(paths)).all()
    assert len(decoded_files) == 80
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"{array_of(cache)} are damaged" in caplog.text


def test_an_interrupted_decoding_leaves_no_cache(paths, tmp_path, monkeypatch):
    cache, read = tmp_path / "cache", decoding.read_image

    def interrupted(path, *args):
        if path == paths[30]:
            raise KeyboardInterrupt
        return read(path, *args)

    monkeypatch.setattr(decoding, "read_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        decode(paths, SHAPE, 12, cache=cache)
    assert list(cache.iterdir()) == []
    monkeypatch.undo()
    assert (decode(paths, SHAPE, 12, cache=cache).images == one_by_one(paths)).all()


def test_a_cache_that_cannot_be_written_is_refused(paths, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="--cache.*file, a file: name a folder"):
        decode(paths, SHAPE, 12, cache=tmp_path / "file")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(ValueError, match="cache of 0.00 GiB cannot be written: No space left on device; .*--cache"):
        decode(paths, SHAPE, 12, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_facts_are_json(paths, tmp_path):
    paths[5].write_bytes(b"")
    decode(paths, SHAPE, 12, cache=tmp_path)
    facts = json.loads(array_of(tmp_path).with_suffix(".json").read_text())
    assert facts["bad"] == {"5": "is empty (0 bytes)"} and set(facts) == {"bad", "crc32"}


def test_pages_are_released_while_decoding(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "KEPT", 12 * 12 * 3 * 5)  # every fifth image
    released, release = [], decoding.release
    monkeypatch.setattr(decoding, "release", lambda array: released.append(release(array)))
    paths[1].write_bytes(b"")
    images = decode(paths, SHAPE, 12, cache=tmp_path).images
    assert len(released) == 8
    assert (images == one_by_one([paths[0], *paths[2:]])).all()
