"""python -m gluon_classics list and summary, and mistakes on the command line."""

import argparse
import csv
import os
import subprocess
import sys
from pathlib import Path

from gluon_classics.__main__ import COMMANDS, main
from gluon_classics.commands.arguments import Parser, run_folder
from gluon_classics.models import list_models

import pytest

ROOT = Path(__file__).parents[2]


def output(capsys, *argv):
    assert main(list(argv)) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def error(capsys, *argv):
    """Return the one-line error message."""
    assert main(list(argv)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("gluon_classics: error: ")
    return line


def test_list_shows_every_network_in_order(capsys):
    header, *rows = output(capsys, "list").splitlines()
    assert header.split() == ["name", "paper", "year", "input", "parameters", "MACs", "file"]
    assert [row.split()[0] for row in rows] == list_models()


def test_list_of_a_pattern(capsys):
    assert output(capsys, "list", "lenet5").splitlines() == [
        "name    paper         year  input    parameters     MACs  file",
        "lenet5  LeCun et al.  1998  1x32x32      61,706  416.5 k  gluon_classics/models/lenet.py",
    ]
    names = [row.split()[0] for row in output(capsys, "list", "vgg16*").splitlines()[1:]]
    assert names == ["vgg16", "vgg16_bn"]


def test_list_as_markdown(capsys):
    header, rule, row = output(capsys, "list", "--markdown", "resnet50").splitlines()
    assert header == "| name | paper | year | input | parameters | MACs | file |"
    assert rule == "| --- | --- | --- | --- | ---: | ---: | --- |"
    link = "[resnet.py](gluon_classics/models/resnet.py)"
    assert row == f"| `resnet50` | He et al. | 2015 | 3x224x224 | 25,557,032 | 4.09 G | {link} |"


def test_list_as_csv_has_exact_numbers(capsys):
    rows = list(csv.DictReader(output(capsys, "list", "--csv", "vgg*").splitlines()))
    assert [row["name"] for row in rows] == list_models("vgg*")
    row = next(row for row in rows if row["name"] == "vgg16")
    assert row == {
        "name": "vgg16",
        "paper": "Simonyan and Zisserman",
        "year": "2014",
        "input": "3x224x224",
        "parameters": "138357544",
        "macs": "15470264320",
        "file": "gluon_classics/models/vgg.py",
    }


def test_every_file_in_the_list_exists(capsys):
    for row in csv.DictReader(output(capsys, "list", "--csv").splitlines()):
        assert (ROOT / row["file"]).is_file()


def test_summary_of_lenet5(capsys):
    header, _, *rows, total = output(capsys, "summary", "lenet5").splitlines()
    assert header == "lenet5: LeCun et al. 1998, input 1x32x32"
    assert [cell for row in rows for cell in row.split() if cell in ("156", "2,416", "48,120", "10,164", "850")] == [
        "156",
        "2,416",
        "48,120",
        "10,164",
        "850",
    ]
    assert total.startswith("Total: 61,706 trainable parameters, 416,520 MACs")


def test_summary_with_other_classes_channels_and_size(capsys):
    text = output(capsys, "summary", "vgg16", "--num-classes", "10", "--in-channels", "1", "--size", "64")
    assert text.startswith("vgg16: Simonyan and Zisserman 2014, input 1x64x64\n")
    assert "40,970" in text  # 10 x 4097
    assert " 640 " in text  # 64 x (9 + 1)
    assert "512x2x2" in text
    assert output(capsys, "summary", "lenet", "--in-channels", "3").startswith(
        "lenet: LeCun et al. 1998, input 3x28x28"
    )


def test_summary_of_layers_and_auxiliary_heads(capsys):
    text = output(capsys, "summary", "inception_v3", "--layers", "--aux")
    assert "\nMixed_5b.branch1x1.conv " in text
    assert "\nAuxLogits.conv0.conv " in text
    assert "Total: 27,161,264 trainable parameters" in text


@pytest.mark.parametrize(
    "argv, message",
    [
        (["summary", "resnt50"], "unknown network 'resnt50': did you mean resnet50"),
        (["list", "resnt*"], "unknown network or pattern 'resnt*': did you mean resnet"),
        (["summary", "vgg16", "--size", "16"], "VGG takes images of 32x32 or larger, not 16x16"),
        (["summary", "vgg16", "--size", "-1"], "VGG takes images of 32x32 or larger, not -1x-1"),
        (["summary", "vgg16", "--num-classes", "0"], "num_classes is 0"),
        (["summary", "vgg16", "--in-channels", "0"], "in_channels is 0"),
        (["summary", "vgg16", "--aux"], "vgg16 has no auxiliary heads"),
    ],
)
def test_bad_input(capsys, argv, message):
    assert message in error(capsys, *argv)


def test_no_command_prints_the_help(capsys):
    text = output(capsys)
    assert text.startswith("usage: python -m gluon_classics")
    assert all(f"\n    {name} " in text for name in COMMANDS)


@pytest.mark.parametrize(
    "argv, words",
    [
        (["lst"], ["'lst'", "did you mean list?", *COMMANDS]),
        (["--verison"], ["unknown flag --verison", "did you mean --version?"]),
        (["summary", "--sise", "64"], ["unknown flag --sise", "did you mean --size?"]),
        (["summary", "vgg16", "--sise=64"], ["unknown flag --sise", "did you mean --size?"]),
        (["draw", "vgg16", "-size", "64"], ["unknown flag -size", "did you mean --size?"]),
        (["draw", "vgg16", "--theme", "ligth"], ["--theme", "'ligth'", "did you mean light?", "dark"]),
        (["summary"], ["required: NET"]),
        (["summary", "vgg16", "--size", "big"], ["--size", "'big'"]),
        (["summary", "vgg16", "vgg19"], ["vgg19"]),
    ],
)
def test_a_mistake_on_the_command_line(capsys, argv, words):
    with pytest.raises(SystemExit) as exit:
        main(argv)
    assert exit.value.code == 2
    captured = capsys.readouterr()
    message, see = captured.err.splitlines()
    assert captured.out == "" and message.startswith("error: ")
    assert see.startswith("see python -m gluon_classics ") and see.endswith(" --help")
    assert all(word in message for word in words), message


def test_flags_that_the_parser_accepts():
    parser = Parser()
    parser.add_argument("files", nargs="*")
    parser.add_argument("-o", "--out")
    parser.add_argument("--rate", type=float)
    args = parser.parse_args(["--ra", "-0.5", "-ofolder", "-", "a b", "--", "--not-a-flag"])
    assert (args.rate, args.out, args.files) == (-0.5, "folder", ["-", "a b", "--not-a-flag"])


def test_the_arguments_of_another_command_are_left_alone():
    parser = Parser()
    parser.add_argument("--workers", type=int)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args(["--workers", "2", "train.py", "--net", "lenet"])
    assert (args.workers, args.command) == (2, ["train.py", "--net", "lenet"])


def test_as_a_process_whose_reader_leaves():
    command = [sys.executable, "-m", "gluon_classics", "list", "vgg*"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) == 1


def test_latest_is_the_newest_finished_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["predict", "latest", "boot.png"])
    assert "no finished run in the folder runs" in capsys.readouterr().err
    for name, seconds in (("b-old", 1), ("a-new", 2), ("c-unfinished", 3)):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        if name != "c-unfinished":
            (folder / "result.json").touch()
            os.utime(folder / "result.json", (seconds, seconds))
    assert run_folder("latest") == Path("runs/a-new")
    assert run_folder("runs/b-old") == Path("runs/b-old")
    assert "runs/a-new" in error(capsys, "look", "latest", "boot.png")
