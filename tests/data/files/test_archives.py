"""Hostile and damaged archives of every kind, none of which leaves a file anywhere."""

import gzip
import io
import os
import re
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

from gluon_classics.data.files import archives
from gluon_classics.data.files.archives import BadArchive, extract
from gluon_classics.data.files.decoding import decode

import numpy as np
import pytest
from PIL import Image

PICTURES = {"boots/a.png": b"first", "boots/old/b.png": b"second" * 400_000, "图像/ц.png": b"third", "empty.png": b""}


def zipped(path, files, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data, **options)
    return path


def tarred(path, files, mode="w"):
    """`files` are pairs of a name or a TarInfo and its bytes."""
    with tarfile.open(path, mode) as archive:
        for name, data in files:
            entry = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def entry(name, kind, **fields):
    made = tarfile.TarInfo(name)
    made.type = kind
    for field, value in fields.items():
        setattr(made, field, value)
    return made


MAKERS = {
    "a.zip": zipped,
    "a.tar": tarred,
    "a.tar.gz": lambda path, files: tarred(path, files, "w:gz"),
    "a.tgz": lambda path, files: tarred(path, files, "w:gz"),
    "no suffix": lambda path, files: tarred(path, files, "w:gz"),
}


@pytest.fixture(params=MAKERS)
def make(request, tmp_path):
    """Return a function that makes an archive of one kind from (name, bytes) pairs."""
    return lambda files: MAKERS[request.param](tmp_path / request.param, list(files))


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(archive, words, **limits):
    """Assert that extracting raises BadArchive with these words and leaves nothing, inside or outside the folder."""
    base = archive.parent
    before = {path: path.stat().st_mtime_ns for path in base.rglob("*")}
    with pytest.raises(BadArchive, match=f"^{re.escape(str(archive))}: .*{words}.*; nothing was extracted$"):
        extract(archive, base / "out", **limits)
    assert {path: path.stat().st_mtime_ns for path in base.rglob("*")} == before


# Valid archives


def test_extracts_the_files_and_nothing_else(make, tmp_path):
    archive = make(PICTURES.items())
    assert extract(archive, tmp_path / "new" / "out") == tmp_path / "new" / "out"
    assert contents(tmp_path / "new") == {f"out/{name}": data for name, data in PICTURES.items()}
    assert not [path for path in (tmp_path / "new").iterdir() if path.name != "out"]


