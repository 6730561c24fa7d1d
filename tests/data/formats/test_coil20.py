"""COIL-20 from archives and folders, with every fault by name, and the real data set if it is available."""

import io
import os
import zipfile
import zlib
from pathlib import Path

from gluon_classics.data import DamagedFile, load_dataset
from gluon_classics.data.formats.coil20 import FILES, load_coil20
from gluon_classics.data.image_options import ImageOptions

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.usefixtures("island")
REAL = Path(os.environ.get("GLUON_CLASSICS_TEST_DATA", "")) / "coil-20-proc.zip"
needs_real = pytest.mark.skipif(not REAL.is_file(), reason="no coil-20-proc.zip in the folder GLUON_CLASSICS_TEST_DATA")


def png(pixels):
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def jpeg(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="module")
def pictures():
    """For each file name, an image whose first two pixels are the object and the pose."""
    made = {}
    for number in range(1, 21):
        for pose in range(72):
            pixels = np.full((128, 128), 100, np.uint8)
            pixels[0, :2] = number, pose
            made[f"obj{number}__{pose}.png"] = png(pixels)
    return made


def chunk(kind, data):
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def zipped(path, contents, folder="coil-20-proc/"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in contents.items():
            archive.writestr(folder + name, raw)
    return path


def laid(folder, contents):
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in contents.items():
        (folder / name).write_bytes(raw)
    return folder


def fault(root):
    with pytest.raises(DamagedFile) as error:
        load_coil20(root)
    return str(error.value)


# Finding


def check_whole(dataset):
    assert dataset.images.shape == (1440, 128, 128, 1) and dataset.images.dtype == np.uint8
    objects, poses = dataset.images[:, 0, 0, 0].tolist(), dataset.images[:, 0, 1, 0].tolist()
    # objects are sorted as numbers: obj2 before obj10
    assert objects == [number for number in range(1, 21) for _ in range(72)]
    assert poses == list(range(72)) * 20
    assert dataset.labels.tolist() == [number - 1 for number in objects]
    assert dataset.classes == tuple(f"obj{number}" for number in range(1, 21))
    assert dataset.files == tuple(f"obj{number}__{pose}.png" for number, pose in zip(objects, poses))
    assert dataset.name == "coil20"


def test_is_read_from_the_archive_and_nothing_is_written(pictures, tmp_path):
    path = zipped(tmp_path / "mine" / "coil-20-proc.zip", pictures)
    dataset = load_coil20(path)
    check_whole(dataset)
    assert dataset.origin == str(path)
    check_whole(load_coil20(str(tmp_path / "mine")))  # the folder that holds it
    assert os.listdir(tmp_path / "mine") == ["coil-20-proc.zip"]


def test_the_archive_may_have_been_packed_again(pictures, tmp_path):
    path = tmp_path / "again.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "packed again")
        archive.mkdir("photos/") if hasattr(archive, "mkdir") else archive.writestr("photos/", "")
        for name, raw in reversed(list(pictures.items())):
            archive.writestr(f"photos/{name}", raw)
            archive.writestr(f"__MACOSX/photos/._{name}", b"resource fork")
        archive.writestr("photos/.DS_Store", b"x")
    check_whole(load_coil20(path))


def test_is_read_from_a_folder_and_from_the_folder_in_it(pictures, tmp_path):
    folder = laid(tmp_path / "mine" / "coil-20-proc", {**pictures, "readme.txt": b"x", "._obj1__0.png": b"x"})
    (folder / "more").mkdir()
    for root in (folder, tmp_path / "mine"):
        dataset = load_coil20(root)
        check_whole(dataset)
        assert dataset.origin == str(folder)


def test_without_a_root_mxnets_folder_is_searched(pictures, tmp_path):
    with pytest.raises(
        ValueError, match=r"COIL-20 is not in .*coil20.*; download coil-20-proc.zip .* from https://www.cs"
    ):
        load_coil20()
    zipped(tmp_path / "mxnet" / "datasets" / "coil20" / "coil-20-proc.zip", pictures)
    check_whole(load_coil20())


@pytest.mark.parametrize(
    ("root", "words"), [("nowhere", "nowhere does not exist; download"), ("empty", "is not in .*empty;")]
)
def test_the_error_says_how_to_download_it(tmp_path, root, words):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=f"{words}.*--data-dir"):
        load_coil20(tmp_path / root)


