"""MNIST: equal to MXNet's own class, downloaded, and distinguished from Fashion-MNIST's files of the same names."""

import gzip
import os

from gluon_classics.data import DamagedFile, DatasetUnavailable, load_dataset
from gluon_classics.data.formats import fashion_mnist, mnist
from gluon_classics.data.formats.mnist import MNIST_CLASSES, load_mnist

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("island")


@pytest.fixture
def tiny_mnist(tiny, monkeypatch):
    """The tiny files of conftest in place of MNIST's."""
    monkeypatch.setattr(mnist, "MNIST", mnist.MNIST._replace(files=fashion_mnist.FASHION_MNIST.files))
    return tiny


def lay(folder, contents):
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in contents.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(raw))
    return folder


def test_equals_mxnets_own_class(tiny_mnist, tmp_path, monkeypatch):
    from mxnet.gluon.data.vision import datasets

    root = lay(tmp_path / "mine", tiny_mnist)
    monkeypatch.setattr(datasets, "download", lambda url, path, sha1_hash: os.path.join(path, url.rsplit("/", 1)[1]))
    for ours, is_train in zip(load_mnist(root), (True, False)):
        theirs = datasets.MNIST(root=str(root), train=is_train)
        assert len(ours) == len(theirs) == (20 if is_train else 10)
        assert ours.images.shape[1:] == (28, 28, 1)
        assert (ours[:][0].asnumpy() == theirs[:][0].asnumpy()).all()
        assert (ours[:][1] == theirs[:][1]).all()
        assert ours.name == "mnist" and ours.origin == str(root)
        assert ours.classes == MNIST_CLASSES == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")


def test_is_found_in_mxnets_folder(tiny_mnist, tmp_path):
    lay(tmp_path / "mxnet" / "datasets" / "mnist", tiny_mnist)
    train, _ = load_dataset("mnist")
    assert len(train) == 20


def test_is_downloaded(tiny_mnist, serve, tmp_path, monkeypatch):
    web = serve(tiny_mnist)
    monkeypatch.setattr(mnist, "MNIST", mnist.MNIST._replace(mirrors=(web.mirror("missing"), web.mirror("good"))))
    train, test = load_mnist()
    assert (len(train), len(test)) == (20, 10)
    assert len(list((tmp_path / "mxnet" / "datasets" / "mnist").glob("*-ubyte.gz"))) == 4
    load_mnist()
    assert len(web.asked) == 5  # the first mirror once, the second for four files


def test_other_files_of_the_same_names_are_refused(tiny_mnist, tmp_path):
    root = lay(tmp_path / "mine", tiny_mnist)
    fashion = bytearray(tiny_mnist["t10k-images-idx3-ubyte"])
    fashion[-1] ^= 1
    lay(root, {"t10k-images-idx3-ubyte": fashion})
    with pytest.raises(
        DamagedFile, match="t10k-images-idx3-ubyte.gz: .*another data set whose files have the same names"
    ):
        load_mnist(root)


def test_the_error_says_how_to_download_it(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(DatasetUnavailable) as error:
        load_mnist(tmp_path / "mine")
    lines = str(error.value).splitlines()
    assert lines[0].startswith("MNIST is not on this machine")
    assert lines[-1].startswith("  1. download train-images-idx3-ubyte.gz, ")
    assert lines[-1].endswith(f" by hand from {mnist.MNIST.by_hand} into {tmp_path / 'mine'}")


def test_the_table_is_the_published_one():
    """Sizes: 60,000 and 10,000 images of 28x28, headers of 16 and 8 bytes. The hashes are not Fashion-MNIST's."""
    sizes = [16 + 60_000 * 784, 8 + 60_000, 16 + 10_000 * 784, 8 + 10_000]
    assert [spec.size for spec in mnist.MNIST.files] == sizes
    fashion = {spec.name: spec.sha256 for spec in fashion_mnist.FASHION_MNIST.files}
    assert [spec.name for spec in mnist.MNIST.files] == list(fashion)
    for spec in mnist.MNIST.files:
        assert len(bytes.fromhex(spec.sha256)) == 32 and spec.sha256 != fashion[spec.name]


def test_labels_are_those_of_the_files(tiny_mnist, tmp_path):
    train, test = load_mnist(lay(tmp_path / "mine", tiny_mnist))
    assert np.bincount(train.labels).tolist() == [2] * 10 and np.bincount(test.labels).tolist() == [1] * 10