def test_archives_as_other_programs_write_them(tmp_path):
    (tmp_path / "photos/boots/none").mkdir(parents=True)
    (tmp_path / "photos/boots/a.png").write_bytes(b"first")
    with tarfile.open(tmp_path / "dot.tar", "w") as archive:  # tar -C photos -c .
        archive.add(tmp_path / "photos", arcname=".")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:  # with entries for the folders
        for path in sorted((tmp_path / "photos").rglob("*")):
            archive.write(path, path.relative_to(tmp_path))
    with tarfile.open(tmp_path / "long.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.add(tmp_path / "photos", arcname="d/" * 90 + "é" * 100)
    assert contents(extract(tmp_path / "dot.tar", tmp_path / "1")) == {"boots/a.png": b"first"}
    assert contents(extract(tmp_path / "a.zip", tmp_path / "2")) == {"photos/boots/a.png": b"first"}
    assert (tmp_path / "2/photos/boots/none").is_dir()
    assert list(contents(extract(tmp_path / "long.tar.gz", tmp_path / "3")).values()) == [b"first"]


def test_permissions_are_not_restored(tmp_path):
    archive = tarred(tmp_path / "a.tar", [(entry("a.png", tarfile.REGTYPE, mode=0o4777, uid=12345), b"x")])
    made = extract(archive, tmp_path / "out") / "a.png"
    (tmp_path / "usual").touch()
    assert made.stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert made.stat().st_uid == os.getuid()


def test_extracts_to_an_empty_folder_but_not_to_a_full_one(make, tmp_path):
    archive = make(PICTURES.items())
    (tmp_path / "out").mkdir()
    extract(archive, tmp_path / "out")
    assert contents(tmp_path / "out") == PICTURES
    for folder in (tmp_path / "out", archive, tmp_path):
        with pytest.raises(ValueError, match="exists: name a new folder"):
            extract(archive, folder)
    assert contents(tmp_path / "out") == PICTURES


COIL20 = Path(os.environ.get("GLUON_CLASSICS_TEST_DATA", "")) / "coil-20-proc.zip"


@pytest.mark.skipif(not COIL20.is_file(), reason="no coil-20-proc.zip in the folder GLUON_CLASSICS_TEST_DATA")
def test_a_published_archive(tmp_path):
    pictures = sorted(extract(COIL20, tmp_path / "out").rglob("obj*.png"))
    assert len(pictures) == 20 * 72
    images, bad = decode(pictures, (128, 128, 1))
    assert not bad and images.shape == (1440, 128, 128, 1)
    assert (images[77] == np.asarray(Image.open(pictures[77]))[..., None]).all()


# Names


@pytest.mark.parametrize(
    "name",
    [
        "../evil.png",
        "boots/../../evil.png",
        "boots/..",
        "..",
        "/tmp/evil.png",
        "//server/share/evil.png",
        "..\\evil.png",
        "C:\\evil.png",
        "c:evil.png",
        "C:/evil.png",
    ],
)
def test_names_that_lead_elsewhere(make, name):
    refused(make([("boots/a.png", b"first"), (name, b"evil")]), "which is not a plain relative path")


def test_a_backslash_in_a_tar(tmp_path):
    refused(tarred(tmp_path / "a.tar", [("boots\\evil.png", b"evil")]), "which is not a plain relative path")


def test_backslashes_in_a_zip_are_slashes(tmp_path):
    files = [("photos\\boots\\", b""), ("photos\\boots\\a.png", b"1"), ("photos/b.png", b"2")]
    archive = zipped(tmp_path / "a.zip", files)
    assert contents(extract(archive, tmp_path / "1")) == {"photos/boots/a.png": b"1", "photos/b.png": b"2"}
    refused(zipped(tmp_path / "b.zip", [("a/b.png", b"1"), ("a\\b.png", b"2")]), "holds 'a/b.png' twice")


def named(path, raw, extra=b""):
    """Write a zip of one file with the name `raw`, without the UTF-8 flag."""
    entry = zipfile.ZipInfo("x" * len(raw))
    entry.extra = extra
    zipped(path, [(entry, b"1")])
    path.write_bytes(path.read_bytes().replace(b"x" * len(raw), raw))
    return path


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("三角形/图.png", "gbk"), ("三角形/图.png", "utf-8"), ("полосы/а.png", "utf-8"), ("Übung/café.png", "cp437")],
)
def test_names_without_the_utf_8_flag(tmp_path, name, encoding):
    archive = named(tmp_path / "a.zip", name.encode(encoding))
    assert list(contents(extract(archive, tmp_path / "out"))) == [name]


def test_names_in_gbk_in_a_tar(tmp_path):
    with tarfile.open(tmp_path / "b.tar", "w", encoding="gbk", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("三角形/a.png"))
    assert list(contents(extract(tmp_path / "b.tar", tmp_path / "out"))) == ["三角形/a.png"]


def test_the_unicode_name_in_an_extra_field(tmp_path):
    raw, name = "±ßäÂ.png".encode("cp1252"), "ダンス.png"
    for checksum, expected in ((zlib.crc32(raw), name), (0, raw.decode("gbk"))):
        field = struct.pack("<BI", 1, checksum) + name.encode()
        extra = struct.pack("<HH", 0x7075, len(field)) + field
        archive = named(tmp_path / f"{checksum}.zip", raw, extra)
        assert list(contents(extract(archive, tmp_path / str(checksum)))) == [expected]


def test_pythons_own_filter_is_asked_as_well(tmp_path, monkeypatch):
    def refuse(entry, folder):
        raise tarfile.TarError(f"{entry.name} in {folder}")

    monkeypatch.setattr(archives, "data_filter", refuse)
    refused(tarred(tmp_path / "a.tar", [("boots/a.png", b"first")]), "boots/a.png in ")


@pytest.mark.parametrize("name", ["../evil.png", "boots/../../evil.png", "/tmp/evil.png", "C:/evil.png"])
def test_names_are_checked_without_pythons_own_filter(tmp_path, monkeypatch, name):
    monkeypatch.setattr(archives, "data_filter", lambda entry, folder: entry)  # Python 3.9.0 to 3.9.16
    refused(tarred(tmp_path / "a.tar", [(name, b"evil")]), "which is not a plain relative path")