def test_load_dataset_splits_it(pictures, tmp_path):
    root = zipped(tmp_path / "coil-20-proc.zip", pictures)
    for options, sizes in (
        (None, (1300, 140)),
        (ImageOptions("pose-block", seed=4), (1260, 140)),
        (ImageOptions("leave-poses", pose_step=4), (360, 1080)),
    ):
        train, test = load_dataset("coil20", root, options)
        assert (len(train), len(test)) == sizes
        for part in (train, test):
            named = [f"obj{image[0, 0, 0]}__{image[0, 1, 0]}.png" for image in part.images]
            assert list(part.files) == named


# Faults


def test_all_faults_are_listed_together(pictures, tmp_path):
    grey = np.zeros((128, 128), np.uint8)
    wide = np.zeros((128, 127), np.uint8)
    damaged = {
        "obj1__3.png": (b"", "is empty (0 bytes)"),
        "obj1__4.png": (b"GIF89a" + bytes(50), "is a damaged GIF"),
        "obj1__5.png": (jpeg(grey), "a JPEG image"),
        "obj2__0.png": (png(wide), "127x128 pixels"),
        "obj2__1.png": (png(np.zeros((128, 128, 3), np.uint8)), "mode RGB, 8 bits"),
        "obj2__2.png": (png(grey.astype(np.uint16)), "mode I;16, 16 bits"),
        "obj2__3.png": (png(Image.fromarray(grey).convert("P")), "mode P, 8 bits"),
        "obj2__4.png": (png(Image.fromarray(grey).convert("LA")), "mode LA, 8 bits"),
        "obj2__5.png": (png(Image.fromarray(grey).convert("1")), "mode 1, 1 bits"),
        "obj2__6.png": (png(Image.new("L", (20_000, 20_000))), "more than 65,536 bytes"),
        "obj2__7.png": (pictures["obj2__7.png"][:60], "is damaged"),
        "obj2__8.png": (pictures["obj2__8.png"] + bytes(70_000), "more than 65,536 bytes"),
    }
    contents = {**pictures, **{name: raw for name, (raw, _) in damaged.items()}}
    for pose in range(72):
        del contents[f"obj7__{pose}.png"]
    del contents["obj9__41.png"], contents["obj12__0.png"]
    contents.update({"obj21__0.png": b"", "obj3__72.png": b"", "obj3__01.png": b"", "cat.PNG": b""})
    for root in (laid(tmp_path / "mine", contents), zipped(tmp_path / "mine.zip", contents)):
        words = fault(root)
        assert words.startswith(
            f"{root} is not COIL-20, 20 objects in 72 poses: missing: all of obj7, obj9__41.png, obj12__0"
        )
        assert "; not of the data set: " in words
        strange = words.split("not of the data set: ")[1].split(";")[0]
        assert sorted(strange.split(", ")) == ["cat.PNG", "obj21__0.png", "obj3__01.png", "obj3__72.png"]
        listed = words.split("128x128 pixels: ")[1].split(". Download coil-20-proc.zip again from https")[0]
        assert len(listed.split("), ")) == len(damaged)
        for name, (_, reason) in damaged.items():
            assert f"{name} ({reason}" in listed, (name, listed)


def test_the_bits_of_a_grey_image_are_checked(pictures, tmp_path):
    """Pillow opens 4 bits as mode L, scaled to 0 to 255."""
    header = np.array([128, 128], ">u4").tobytes() + bytes([4, 0, 0, 0, 0])
    rows = zlib.compress(bytes(128 * (1 + 64)))
    grey = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    assert Image.open(io.BytesIO(grey)).mode == "L"
    words = fault(laid(tmp_path / "mine", {**pictures, "obj5__5.png": grey}))
    assert "obj5__5.png (mode L, 4 bits)" in words


