"""Finding, fetching and verifying: the order, every fault by name, real processes against a real web server."""

import gzip
import hashlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from gluon_classics.data import DatasetUnavailable, find_fashion_mnist
from gluon_classics.data.files import fetch, sources
from gluon_classics.data.files import verified as files
from gluon_classics.data.files.verified import DamagedFile
from gluon_classics.data.formats import fashion_mnist

import pytest

pytestmark = pytest.mark.usefixtures("island")
REPO = Path(__file__).resolve().parents[3]
TRAIN_IMAGES = "train-images-idx3-ubyte"


def lay(folder, contents, compress=gzip.compress, suffix=".gz"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in contents.items():
        (folder / (name + suffix)).write_bytes(compress(raw))
    return folder


def homes(monkeypatch, *addresses):
    monkeypatch.setattr(fashion_mnist, "FASHION_MNIST", fashion_mnist.FASHION_MNIST._replace(homes=addresses))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def complete(folder, contents):
    return names(folder) == sorted(f"{name}.gz" for name in contents) and all(
        gzip.decompress((folder / f"{name}.gz").read_bytes()) == raw for name, raw in contents.items()
    )


# The order of the places


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
    assert names(empty) == []


def test_mxnets_folder_is_where_mxnet_has_it(monkeypatch):
    from mxnet.base import data_dir

    for mxnet_home in ("/somewhere/else", None):
        monkeypatch.delenv("MXNET_HOME")
        if mxnet_home:
            monkeypatch.setenv("MXNET_HOME", mxnet_home)
        assert sources.mxnet_data_folder("fashion-mnist") == Path(data_dir(), "datasets", "fashion-mnist")


def test_files_may_be_recompressed_or_plain(tiny, tmp_path):
    assert find_fashion_mnist(lay(tmp_path / "a", tiny, lambda raw: gzip.compress(raw, 1)))
    assert find_fashion_mnist(lay(tmp_path / "b", tiny, bytes, suffix=""))


def test_what_is_found_comes_back_decompressed(tiny, tmp_path):
    folder, raw = sources.find(fashion_mnist.FASHION_MNIST, lay(tmp_path / "a", tiny))
    assert raw == tiny


# Faults on disk


@pytest.mark.parametrize("root", ["nowhere", "file"])
def test_a_root_that_is_no_folder_is_refused(tiny, tmp_path, root):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match=f"data folder .*{root} (does not exist|is not a folder); name a folder"):
        find_fashion_mnist(tmp_path / root)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc, which nobody can write, root included")
def test_a_root_that_cannot_be_written_is_refused(tiny, web, monkeypatch):
    homes(monkeypatch, web.home("good"))
    with pytest.raises(ValueError, match="data folder /proc/self: cannot be written .*fetched into it; name a"):
        find_fashion_mnist("/proc/self")
    assert web.asked == []


def test_mxnets_folder_that_cannot_be_written_is_one_of_the_reasons(tiny, island, tmp_path):
    (tmp_path / "mxnet").write_text("a file where the folder should be")
    with pytest.raises(DatasetUnavailable, match=f"folder {island}: cannot be written"):
        find_fashion_mnist()


