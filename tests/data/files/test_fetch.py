"""Downloads from a real web server with every fault, in this process and in others."""

import gzip
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from gluon_classics.data import DatasetUnavailable, find_fashion_mnist
from gluon_classics.data.files import fetch
from gluon_classics.data.formats import fashion_mnist

import pytest

pytestmark = pytest.mark.usefixtures("island")
REPO = Path(__file__).resolve().parents[3]
TRAIN_IMAGES = "train-images-idx3-ubyte"


def use_mirrors(monkeypatch, *addresses, **fields):
    source = fashion_mnist.FASHION_MNIST._replace(mirrors=addresses, **fields)
    monkeypatch.setattr(fashion_mnist, "FASHION_MNIST", source)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def complete(folder, contents):
    return names(folder) == sorted(f"{name}.gz" for name in contents) and all(
        gzip.decompress((folder / f"{name}.gz").read_bytes()) == raw for name, raw in contents.items()
    )


def test_downloads_into_mxnets_folder_and_then_finds_the_files_there(tiny, island, web, monkeypatch):
    use_mirrors(monkeypatch, web.mirror("good"))
    assert find_fashion_mnist() == island
    assert complete(island, tiny)
    assert find_fashion_mnist() == island
    assert len(web.asked) == 4


def test_downloads_into_root_if_given(tiny, island, web, monkeypatch, tmp_path):
    use_mirrors(monkeypatch, web.mirror("good"))
    (tmp_path / "mine").mkdir()
    assert find_fashion_mnist(tmp_path / "mine") == tmp_path / "mine"
    assert complete(tmp_path / "mine", tiny)
    assert not island.exists()


def test_replaces_a_damaged_file_in_mxnets_folder(tiny, island, web, monkeypatch):
    use_mirrors(monkeypatch, web.mirror("good"))
    find_fashion_mnist()
    web.asked.clear()
    (island / f"{TRAIN_IMAGES}.gz").write_bytes(b"\x1f\x8bhalf")
    assert find_fashion_mnist() == island
    assert complete(island, tiny)
    assert web.asked == [f"/good/{TRAIN_IMAGES}.gz"]  # the three intact files stay


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
def test_a_fault_is_named_and_the_next_mirror_is_tried(tiny, island, web, monkeypatch, fault, words):
    use_mirrors(monkeypatch, web.mirror(fault))
    with pytest.raises(DatasetUnavailable) as error:
        find_fashion_mnist()
    line = next(line for line in str(error.value).splitlines() if web.mirror(fault) in line)
    assert f"{TRAIN_IMAGES}.gz" in line and words in line
    assert names(island) == []
    use_mirrors(monkeypatch, web.mirror(fault), web.mirror("good"))
    assert find_fashion_mnist() == island
    assert complete(island, tiny)


def test_an_unreachable_mirror_is_named(tiny, monkeypatch):
    use_mirrors(monkeypatch, "http://127.0.0.1:9/", "http://no-such-host.invalid/")
    with pytest.raises(DatasetUnavailable) as error:
        find_fashion_mnist()
    lines = str(error.value).splitlines()
    assert any(f"http://127.0.0.1:9/{TRAIN_IMAGES}.gz: no connection" in x and "Connection refused" in x for x in lines)
    assert any(f"http://no-such-host.invalid/{TRAIN_IMAGES}.gz: no connection" in line for line in lines)


def test_a_set_may_come_from_two_mirrors(tiny, island, web, monkeypatch):
    labels_first = tuple(sorted(fashion_mnist.FASHION_MNIST.files, key=lambda spec: "images" in spec.name))
    use_mirrors(monkeypatch, web.mirror("labels-only"), web.mirror("good"), files=labels_first)
    assert find_fashion_mnist() == island
    assert complete(island, tiny)
    assert sum(path.startswith("/good/") for path in web.asked) == 2


def test_patience_ends_a_download_that_drips(tiny, web, monkeypatch):
    monkeypatch.setattr(fetch, "PATIENCE", 1)
    use_mirrors(monkeypatch, web.mirror("drip"), files=fashion_mnist.FASHION_MNIST.files[3:])
    with pytest.raises(DatasetUnavailable, match="too slow: .* after 1 s"):
        find_fashion_mnist()


def test_after_a_long_silence_no_further_mirror_is_tried(tiny, web, monkeypatch):
    monkeypatch.setattr(fetch, "SILENCE", 0.5)
    use_mirrors(monkeypatch, web.mirror("hang"), web.mirror("good"))
    with pytest.raises(DatasetUnavailable, match="good/: not tried, because no mirror had answered within 0.5 s"):
        find_fashion_mnist()


def test_a_terminal_shows_a_progress_bar(tiny, web, monkeypatch, capsys):
    monkeypatch.setattr(fetch, "tqdm", lambda *args, **kwargs: BAR(*args, **{**kwargs, "disable": False}))
    use_mirrors(monkeypatch, web.mirror("good"))
    find_fashion_mnist()
    assert f"{TRAIN_IMAGES}.gz:   0%" in capsys.readouterr().err


BAR = fetch.tqdm

CHILD = """
import json, sys
from gluon_classics.data.files import sources
from gluon_classics.data.formats import fashion_mnist
from gluon_classics.data.files.verified import FileSpec
table = json.loads(sys.argv[1])
sources.SYSTEM_FOLDERS = ()
fashion_mnist.FASHION_MNIST = fashion_mnist.FASHION_MNIST._replace(
    files=tuple(FileSpec(*row) for row in table["files"]), mirrors=tuple(table["mirrors"]))
print(fashion_mnist.find_fashion_mnist())
"""


def child(*addresses):
    table = {"files": [list(spec) for spec in fashion_mnist.FASHION_MNIST.files], "mirrors": addresses}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(table)],
        cwd=REPO,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_two_processes_may_download_at_the_same_time(tiny, island, web):
    # the server answers each file only after both processes have asked for it
    both = [child(web.mirror("together")) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out.strip(), err) == (0, str(island), "")
    assert len(web.asked) == 8
    assert complete(island, tiny)


def test_a_killed_download_leaves_nothing_that_is_used(tiny, island, web, monkeypatch):
    process = child(web.mirror("hang"))
    limit = time.monotonic() + 60
    while not web.asked and time.monotonic() < limit:
        time.sleep(0.05)
    time.sleep(0.3)  # half of the body was sent
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGKILL
    assert not [name for name in names(island) if name.endswith("ubyte.gz")]
    use_mirrors(monkeypatch, web.mirror("good"))
    assert find_fashion_mnist() == island
    assert complete(island, tiny)


def test_the_partial_file_of_a_killed_write_is_never_read(tiny, island, web, monkeypatch):
    island.mkdir(parents=True)
    (island / f".{TRAIN_IMAGES}.gz.123-abcd.part").write_bytes(gzip.compress(tiny[TRAIN_IMAGES])[:100])
    use_mirrors(monkeypatch, web.mirror("good"))
    assert find_fashion_mnist() == island
    assert gzip.decompress((island / f"{TRAIN_IMAGES}.gz").read_bytes()) == tiny[TRAIN_IMAGES]
