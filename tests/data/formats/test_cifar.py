"""CIFAR-10 and CIFAR-100 from small archives of the same layout: records, folders, downloads, faults."""

import hashlib
import io
import logging
import tarfile

from gluon_classics.data import DamagedFile, DatasetUnavailable, load_dataset
from gluon_classics.data.files import verified
from gluon_classics.data.files.verified import ArchiveSpec, FileSpec
from gluon_classics.data.formats import cifar
from gluon_classics.data.formats.cifar import CIFAR10_CLASSES, CIFAR100_CLASSES, load_cifar10, load_cifar100

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("island")
COUNT = 6  # images in each file


def records(seed, label_bytes, classes):
    random = np.random.RandomState(seed)
    rows = random.randint(0, 256, (COUNT, label_bytes + 3072))
    rows[:, :label_bytes] = random.randint(0, classes, (COUNT, label_bytes))
    return rows.astype(np.uint8).tobytes()


def pack(contents):
    """Return a .tar.gz archive of files by name; None makes a folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, raw in contents.items():
            member = tarfile.TarInfo(name)
            if raw is None:
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            elif isinstance(raw, tarfile.TarInfo):
                tar.addfile(raw)
            else:
                member.size = len(raw)
                tar.addfile(member, io.BytesIO(raw))
    return packed.getvalue()


def stand_in(source, files, packed, mirrors=()):
    """Return `source` with the digests of other files and of another archive."""
    return source._replace(
        files=tuple(FileSpec(name, len(raw), hashlib.sha256(raw).hexdigest()) for name, raw in files.items()),
        archive=ArchiveSpec(
            source.archive.name, len(packed), hashlib.sha256(packed).hexdigest(), source.archive.folder
        ),
        mirrors=mirrors,
    )


class Tiny:
    """A small CIFAR-10 or CIFAR-100: `files` by name, `packed` like the official archive."""

    def __init__(self, monkeypatch, source, label_bytes, classes):
        names = [spec.name for spec in getattr(cifar, source).files]
        self.monkeypatch, self.source, self.original = monkeypatch, source, getattr(cifar, source)
        self.files = {name: records(seed, label_bytes, classes) for seed, name in enumerate(names)}
        self.archive = self.original.archive
        inside = {f"{self.archive.folder}/{name}": raw for name, raw in self.files.items()}
        others = {f"{self.archive.folder}/readme.html": b"<html>", f"{self.archive.folder}/batches.meta.txt": b"a\n"}
        self.use(pack({self.archive.folder: None, **others, **inside}))

    def use(self, packed, mirrors=()):
        self.packed = packed
        self.monkeypatch.setattr(cifar, self.source, stand_in(self.original, self.files, packed, mirrors))

    def lay_archive(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / self.archive.name).write_bytes(self.packed)
        return folder

    def lay_files(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, raw in self.files.items():
            (folder / name).write_bytes(raw)
        return folder


@pytest.fixture
def ten(monkeypatch):
    return Tiny(monkeypatch, "CIFAR10", 1, 10)


@pytest.fixture
def hundred(monkeypatch):
    return Tiny(monkeypatch, "CIFAR100", 2, 100)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# Reading


def test_a_record_is_a_label_and_three_planes(ten, tmp_path):
    red, green, blue = (np.arange(1024) // 8 + plane * 60 for plane in range(3))
    ten.files["data_batch_1.bin"] = bytes([7]) + np.concatenate([red, green, blue]).astype(np.uint8).tobytes()
    ten.use(pack({f"{ten.archive.folder}/{name}": raw for name, raw in ten.files.items()}))
    train, _ = load_cifar10(ten.lay_archive(tmp_path / "mine"))
    assert train.labels[0] == 7
    # row 1, column 8 is pixel 40 of a plane; row 31, column 31 the last one
    assert train.images[0, 1, 8].tolist() == [5, 65, 125]
    assert train.images[0, 31, 31].tolist() == [127, 187, 247]


@pytest.mark.parametrize("size", ["ten", "hundred"])
def test_equals_mxnets_own_class(request, size, tmp_path, monkeypatch):
    """MXNet's class reads the extracted files, ours the archive. The order of the files is the same."""
    from mxnet.gluon.data.vision import datasets

    tiny = request.getfixturevalue(size)
    monkeypatch.setattr(datasets, "check_sha1", lambda path, sha1: True)
    extracted, root = str(tiny.lay_files(tmp_path / "theirs")), tiny.lay_archive(tmp_path / "mine")
    load, classes = {"ten": (load_cifar10, 10), "hundred": (load_cifar100, 100)}[size]
    for ours, is_train in zip(load(root), (True, False)):
        if size == "ten":
            theirs = datasets.CIFAR10(root=extracted, train=is_train)
        else:
            theirs = datasets.CIFAR100(root=extracted, fine_label=True, train=is_train)
        assert len(ours) == len(theirs) == (COUNT * 5 if is_train and size == "ten" else COUNT)
        assert (ours.images == theirs[:][0].asnumpy()).all()
        assert (ours.labels == theirs[:][1]).all()
        assert len(ours.classes) == classes and ours.origin == str(root)
    assert names(root) == [tiny.archive.name]  # nothing was extracted