def test_refuses_an_archive_with_a_duplicate_image(pictures, tmp_path):
    path = zipped(tmp_path / "two.zip", pictures)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("copy/obj4__4.png", pictures["obj4__4.png"])
    assert "duplicate: obj4__4.png" in fault(path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root can read everything")
def test_an_unreadable_image_is_named(pictures, tmp_path):
    root = laid(tmp_path / "mine", pictures)
    (root / "obj1__0.png").chmod(0)
    assert "obj1__0.png (Permission denied)" in fault(root)


def test_a_folder_in_place_of_an_image_is_named(pictures, tmp_path):
    root = laid(tmp_path / "mine", pictures)
    (root / "obj1__0.png").unlink()
    (root / "obj1__0.png").mkdir()
    assert "obj1__0.png (Is a directory)" in fault(root)


def test_hostile_archives_are_refused_and_write_nothing(pictures, tmp_path):
    others = {name: raw for name, raw in pictures.items() if name != "obj1__0.png"}
    # a bomb: 200 MB, compressed to 200 kB
    path = zipped(tmp_path / "mine" / "bomb.zip", others)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("coil-20-proc/obj1__0.png", bytes(200_000_000))
    assert "obj1__0.png (more than 65,536 bytes)" in fault(path)
    # names that lead out of the folder do no harm
    path = zipped(tmp_path / "mine" / "out.zip", pictures, folder="../../")
    check_whole(load_coil20(path))
    # marked as encrypted
    path = zipped(tmp_path / "mine" / "locked.zip", pictures)
    raw = bytearray(path.read_bytes())
    raw[6] |= 1  # the flag in the first file's header
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(raw)
    assert "is encrypted, password required" in fault(path)
    # a changed bit
    path = zipped(tmp_path / "mine" / "bit.zip", pictures)
    raw = bytearray(path.read_bytes())
    raw[120] ^= 1
    path.write_bytes(raw)
    assert "obj1__0.png (Bad CRC-32 for file" in fault(path)
    assert sorted(os.listdir(tmp_path / "mine")) == ["bit.zip", "bomb.zip", "locked.zip", "out.zip"]
    assert os.listdir(tmp_path) == ["mine"]


@pytest.mark.parametrize("raw", [b"", b"no archive", b"PK\x03\x04" + bytes(100)])
def test_refuses_a_file_that_is_not_an_archive(tmp_path, raw):
    (tmp_path / "x.zip").write_bytes(raw)
    assert fault(tmp_path / "x.zip").startswith(f"{tmp_path / 'x.zip'}: not a valid zip archive: ")


def test_refuses_coil_100(pictures, tmp_path):
    """COIL-100 names its poses in degrees, and has 100 objects."""
    contents = {f"obj{number}__{5 * pose}.png": b"" for number in range(1, 101) for pose in range(72)}
    words = fault(zipped(tmp_path / "coil-100.zip", contents, folder="coil-100/"))
    assert "missing: obj1__1.png, obj1__2.png" in words
    assert "not of the data set: " in words and len(words) < 20_000


# The real data set


@pytest.fixture(scope="module")
def real():
    return load_coil20(REAL)


@needs_real
def test_the_real_pixels_equal_opencvs(real):
    cv2 = pytest.importorskip("cv2", reason="needs OpenCV to compare with")
    assert real.files == FILES
    with zipfile.ZipFile(REAL) as archive:
        assert len(archive.namelist()) == 1440
        for image, file in zip(real.images, real.files):
            packed = np.frombuffer(archive.read(f"coil-20-proc/{file}"), np.uint8)
            assert (cv2.imdecode(packed, cv2.IMREAD_UNCHANGED) == image[..., 0]).all(), file


@needs_real
def test_the_real_data_set_has_20_objects_in_72_poses(real):
    assert np.bincount(real.labels).tolist() == [72] * 20
    assert len({image.tobytes() for image in real.images}) == 1440


@needs_real
def test_neighbouring_poses_are_nearly_the_same_image(real):
    """Why a random split is too easy: nearly every image changes less by 5 degrees than by 90."""
    images = real.images.reshape((20, 72, -1)).astype(np.float32)
    near, far = (np.abs(images - np.roll(images, step, axis=1)).mean(axis=2) for step in (1, 18))
    assert (near < far).mean() > 0.95
