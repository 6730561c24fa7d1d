"""Where data sets are found, and every fault of the files there by name."""

import gzip
import logging
import os
import re
from pathlib import Path

from gluon_classics.data import DatasetUnavailable, find_fashion_mnist
from gluon_classics.data.files import sources, verified
from gluon_classics.data.files.verified import DamagedFile
from gluon_classics.data.formats import fashion_mnist

import pytest

pytestmark = pytest.mark.usefixtures("island")
TRAIN_IMAGES = "train-images-idx3-ubyte"


def lay(folder, contents, compress=gzip.compress, suffix=".gz"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in contents.items():
        (folder / (name + suffix)).write_bytes(compress(raw))
    return folder


def use_mirrors(monkeypatch, *addresses):
    monkeypatch.setattr(fashion_mnist, "FASHION_MNIST", fashion_mnist.FASHION_MNIST._replace(mirrors=addresses))


# The order of the folders


def test_the_order_is_root_then_mxnets_folder_then_the_systems(tiny, island, tmp_path):
    system = lay(tmp_path / "system" / "fashion-mnist", tiny)
    assert find_fashion_mnist() == system
    mxnet = lay(island, tiny)
    assert find_fashion_mnist() == mxnet
    root = lay(tmp_path / "mine", tiny)
    assert find_fashion_mnist(str(root)) == root
    empty = tmp_path / "empty"
    empty.mkdir()
    assert find_fashion_mnist(empty) == mxnet
    assert not list(empty.iterdir())


def test_mxnets_folder_is_that_of_mxnet(monkeypatch):
    from mxnet.base import data_dir

    for mxnet_home in ("/somewhere/else", None):
        monkeypatch.delenv("MXNET_HOME")
        if mxnet_home:
            monkeypatch.setenv("MXNET_HOME", mxnet_home)
        assert sources.mxnet_data_folder("fashion-mnist") == Path(data_dir(), "datasets", "fashion-mnist")


def test_files_may_be_recompressed_or_plain(tiny, tmp_path):
    assert find_fashion_mnist(lay(tmp_path / "a", tiny, lambda raw: gzip.compress(raw, 1)))
    assert find_fashion_mnist(lay(tmp_path / "b", tiny, bytes, suffix=""))


def test_returns_decompressed_bytes(tiny, tmp_path):
    assert sources.find(fashion_mnist.FASHION_MNIST, lay(tmp_path / "a", tiny))[1] == tiny


# Faults


@pytest.mark.parametrize("root", ["nowhere", "file"])
def test_refuses_a_root_that_is_not_a_folder(tiny, tmp_path, root):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match=f"data folder .*{root} (does not exist|is not a folder); name a folder"):
        find_fashion_mnist(tmp_path / root)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc, which nobody can write, root included")
def test_refuses_a_root_that_cannot_be_written(tiny, web, monkeypatch):
    use_mirrors(monkeypatch, web.mirror("good"))
    with pytest.raises(ValueError, match="data folder /proc/self: cannot be written .*into it; name one"):
        find_fashion_mnist("/proc/self")
    assert web.asked == []


def test_mxnets_folder_that_cannot_be_written_is_one_of_the_reasons(tiny, island, tmp_path):
    (tmp_path / "mxnet").write_text("a file in place of the folder")
    with pytest.raises(DatasetUnavailable, match=f"folder {island}: cannot be written"):
        find_fashion_mnist()


DAMAGE = [
    (lambda packed, other: packed[: len(packed) // 2], "truncated: expected a complete gzip stream"),
    (lambda packed, other: packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:], "corrupt: .*CRC check failed"),
    (
        lambda packed, other: gzip.compress(gzip.decompress(packed)[:-9] + b"x" * 9),
        "expected .* 15,696 bytes .*size is right",
    ),
    (lambda packed, other: gzip.compress(gzip.decompress(packed)[:-9]), "found .* 15,687 bytes .*truncated"),
    (lambda packed, other: gzip.compress(gzip.decompress(packed) + b"x"), "found .* more than 15,696 bytes"),
    (lambda packed, other: other, r"expected train-images.*found idx labels 20 \(magic number 2049\), 28 bytes"),
    (lambda packed, other: b"<html>", "found an HTML or XML page"),
    (lambda packed, other: b"", "found an empty file"),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGE)
def test_a_damaged_file_in_root_is_an_error(tiny, island, tmp_path, damage, words):
    lay(island, tiny)  # an intact copy elsewhere does not help
    root = lay(tmp_path / "mine", tiny)
    path = root / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(damage(path.read_bytes(), (root / "train-labels-idx1-ubyte.gz").read_bytes()))
    before = path.read_bytes()
    with pytest.raises(DamagedFile, match=f"^{path}: .*{words}"):
        find_fashion_mnist(root)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("damage", "words"), DAMAGE[:2])
def test_a_damaged_file_elsewhere_is_skipped_with_a_warning(tiny, island, tmp_path, caplog, damage, words):
    lay(island, tiny)
    path = island / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(damage(path.read_bytes(), b""))
    system = lay(tmp_path / "system" / "fashion-mnist", tiny)
    with caplog.at_level(logging.WARNING):
        assert find_fashion_mnist() == system
    assert f"{path}: " in caplog.text and re.search(words, caplog.text)


def test_a_gzip_bomb_is_not_unpacked():
    bomb = gzip.compress(bytes(50_000_000))
    assert len(verified.decompress(bomb, "bomb", limit=1000)) == 1001


def test_a_file_without_end_is_not_read_to_its_end(tmp_path):
    with open(tmp_path / "images", "wb") as file:
        file.truncate(2**40)  # takes no space
    assert 1000 < len(verified.read_bytes(tmp_path / "images", limit=1000)) < 2**21


def test_an_unavailable_data_set_lists_everything_that_was_tried_and_what_to_do(
    tiny, island, web, monkeypatch, tmp_path
):
    use_mirrors(monkeypatch, web.mirror("missing"), web.mirror("page"))
    (tmp_path / "mine").mkdir()
    with pytest.raises(DatasetUnavailable) as error:
        find_fashion_mnist(tmp_path / "mine")
    lines = str(error.value).splitlines()
    tried = [line for line in lines if line.startswith("  - ")]
    expected = [
        f"folder {tmp_path / 'mine'}: no {TRAIN_IMAGES}.gz",
        f"folder {island}: no such",
        "system/fashion-mnist: no such folder",
        web.mirror("missing"),
        web.mirror("page"),
    ]
    assert len(tried) == len(expected) and all(words in line for line, words in zip(tried, expected))
    for way, words in (
        (1, "apt-get install dataset-fashion-mnist"),
        (2, f"by hand from https://.* into {tmp_path / 'mine'}"),
        (3, "--dataset fashion-mnist-sample"),
    ):
        assert re.search(words, next(line for line in lines if line.startswith(f"  {way}. ")))