def test_extracted_files_are_read(ten, tmp_path):
    root = ten.lay_archive(tmp_path / "archive")
    expected = load_cifar10(root)[0]
    flat = ten.lay_files(tmp_path / "flat")
    ten.lay_files(tmp_path / "nested" / ten.archive.folder)
    mxnet = ten.lay_files(tmp_path / "mxnet" / "datasets" / "cifar10")
    # MXNet's own archive has the same name and holds the same files, but its bytes differ
    (mxnet / ten.archive.name).write_bytes(b"MXNet's own")
    for place in (flat, tmp_path / "nested", mxnet, None):
        train, _ = load_dataset("cifar10", place)
        assert (train.images == expected.images).all() and (train.labels == expected.labels).all()
    assert train.origin == str(mxnet)


# Downloads


def test_is_downloaded_once(hundred, serve, tmp_path):
    web = serve({hundred.archive.name: hundred.packed})
    hundred.use(hundred.packed, (web.mirror("half"), web.mirror("missing"), web.mirror("good")))
    (tmp_path / "mine").mkdir()
    train, _ = load_dataset("cifar100", tmp_path / "mine")
    assert len(train) == COUNT
    assert names(tmp_path / "mine") == [hundred.archive.name]
    load_cifar100(tmp_path / "mine")
    assert web.asked == [f"/{mirror}/{hundred.archive.name}" for mirror in ("half", "missing", "good")]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("missing", "the server answered 404 Not Found"),
        ("half", "truncated: the connection closed before the end"),
        ("page", "expected cifar-10-binary.tar.gz, .* found an HTML or XML page"),
        ("endless", "expected at most .* bytes, found more"),
    ],
)
def test_a_failed_download_names_each_reason(ten, serve, tmp_path, fault, words):
    web = serve({ten.archive.name: ten.packed})
    ten.use(ten.packed, (web.mirror(fault),))
    (tmp_path / "mine").mkdir()
    with pytest.raises(DatasetUnavailable, match=words) as error:
        load_cifar10(tmp_path / "mine")
    assert names(tmp_path / "mine") == []
    assert f"folder {tmp_path / 'mine'}: no {ten.archive.name}\n" in str(error.value)
    assert str(error.value).endswith(
        f"What to do:\n  1. download {ten.archive.name} by hand from https://www.cs.toronto.edu/~kriz/cifar.html"
        f" into {tmp_path / 'mine'}"
    )


def test_a_large_archive_gets_time_by_its_size(ten, serve, monkeypatch):
    from gluon_classics.data.files import fetch

    ten.use(ten.packed, (serve({ten.archive.name: ten.packed}).mirror("good"),))
    monkeypatch.setattr(fetch, "PATIENCE", 0)
    monkeypatch.setattr(fetch, "SLOWEST", 10**9)
    with pytest.raises(DatasetUnavailable, match="too slow: .* after 0 s"):
        load_cifar10()
    monkeypatch.setattr(fetch, "SLOWEST", 100)  # bytes a second: minutes for this one
    load_cifar10()


# Faults