def test_a_zero_byte_in_a_zips_name(tmp_path):
    archive = zipped(tmp_path / "a.zip", [("evil.png_.txt", b"x")])
    archive.write_bytes(archive.read_bytes().replace(b"evil.png_", b"evil.png\0"))
    refused(archive, "not a plain relative path")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_come_twice(make):
    refused(make([("a.png", b"1"), ("a.png", b"2")]), "holds 'a.png' twice")
    refused(make([("b/a.png", b"1"), ("b/./a.png", b"2")]), "twice")


def test_a_file_that_is_a_folder_too(make):
    refused(make([("a", b"1"), ("a/b.png", b"2")]), "holds 'a/b.png', and 'a' as a file")
    refused(make([("a/b.png", b"2"), ("a", b"1")]), "holds 'a' twice")


def test_a_file_without_a_name(tmp_path):
    refused(tarred(tmp_path / "a.tar", [(".", b"x")]), "a file without a name")


def test_a_name_that_is_too_long(make):
    refused(make([("n" * 300 + ".png", b"1")]), "File name too long")


# Links and devices


@pytest.mark.parametrize("target", ["/etc", "..", "boots", "a.png"])
def test_links_in_a_zip_and_files_through_them(tmp_path, target):
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    refused(
        zipped(tmp_path / "a.zip", [(link, target), ("link/evil.png", b"x")]), "'link', which is a link or a device"
    )


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["/etc", "..", "boots", "boots/a.png"])
def test_links_in_a_tar_and_files_through_them(tmp_path, kind, target):
    files = [("boots/a.png", b"1"), (entry("link", kind, linkname=target), b""), ("link/evil.png", b"x")]
    refused(tarred(tmp_path / "a.tar", files), "'link', which is a link, a device")


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z"])
def test_devices_in_a_tar(tmp_path, kind):
    refused(
        tarred(tmp_path / "a.tar", [(entry("null", kind, devmajor=1, devminor=3), b"")]), "'null', which is a link, a d"
    )


def test_a_device_in_a_zip(tmp_path):
    device = zipfile.ZipInfo("null")
    device.create_system, device.external_attr = 3, 0o020666 << 16
    refused(zipped(tmp_path / "a.zip", [(device, "")]), "a link or a device")


# Bombs


def test_a_bomb_is_stopped_while_it_expands(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS_FINE", 10**6)
    zeros = bytes(20_000_000)  # 1,000 to 1
    for archive in (
        zipped(tmp_path / "a.zip", [("a.bmp", zeros)]),
        tarred(tmp_path / "a.tgz", [("a.bmp", zeros)], "w:gz"),
    ):
        assert archive.stat().st_size < 25_000
        refused(archive, "as images never do: a zip bomb")
        refused(archive, "holds more than 3,000,000 bytes", max_bytes=3_000_000, max_ratio=2000)
        assert (
            len(extract(archive, tmp_path / archive.suffix, max_ratio=2000).joinpath("a.bmp").read_bytes())
            == 20_000_000
        )


def test_a_few_blank_images_are_not_a_bomb(make, tmp_path):
    files = {f"{i}.bmp": bytes(3_000_000) for i in range(10)}
    assert contents(extract(make(files.items()), tmp_path / "out")) == files


def test_a_bomb_of_many_files(make, tmp_path):
    files = [(f"{i}.png", b"") for i in range(30)]
    refused(make(files), "holds more than 29 files and folders", max_members=29)
    extract(make(files), tmp_path / "out", max_members=30)


def test_folders_without_an_entry_count_too(make):
    refused(make([("a/" * 50 + "a.png", b"")]), "holds more than 50 files and folders", max_members=50)


def test_a_zip_that_lies_about_its_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS_FINE", 10**6)
    archive = zipped(tmp_path / "a.zip", [("a.bmp", bytes(20_000_000))])
    truth, lie = struct.pack("<I", 20_000_000), struct.pack("<I", 10)
    data = archive.read_bytes()
    assert data.count(truth) == 2  # before the data and in the directory
    archive.write_bytes(data.replace(truth, lie))
    refused(archive, "damaged")  # zipfile stops after 10 bytes, whose checksum differs


def test_a_zip_whose_entries_overlap(tmp_path):
    # 100 directory entries for the same 40 MB of zeros: D. Fifield, "A better zip bomb" (2019)
    archive = zipped(tmp_path / "a.zip", [("00.bmp", bytes(40_000_000))])
    data = archive.read_bytes()
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    directory = b"".join(data[start:end].replace(b"00.bmp", b"%02d.bmp" % i) for i in range(100))
    tail = bytearray(data[end:])
    tail[8:16] = struct.pack("<HHI", 100, 100, len(directory))
    archive.write_bytes(data[:start] + directory + tail)
    refused(archive, "damaged|bomb|differ")


def test_a_tar_whose_header_claims_gigabytes(tmp_path):
    # tarfile reads a complete pax header into memory
    header = entry("x", tarfile.XHDTYPE, size=3 * 2**30).tobuf()
    (tmp_path / "a.tar").write_bytes(header + bytes(10_000))
    refused(tmp_path / "a.tar", "has a header of 3,221,225,472 bytes")
    (tmp_path / "a.tgz").write_bytes(
        gzip.compress(entry("x", tarfile.GNUTYPE_LONGNAME, size=2**31).tobuf() + bytes(9999))
    )
    refused(tmp_path / "a.tgz", "has a header of 2,147,483,648 bytes")


def test_a_tar_of_negative_size(tmp_path):
    header = bytearray(entry("a.png", tarfile.REGTYPE, size=0).tobuf())
    header[124:136] = b"\xff" * 11 + b"\x00"  # -256, in base 256
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(1024))
    refused(tmp_path / "a.tar", "")