DAMAGE = [
    (lambda packed, other: packed[: len(packed) // 2], "truncated: expected a whole gzip stream"),
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
def test_a_damaged_file_in_root_is_an_error_by_name(tiny, island, tmp_path, damage, words):
    lay(island, tiny)  # a good copy elsewhere does not make up for it
    root = lay(tmp_path / "mine", tiny)
    path = root / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(damage(path.read_bytes(), (root / "train-labels-idx1-ubyte.gz").read_bytes()))
    before = path.read_bytes()
    with pytest.raises(DamagedFile, match=f"^{path}: (.*; )?{words}|^{path}: .*{words}"):
        find_fashion_mnist(root)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("damage", "words"), DAMAGE[:2])
def test_a_damaged_file_elsewhere_is_warned_of_and_passed_over(tiny, island, tmp_path, caplog, damage, words):
    lay(island, tiny)
    path = island / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(damage(path.read_bytes(), b""))
    system = lay(tmp_path / "system" / "fashion-mnist", tiny)
    with caplog.at_level(logging.WARNING):
        assert find_fashion_mnist() == system
    assert f"passing over a damaged file: {path}" in caplog.text


def test_a_damaged_file_in_mxnets_folder_is_replaced_by_fetching(tiny, island, web, monkeypatch):
    lay(island, tiny)
    (island / f"{TRAIN_IMAGES}.gz").write_bytes(b"\x1f\x8bhalf")
    homes(monkeypatch, web.home("good"))
    assert find_fashion_mnist() == island
    assert complete(island, tiny)
    assert web.asked == [f"/good/{TRAIN_IMAGES}.gz"]  # the three good ones stay


def test_a_gzip_bomb_is_not_unpacked():
    bomb = gzip.compress(bytes(50_000_000))
    assert len(files.decompress(bomb, "bomb", limit=1000)) == 1001


# Fetching


def test_fetches_into_mxnets_folder_and_then_finds_it_there(tiny, island, web, monkeypatch):
    homes(monkeypatch, web.home("good"))
    assert find_fashion_mnist() == island
    assert complete(island, tiny)
    assert find_fashion_mnist() == island
    assert len(web.asked) == 4


def test_fetches_into_root_where_one_is_given(tiny, island, web, monkeypatch, tmp_path):
    homes(monkeypatch, web.home("good"))
    (tmp_path / "mine").mkdir()
    assert find_fashion_mnist(tmp_path / "mine") == tmp_path / "mine"
    assert complete(tmp_path / "mine", tiny)
    assert not island.exists()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("missing", "the server answered 404 Not Found"),
        ("half", "truncated: the connection closed before the end"),
        ("hang", "no data for 1 s"),
        ("page", "found an HTML or XML page"),
        ("swapped", "found idx labels 20"),
        ("endless", "expected at most 1,064,272 bytes, found more"),
    ],
)
def test_the_next_home_is_asked_and_the_fault_is_named(tiny, island, web, monkeypatch, tmp_path, fault, words):
    homes(monkeypatch, web.home(fault))
    with pytest.raises(DatasetUnavailable) as error:
        find_fashion_mnist()
    line = next(line for line in str(error.value).splitlines() if web.home(fault) in line)
    assert f"{TRAIN_IMAGES}.gz" in line and words in line
    assert names(island) == []
    homes(monkeypatch, web.home(fault), web.home("good"))
    assert find_fashion_mnist() == island
    assert complete(island, tiny)


def test_an_unreachable_home_is_named(tiny, monkeypatch):
    homes(monkeypatch, "http://127.0.0.1:9/", "http://no-such-host.invalid/")
    with pytest.raises(DatasetUnavailable) as error:
        find_fashion_mnist()
    assert f"http://127.0.0.1:9/{TRAIN_IMAGES}.gz: no connection" in str(error.value)
    assert "Connection refused" in str(error.value)
    assert f"http://no-such-host.invalid/{TRAIN_IMAGES}.gz: no connection" in str(error.value)


def test_two_homes_can_make_up_one_set(tiny, island, web, monkeypatch):
    specs = fashion_mnist.FASHION_MNIST.files
    labels_first = tuple(sorted(specs, key=lambda spec: "images" in spec.name))
    monkeypatch.setattr(
        fashion_mnist,
        "FASHION_MNIST",
        fashion_mnist.FASHION_MNIST._replace(files=labels_first, homes=(web.home("labels-only"), web.home("good"))),
    )
    assert find_fashion_mnist() == island
    assert complete(island, tiny)
    assert sum(path.startswith("/good/") for path in web.asked) == 2


