"""The idx format, compared with bytes written by hand after LeCun's description, and every fault by name."""

import gzip

from gluon_classics.data.files.verified import DamagedFile, read_bytes
from gluon_classics.data.formats import idx

import numpy as np
import pytest

# two images of 2x3 pixels, and two labels, byte by byte
IMAGES = bytes.fromhex("00000803 00000002 00000002 00000003") + bytes(range(12))
LABELS = bytes.fromhex("00000801 00000002") + bytes([7, 3])


def read(path, ndim):
    return idx.parse(read_bytes(path, 10**6), str(path), ndim)


@pytest.fixture
def put(tmp_path):
    def put(name, data):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return put


@pytest.mark.parametrize("wrap", [lambda raw: raw, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_reads_the_format_as_published_whatever_the_name_says(put, wrap, name):
    images = read(put(name, wrap(IMAGES)), 3)
    assert images.dtype == np.uint8
    assert images.tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    assert read(put(name, wrap(LABELS)), 1).tolist() == [7, 3]


def test_writes_the_format_as_published(tmp_path):
    idx.write_idx(tmp_path / "images", np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    idx.write_idx(tmp_path / "labels.gz", np.array([7, 3], np.uint8))
    assert (tmp_path / "images").read_bytes() == IMAGES
    assert gzip.decompress((tmp_path / "labels.gz").read_bytes()) == LABELS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "labels.gz"]


def test_equal_arrays_give_equal_compressed_files(tmp_path):
    for name in ("a.gz", "b.gz"):
        idx.write_idx(tmp_path / name, np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert (tmp_path / "a.gz").read_bytes()[4:8] == bytes(4)  # RFC 1952: the time stamp


def test_writes_arrays_that_are_not_contiguous(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4).transpose(0, 2, 1)
    idx.write_idx(tmp_path / "x", array)
    assert np.array_equal(read(tmp_path / "x", 3), array)


@pytest.mark.parametrize("array", [np.zeros((2, 2), np.uint8), np.zeros(3, np.int32), np.zeros((1, 2, 2, 1), np.uint8)])
def test_writes_only_images_and_labels(tmp_path, array):
    with pytest.raises(ValueError, match=f"found {array.dtype} "):
        idx.write_idx(tmp_path / "x.gz", array)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("step", ["os.fsync", "os.replace"])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, step):
    path = tmp_path / "x.gz"
    idx.write_idx(path, np.array([1], np.uint8))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, full)
    with pytest.raises(OSError, match="No space"):
        idx.write_idx(path, np.array([2], np.uint8))
    assert read(path, 1).tolist() == [1]
    assert [file.name for file in tmp_path.iterdir()] == ["x.gz"]


PACKED = gzip.compress(
    bytes.fromhex("00000803 00000002 0000001c 0000001c") + bytes(i % 253 for i in range(1568)), mtime=0
)


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            PACKED[: len(PACKED) // 2],
            ["truncated", "a complete gzip stream", f"found {len(PACKED) // 2} bytes"],
        ),
        (PACKED[:-4], ["truncated"]),
        (PACKED[:5], ["truncated"]),
        (flipped(PACKED, -6), ["corrupt", "CRC check failed"]),
        (flipped(PACKED, len(PACKED) // 2), ["corrupt"]),
        (PACKED + b"more", ["corrupt"]),
        (PACKED + PACKED, ["trailing bytes", "expected 1,584", "found 3,168"]),
        (IMAGES[:-1], ["truncated", "expected 28 bytes", "(2, 2, 3)", "found 27"]),
        (IMAGES + b"x", ["trailing bytes", "expected 28 bytes", "found 29"]),
        (IMAGES[:10], ["truncated", "header of 16 bytes", "found 10"]),
        (IMAGES[:3], ["expected idx images (magic number 2051)", "found unknown data"]),
        (b"", ["expected idx images (magic number 2051)", "found an empty file"]),
        (LABELS, ["expected idx images (magic number 2051)", "found idx labels 2 (magic number 2049)"]),
        (bytes.fromhex("00000803 00000000 0000001c 0000001c"), ["found dimensions (0, 28, 28)"]),
        (bytes.fromhex("00000803 ffffffff ffffffff ffffffff"), ["truncated", "79,228,162,458,924,105,385,300,197,391"]),
        (bytes.fromhex("00000d03") + IMAGES[4:], ["expected idx images", "found unknown data"]),
        (b"\n<!DOCTYPE html><html>", ["found an HTML or XML page"]),
        (b"PK\x03\x04rest", ["found a zip archive"]),
        (b"\x89PNG\r\n", ["found a PNG image"]),
        (gzip.compress(PACKED), ["found gzip data"]),
    ],
)
def test_names_the_file_and_what_was_expected_and_found(put, data, words):
    path = put("train-images-idx3-ubyte.gz", data)
    with pytest.raises(DamagedFile) as error:
        read(path, 3)
    for word in [str(path), "expected", "found", *words]:
        assert word in str(error.value)


def test_refuses_images_where_labels_should_be(put):
    with pytest.raises(DamagedFile, match=r"expected idx labels .*2049.* found idx images 2x2x3 .*2051"):
        read(put("labels", IMAGES), 1)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DamagedFile, match="nowhere.gz: cannot be read: No such file"):
        read(tmp_path / "nowhere.gz", 3)