def test_a_sparse_file_in_a_tar(tmp_path):
    header = entry("a.png", tarfile.GNUTYPE_SPARSE, size=0).tobuf()
    (tmp_path / "a.tar").write_bytes(header + bytes(10_240))
    refused(tmp_path / "a.tar", "sparse")


def test_zeros_after_the_end_count(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS_FINE", 10**6)
    tarred(tmp_path / "inner.tar", [("a.png", b"1")])
    (tmp_path / "a.tgz").write_bytes(gzip.compress((tmp_path / "inner.tar").read_bytes() + bytes(30_000_000)))
    refused(tmp_path / "a.tgz", "a zip bomb")


# Damage


def test_truncated_archives_wherever_they_end(make):
    archive = make([(f"{i}.png", os.urandom(3000)) for i in range(5)])
    data = archive.read_bytes()
    # the padding after a plain tar's end may be missing
    end = archive.read_bytes().rstrip(b"\0") if archive.suffix == ".tar" else data
    for size in [0, 1, 100, 512, 1000, 3584, 4096, len(data) // 2, len(end) - 400, len(end) - 1]:
        archive.write_bytes(data[:size])
        refused(archive, "")


def test_changed_bits(tmp_path):
    for make in ("a.zip", "a.tar.gz"):
        archive = MAKERS[make](tmp_path / make, [("a.png", os.urandom(3000))])
        data = bytearray(archive.read_bytes())
        data[1500] ^= 1
        archive.write_bytes(data)
        refused(archive, "damaged")


def test_an_encrypted_zip(tmp_path):
    archive = zipped(tmp_path / "a.zip", [("a.png", b"secret")])
    data = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    archive.write_bytes(data)
    refused(archive, "'a.png', which is encrypted: extract it by hand")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_rare_compressions(tmp_path, method):
    refused(zipped(tmp_path / "a.zip", [("a.png", b"x" * 100)], compress_type=method), "compression is not supported")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"<html>",
        b"PK",
        b"PK\x03\x04",
        b"\x1f\x8b\x08",
        bytes(100),
        bytes(512) + b"x",
        b"PK\5\6" + bytes(18),
    ],
)
def test_files_that_are_not_archives(tmp_path, data):
    (tmp_path / "a.zip").write_bytes(data)
    refused(tmp_path / "a.zip", "")


def test_an_absent_archive_and_a_folder_that_cannot_be_made(tmp_path):
    with pytest.raises(BadArchive, match="absent.zip: No such file or directory"):
        extract(tmp_path / "absent.zip", tmp_path / "out")
    archive = zipped(tmp_path / "a.zip", [("a.png", b"x")])
    with pytest.raises(BadArchive, match="Not a directory"):
        extract(archive, archive / "out")


def test_an_interruption_leaves_nothing(make, tmp_path, monkeypatch):
    archive = make(PICTURES.items())

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract(archive, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [archive]


def test_members_of_many_lengths(make, tmp_path):
    archive = make((f"{i % 7}/{i}.png", b"x" * (i % 1025)) for i in range(0, 1030, 3))
    assert len(contents(extract(archive, tmp_path / "out"))) == 344