@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "cifar-10-batches-py"])
def test_pickles_are_not_read_and_the_archive_to_download_is_named(ten, serve, tmp_path, caplog, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_bytes(b"\x80\x04")
    words = f"no cifar-10-binary.tar.gz, but {name}: .* are not read"
    with pytest.raises(DatasetUnavailable, match=words):
        load_cifar10(tmp_path / "mine")
    ten.use(ten.packed, (serve({ten.archive.name: ten.packed}).mirror("good"),))
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        load_cifar10(tmp_path / "mine")  # downloads the archive
    assert "are not read; cifar-10-binary.tar.gz has the same images" in caplog.text


DAMAGE = [
    (lambda packed: packed[: len(packed) // 2], r"found gzip data, [\d,]+ bytes .*; truncated"),
    (
        lambda packed: packed[:-9] + bytes([packed[-9] ^ 1]) + packed[-8:],
        "expected cifar-10-binary.tar.gz, .* found gzip",
    ),
    (lambda packed: packed + b"x", "found gzip data, more than"),
    (lambda packed: pack({"cifar-10-batches-bin/test_batch.bin": bytes(5_000_000)}), "found gzip data"),
    (lambda packed: b"", "found an empty file"),
    (lambda packed: b"PK\x03\x04", "found a zip archive"),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGE)
def test_only_the_published_archive_is_opened(ten, tmp_path, monkeypatch, damage, words):
    def opened(*args, **kwargs):
        raise AssertionError("it was opened")

    path = ten.lay_archive(tmp_path / "mine") / ten.archive.name
    path.write_bytes(damage(ten.packed))
    monkeypatch.setattr(verified.tarfile, "open", opened)
    with pytest.raises(DamagedFile, match=f"^{path}: .*{words}"):
        load_cifar10(tmp_path / "mine")


def test_a_damaged_archive_in_mxnets_folder_is_replaced_with_a_warning(ten, serve, tmp_path, caplog):
    mxnet = ten.lay_archive(tmp_path / "mxnet" / "datasets" / "cifar10")
    (mxnet / ten.archive.name).write_bytes(ten.packed[:100])
    ten.use(ten.packed, (serve({ten.archive.name: ten.packed}).mirror("good"),))
    with caplog.at_level(logging.WARNING):
        load_cifar10()
    assert f"{mxnet / ten.archive.name}: expected" in caplog.text
    assert (mxnet / ten.archive.name).read_bytes() == ten.packed


def test_a_damaged_file_in_root_is_an_error_by_name(ten, tmp_path):
    root = ten.lay_files(tmp_path / "mine" / ten.archive.folder)
    (root / "data_batch_3.bin").write_bytes(ten.files["data_batch_3.bin"][:-1])
    with pytest.raises(DamagedFile, match=f"^{root}/data_batch_3.bin: expected data_batch_3.bin, 18,438 bytes"):
        load_cifar10(tmp_path / "mine")


def linked(name):
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return link


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"test.bin": b"x"}, r"expected cifar-100-binary/test.bin of 18,444 bytes, found 1$"),
        (
            {"test.bin": linked("cifar-100-binary/test.bin")},
            "expected cifar-100-binary/test.bin of 18,444 bytes, found 0",
        ),
        ({"test.bin": None}, "expected cifar-100-binary/test.bin of"),
        ({}, "the archive has no cifar-100-binary/test.bin$"),
    ],
)
def test_members_that_are_not_the_files_are_refused(hundred, tmp_path, change, words):
    """The second line of defence: such an archive does not have the published digest."""
    contents = {"train.bin": hundred.files["train.bin"], **change}
    hundred.use(pack({f"{hundred.archive.folder}/{name}": raw for name, raw in contents.items()}))
    root = hundred.lay_archive(tmp_path / "mine")
    with pytest.raises(DamagedFile, match=f"^{root / hundred.archive.name}: {words}"):
        load_cifar100(root)


@pytest.mark.parametrize("packed", [b"no archive", b"\x1f\x8b\x08\0" + bytes(30)])
def test_refuses_a_file_that_is_not_an_archive(hundred, tmp_path, packed):
    hundred.use(packed)
    with pytest.raises(DamagedFile, match="corrupt: expected a valid .tar.gz archive, found: "):
        load_cifar100(hundred.lay_archive(tmp_path / "mine"))


# The tables


def test_the_tables_are_the_published_ones():
    """Sizes follow from the page's counts: 10,000 records in a file, of 3,073 and 3,074 bytes."""
    ten = {f"data_batch_{i}.bin": 10_000 * 3_073 for i in range(1, 6)}
    assert {spec.name: spec.size for spec in cifar.CIFAR10.files} == {**ten, "test_batch.bin": 10_000 * 3_073}
    assert {spec.name: spec.size for spec in cifar.CIFAR100.files} == {
        "train.bin": 50_000 * 3_074,
        "test.bin": 10_000 * 3_074,
    }
    for source in (cifar.CIFAR10, cifar.CIFAR100):
        assert source.archive.name.endswith("-binary.tar.gz")
        digests = [spec.sha256 for spec in (source.archive, *source.files)]
        assert all(len(bytes.fromhex(digest)) == 32 for digest in digests) and len(set(digests)) == len(digests)


def test_class_names_are_in_the_order_of_the_labels():
    assert " ".join(CIFAR10_CLASSES) == "airplane automobile bird cat deer dog frog horse ship truck"
    # the fine labels are numbered in alphabetical order
    assert len(CIFAR100_CLASSES) == 100 and sorted(set(CIFAR100_CLASSES)) == list(CIFAR100_CLASSES)
    assert [CIFAR100_CLASSES[label] for label in (0, 1, 47, 58, 99)] == [
        "apple",
        "aquarium_fish",
        "maple_tree",
        "pickup_truck",
        "worm",
    ]