def test_the_overall_patience_ends_a_download_that_drips(tiny, web, monkeypatch):
    monkeypatch.setattr(fetch, "PATIENCE", 1)
    monkeypatch.setattr(
        fashion_mnist,
        "FASHION_MNIST",
        fashion_mnist.FASHION_MNIST._replace(files=fashion_mnist.FASHION_MNIST.files[3:], homes=(web.home("drip"),)),
    )
    with pytest.raises(DatasetUnavailable, match="too slow: the 1 s for all files were over"):
        find_fashion_mnist()


def test_after_a_long_silence_no_further_home_is_asked(tiny, web, monkeypatch):
    monkeypatch.setattr(fetch, "SILENCE", 0.5)
    homes(monkeypatch, web.home("hang"), web.home("good"))
    with pytest.raises(DatasetUnavailable, match="good/: not asked, since no home had answered within 0.5 s"):
        find_fashion_mnist()


def test_nothing_works_lists_all_that_was_tried_and_the_ways_out(tiny, island, web, monkeypatch, tmp_path):
    homes(monkeypatch, web.home("missing"), web.home("page"))
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError) as error:
        find_fashion_mnist(tmp_path / "mine")
    assert type(error.value) is DatasetUnavailable
    lines = str(error.value).splitlines()
    tried = [line for line in lines if line.startswith("  - ")]
    for line, words in zip(
        tried,
        [
            f"folder {tmp_path / 'mine'}: no {TRAIN_IMAGES}.gz",
            f"folder {island}: no such",
            "system/fashion-mnist: no such folder",
            web.home("missing"),
            web.home("page"),
            "apt-get download dataset-fashion-mnist: no apt-get and no dpkg-deb",
        ],
    ):
        assert words in line
    assert len(tried) == 6
    for way, words in (
        (1, "apt-get install dataset-fashion-mnist"),
        (2, f"by hand from https://.* into {tmp_path / 'mine'}"),
        (3, "--dataset fashion-mnist-sample"),
    ):
        assert re.search(words, next(line for line in lines if line.startswith(f"  {way}. ")))


# Real processes

CHILD = """
import json, sys
from gluon_classics.data.files import sources
from gluon_classics.data.formats import fashion_mnist
from gluon_classics.data.files.verified import FileSpec
table = json.loads(sys.argv[1])
sources.SYSTEM_FOLDERS = ()
fashion_mnist.FASHION_MNIST = fashion_mnist.FASHION_MNIST._replace(
    files=tuple(FileSpec(*row) for row in table["files"]), homes=tuple(table["homes"]))
print(fashion_mnist.find_fashion_mnist())
"""


def child(*addresses):
    table = {"files": [list(spec) for spec in fashion_mnist.FASHION_MNIST.files], "homes": addresses}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(table)],
        cwd=REPO,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_two_processes_fetching_at_once_do_no_harm(tiny, island, web):
    # the server answers each file only when both processes have asked for it
    both = [child(web.home("together")) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out.strip(), err) == (0, str(island), "")
    assert len(web.asked) == 8
    assert complete(island, tiny)


def test_a_killed_download_leaves_nothing_that_is_used(tiny, island, web, monkeypatch):
    process = child(web.home("hang"))
    limit = time.monotonic() + 60
    while not web.asked and time.monotonic() < limit:
        time.sleep(0.05)
    time.sleep(0.3)  # half of the body is on its way
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGKILL
    assert not [name for name in names(island) if name.endswith("ubyte.gz")]
    homes(monkeypatch, web.home("good"))
    assert find_fashion_mnist() == island
    assert complete(island, tiny)


def test_the_half_file_of_a_killed_write_is_never_read(tiny, island, web, monkeypatch):
    (island).mkdir(parents=True)
    (island / f".{TRAIN_IMAGES}.gz.123-abcd.part").write_bytes(gzip.compress(tiny[TRAIN_IMAGES])[:100])
    homes(monkeypatch, web.home("good"))
    assert find_fashion_mnist() == island
    assert gzip.decompress((island / f"{TRAIN_IMAGES}.gz").read_bytes()) == tiny[TRAIN_IMAGES]


