"""python -m gluon_classics predict, from the command line to the output."""

import csv
import importlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from gluon_classics.__main__ import main
from gluon_classics.data import load_dataset

import pytest
from matplotlib import image
from PIL import Image

ROOT = Path(__file__).parents[2]


def predict(capsys, *argv, status=0):
    """Return stdout and stderr."""
    assert main(["predict", *map(str, argv)]) == status
    return capsys.readouterr()


def refused(capsys, *argv):
    out, err = predict(capsys, *argv, status=2)
    assert out == "" and "Traceback" not in err
    return err.splitlines()[-1].removeprefix("gluon_classics: error: ")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of do_exp.py, and its test images in folders named like their classes."""
    folder = tmp_path_factory.mktemp("trained")
    flags = ["--dataset", "fashion-mnist-sample", "--limit-train", "512", "--limit-test", "100", "--epochs", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "experiments"))
        do_exp = importlib.import_module("do_exp")
        assert do_exp.main([*flags, "--normalize", "--resize", "36", "--out", str(folder / "run")]) == 0
    test = load_dataset("fashion-mnist-sample")[1].take(100)
    for i, label in enumerate(test.labels):
        place = folder / "photos" / test.classes[label]  # T-shirt/top is a folder in a folder
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(test.images[i, :, :, 0]).save(place / f"{i}.png")
    return folder


def test_the_accuracy_is_that_of_the_run(trained, capsys):
    result = json.loads((trained / "run" / "result.json").read_text())
    out, err = predict(capsys, trained / "run", trained / "photos", "--json")
    right = round(100 * result["test_acc"])
    assert 20 < right < 100
    assert err == f"accuracy {right / 100:.4f}: {right} of 100 pictures in folders named after a class\n"
    entries = json.loads(out)
    assert len(entries) == 100 and all(len(entry["predictions"]) == 5 for entry in entries)
    assert sum(entry["predictions"][0]["class"] == entry["label"] for entry in entries) == right
    assert all(f"/{entry['label']}/" in entry["file"] for entry in entries)


def test_text(trained, capsys):
    out, _ = predict(capsys, trained / "run", trained / "photos", "--top", "2")
    blocks = re.findall(r"^\S.*\.png(?:  WRONG: is .*)?\n(?:  +\d+\.\d\d%  .*\n){2}", out, re.M)
    *rest, last = out.splitlines()
    assert len(blocks) == 100 and len(rest) == 300
    accuracy, right = re.fullmatch(
        r"accuracy (0\.\d+): (\d+) of 100 pictures in folders named after a class", last
    ).groups()
    assert sum("  WRONG: is " in block for block in blocks) == 100 - int(right) == round(100 * (1 - float(accuracy)))


def test_a_sheet(trained, tmp_path, capsys):
    sheet = tmp_path / "sheet.PNG"
    predict(capsys, trained / "run", trained / "photos", "--sheet", sheet)
    pixels = (image.imread(sheet)[..., :3] * 255).round().astype(int)
    assert ((pixels == (176, 0, 32)).all(axis=2)).sum() > 1000  # frames
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.PNG"]


def test_fewer_classes_than_asked_for(run, picture, tmp_path, capsys):
    out, err = predict(capsys, run, picture(tmp_path / "ein Bild.png"))
    name, *lines = out.splitlines()
    assert name == str(tmp_path / "ein Bild.png") and err == ""
    shares = {line.split("%  ")[1]: float(line.split("%")[0]) for line in lines}
    assert set(shares) == {"Katze", "дом", "b/c"} and sum(shares.values()) == pytest.approx(100, abs=0.02)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_csv(run, picture, tmp_path, capsys):
    picture(tmp_path / "f" / "Katze" / "a, b.png")
    picture(tmp_path / "f" / "c.png", seed=1)
    (tmp_path / "f" / "bad.png").write_bytes(b"")
    out, err = predict(capsys, run, tmp_path / "f", "--csv", "--top", "2", status=1)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(Path(row["file"]).name, row["label"], row["rank"]) for row in rows] == [
        ("bad.png", "", ""),
        ("c.png", "", "1"),
        ("c.png", "", "2"),
        ("a, b.png", "Katze", "1"),
        ("a, b.png", "Katze", "2"),
    ]
    assert rows[0]["error"] == "is empty (0 bytes)" and rows[0]["class"] == rows[0]["probability"] == ""
    assert all(row["error"] == "" and 0 <= float(row["probability"]) <= 1 for row in rows[1:])
    assert (
        f"{tmp_path}/f/bad.png: is empty (0 bytes)\n" in err and "of 1 pictures in folders named after a class" in err
    )


def test_bad_pictures_are_named_and_the_others_predicted(run, picture, tmp_path, capsys):
    good, bad, gone = picture(tmp_path / "good.png"), tmp_path / "bad.png", tmp_path / "gone.png"
    bad.write_bytes(good.read_bytes()[:300])
    out, err = predict(capsys, run, bad, good, gone, "--json", status=1)
    entries = json.loads(out)
    assert [entry["file"] for entry in entries] == [str(bad), str(good), str(gone)]
    assert [len(entry["predictions"]) for entry in entries] == [0, 3, 0]
    assert [("error" in entry) for entry in entries] == [True, False, True]
    first, second = err.splitlines()
    assert first.startswith(f"{bad}: is damaged") and second == f"{gone}: cannot be read: No such file or directory"
    out, _ = predict(capsys, run, bad, status=1)
    assert out == ""


def test_skipped_files_are_counted(run, picture, tmp_path, capsys):
    folder = tmp_path / "f"
    picture(folder / "a.png")
    (folder / "b.png").symlink_to("a.png")
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden.png").write_text("x")
    _, err = predict(capsys, run, folder, folder, folder / "a.png")
    assert err == "skipped: 1 without a picture's suffix, 1 hidden, 2 named before\n"


def test_file_names_that_cannot_be_printed(run, picture, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-x.png", "写真.png", "\x1b[2Jred.png", os.fsdecode(b"\xff.png")):
        picture(Path(name))
    out, _ = predict(capsys, run, "--json", "--top", "1", "--", "-x.png")
    assert json.loads(out)[0]["file"] == "-x.png"
    for form, escape in (("--csv", r"\udcff.png"), ("--json", r"\udcff.png")):
        out, _ = predict(capsys, run, form, ".")
        assert escape in out
    out, _ = predict(capsys, run, ".")
    assert "\x1b" not in out and r"\x1b[2Jred.png" in out and "写真.png" in out and r"\xff.png" in out
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert main(["predict", str(run), ".", "--csv"]) == 0
    sys.stdout.seek(0)
    assert r"\u5199\u771f.png" in sys.stdout.read()


def test_an_unfinished_run(run, picture, tmp_path, capsys):
    (run / "result.json").unlink()
    out, err = predict(capsys, run, picture(tmp_path / "a.png"))
    assert "the run is not finished" in err and "a.png" in out


def test_no_pictures_and_no_run(run, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert refused(capsys, run, tmp_path / "empty") == f"there are no pictures in {tmp_path}/empty"
    assert "is not a run folder" in refused(capsys, tmp_path / "empty", tmp_path)
    (run / "last.params").unlink()
    assert "has no weights last.params" in refused(capsys, run, tmp_path)


@pytest.mark.parametrize("flags", [["--top", "0"], ["--top", "x"], ["--json", "--csv"], ["--colour"], []])
def test_invalid_flags(run, capsys, flags):
    with pytest.raises(SystemExit) as end:
        main(["predict", str(run), *(["a.png", *flags] if flags else [])])
    assert end.value.code == 2


def test_help(capsys):
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    assert "invert" in capsys.readouterr().out


def test_a_sheet_never_overwrites_a_picture(run, picture, tmp_path, capsys):
    file = picture(tmp_path / "f" / "a.png")
    before = file.read_bytes()
    (tmp_path / "f" / "link.png").symlink_to("a.png")
    for sheet, words in [
        (file, "is one of the pictures"),
        (tmp_path / "f" / "link.png", "is one of the pictures"),
        (tmp_path / "sheet.pdf", "must end in .png"),
        (tmp_path / "none" / "sheet.png", "there is no folder"),
    ]:
        assert words in refused(capsys, run, tmp_path / "f", "--sheet", sheet)
    assert file.read_bytes() == before and not (tmp_path / "sheet.pdf").exists()


@pytest.fixture
def many(picture, tmp_path):
    file = picture(tmp_path / "many" / "00000.png")
    for i in range(1, 4000):
        os.link(file, file.with_name(f"{i:05d}.png"))
    return file.parent


def test_ctrl_c_and_a_reader_that_leaves(run, many):
    command = [sys.executable, "-m", "gluon_classics", "predict", str(run), str(many)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen(command, **pipes) as stopped, subprocess.Popen(command, **pipes) as left:
        assert stopped.stdout.readline() == f"{many}/00000.png\n"
        time.sleep(0.05)
        stopped.send_signal(signal.SIGINT)
        assert (stopped.communicate(timeout=60)[1], stopped.returncode) == ("", 130)
        left.stdout.readline()
        left.stdout.close()
        assert (left.stderr.read(), left.wait(60)) == ("", 1)