# Debian's package: stand-ins for apt-get and dpkg-deb, which do as little as those would

APT = """#!{python}
import pathlib, shutil, sys
with open({log!r}, "a") as log:
    print(*sys.argv[1:], file=log)
fault = {fault!r}
if fault == "hangs":
    import time
    time.sleep(30)
if fault == "unknown" or fault == "no lists" and not any("Dir::State::lists" in word for word in sys.argv):
    print("noise", "E: Unable to locate package dataset-fashion-mnist", sep="\\n", file=sys.stderr)
    sys.exit(100)
if sys.argv[1] == "download":
    pathlib.Path("dataset-fashion-mnist_1_all.deb").write_text("a deb")
"""
DPKG = """#!{python}
import os, shutil, sys
verb, deb, tree = sys.argv[1:]
assert verb == "-x" and open(deb).read() == "a deb"
shutil.copytree({packed!r}, tree + "/usr/share/datasets/fashion-mnist")
"""


@pytest.fixture
def apt(tiny, tmp_path):
    def install(fault=""):
        values = {
            "python": sys.executable,
            "log": str(tmp_path / "apt.log"),
            "fault": fault,
            "packed": str(lay(tmp_path / "packed", tiny)),
        }
        for name, text in (("apt-get", APT), ("dpkg-deb", DPKG)):
            (tmp_path / "bin" / name).write_text(text.format(**values))
            (tmp_path / "bin" / name).chmod(0o755)
        return tmp_path / "packed", tmp_path / "apt.log"

    return install


def test_the_debian_package_is_the_last_resort(tiny, island, apt, web, monkeypatch):
    _, log = apt()
    homes(monkeypatch, web.home("missing"))
    assert find_fashion_mnist() == island
    assert complete(island, tiny)
    assert log.read_text().splitlines() == ["download -q dataset-fashion-mnist"]
    assert len(web.asked) == 1


def test_without_package_lists_it_fetches_its_own(tiny, island, apt):
    _, log = apt("no lists")
    assert find_fashion_mnist() == island
    assert complete(island, tiny)
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["download", "update", "download"]


def test_the_package_is_not_asked_where_a_home_answers(island, apt, web, monkeypatch):
    _, log = apt()
    homes(monkeypatch, web.home("good"))
    assert find_fashion_mnist() == island
    assert not log.exists()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("unknown", "apt-get update failed with exit status 100: E: Unable to locate package"),
        ("hangs", "took longer than 1 s"),
        ("damaged", "dataset-fashion-mnist: /usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz: expected"),
    ],
)
def test_a_package_that_cannot_be_used_is_a_reason(island, apt, monkeypatch, fault, words):
    packed, _ = apt(fault)
    monkeypatch.setattr(fetch, "PATIENCE", 1 if fault == "hangs" else 60)
    if fault == "damaged":
        (packed / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(DatasetUnavailable) as error:
        find_fashion_mnist()
    assert words in str(error.value)
    assert names(island) == []


# The table


def test_the_table_is_the_data_sets_own():
    """Sizes follow from the README's counts: 60,000 and 10,000 images of 28x28, headers of 16 and 8 bytes."""
    from gluon_classics.data.formats.fashion_mnist import FASHION_MNIST

    assert {spec.name: spec.size for spec in FASHION_MNIST.files} == {
        "train-images-idx3-ubyte": 16 + 60_000 * 784,
        "train-labels-idx1-ubyte": 8 + 60_000,
        "t10k-images-idx3-ubyte": 16 + 10_000 * 784,
        "t10k-labels-idx1-ubyte": 8 + 10_000,
    }
    assert all(len(bytes.fromhex(spec.sha256)) == hashlib.sha256().digest_size for spec in FASHION_MNIST.files)
