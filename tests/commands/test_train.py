"""The command line of a training run: python experiments/do_exp.py, or python -m gluon_classics train."""

import json
import subprocess
import sys
from pathlib import Path

import gluon_classics.do_exp  # noqa: F401  test_too_little_memory replaces a function of it
from gluon_classics import __main__ as gluon_classics_main
from gluon_classics.commands.train import main
from gluon_classics.training.config import FIELDS, flag

import mxnet as mx
import pytest

from jobs import DO_EXP

ROOT = Path(__file__).parents[2]
TRAIN = [sys.executable, "-m", "gluon_classics", "train"]
QUICK = ["--dataset", "fashion-mnist-sample", "--limit-train", "256", "--limit-test", "100", "--epochs", "1"]


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--net", "resnt"], ["unknown network 'resnt'", "did you mean resnet"]),
        (["--dataset", "fashion-mnst"], ["fashion-mnst", "did you mean", "fashion-mnist-sample"]),
        (["--recipe", "bok"], ["unknown recipe 'bok'", "did you mean book"]),
        (["--optimizer", "adan"], ["unknown optimizer 'adan'", "did you mean adam"]),
        (["--optimizer", "adam", "--momentum", "0.9"], ["--momentum", "adam", "sgd or nag"]),
        (["--momentum", "1"], ["'1' is not a number from 0 to below 1"]),
        (["--epochs", "0"], ["--epochs", "'0' is not a whole number, at least 1"]),
        (["--batch-size", "-4"], ["--batch-size", "'-4' is not a whole number, at least 1"]),
        (["--lr", "0"], ["--lr", "'0' is not a number above 0"]),
        (["--lr", "nan"], ["--lr", "'nan' is not a number above 0"]),
        (["--wd", "-1"], ["--wd", "'-1' is not a number, 0 or more"]),
        (["--data-dir", "no/such/folder", "--dataset", "fashion-mnist"], ["no/such/folder does not exist"]),
        (["--gpus", "7"], ["--gpus '7'", "there is no GPU 7"]),
        (["--gpus", "many"], ["--gpus 'many'"]),
        (["--net", "alexnet", "--resize", "28"], ["AlexNet", "67x67", "28x28"]),
        (["--dtype", "float16", "--gpus", "none"], ["float16", "GPU"]),
        (["--dtype", "bfloat"], ["unknown dtype 'bfloat'", "did you mean bfloat16"]),
        (["--schedule", "cosin"], ["unknown schedule 'cosin'", "did you mean cosine"]),
        (["--patience", "2"], ["--patience", "add --val-fraction 0.1"]),
        (["--warmup-epochs", "1"], ["--warmup-epochs 1 ", "the 1 epochs"]),
        (["--accumulate", "65"], ["--accumulate 65 ", "64 images"]),
        (["--val-fraction", "1"], ["--val-fraction", "'1' is not a number from 0 to below 1"]),
        (["--force"], ["--force", "--resume", "--dtype"]),
        (["--resume"], ["no unfinished run", "runs", "--out"]),
        (["--net", "vgg16", "--aux"], ["--aux", "vgg16"]),
        (["--batch-size", "300"], ["--batch-size 300 ", "256 training images"]),
        (["--out", "taken"], ["taken exists already"]),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(flags, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "precious.txt").write_text("mine")
    flags = [*QUICK, *flags] if {"--out", "--resume"} & set(flags) else [*QUICK, "--out", "run", *flags]
    try:
        status = main(flags)
    except SystemExit as exit:  # argparse's
        status = exit.code
    assert status == 2
    message = capsys.readouterr().err
    for word in words:
        assert word in message
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["taken", "taken/precious.txt"]


def printed_config(capsys, *flags):
    assert main([*flags, "--print-config"]) == 0
    return json.loads(capsys.readouterr().out)


def test_print_config_shows_every_setting_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = printed_config(capsys, "--net", "nin", "--lr", "0.05", "--split", "leave-poses", "3")
    assert list(config) == list(FIELDS)
    assert (config["net"], config["lr"], config["split"]) == ("nin", 0.05, ["leave-poses", 3])
    assert (config["epochs"], config["resize"]) == (10, 96)  # the recipe's
    assert not list(tmp_path.iterdir())


def test_print_config_knows_the_networks(capsys):
    config = printed_config(capsys, "--net", "inception_v3", "--aux")
    assert (config["resize"], config["net_args"]) == (299, {"aux": True})  # its head needs 299
    assert main(["--net", "resnt", "--print-config"]) == 2
    assert "resnet" in capsys.readouterr().err


def test_both_commands_are_the_same(capsys):
    flags = ["--net", "resnet18", "--recipe", "modern", "--no-flip", "--print-config"]
    assert gluon_classics_main.main(["train", *flags]) == 0
    one = capsys.readouterr().out
    assert main(flags) == 0
    assert capsys.readouterr().out == one
    done = [subprocess.run([*command, *flags], cwd=ROOT, capture_output=True, text=True) for command in (TRAIN, DO_EXP)]
    assert [each.stdout for each in done] == [one, one]


def test_config_takes_the_settings_of_a_run(tmp_path, capsys):
    flags = [
        "--net", "vgg", "--optimizer", "adam", "--dataset", "coil20", "--split", "leave-poses", "3", "--crop", "2",
        "--val-fraction", "0.1", "--patience", "3", "--no-hybridize", "--tensorboard", "--seed", "5",
    ]  # fmt: skip
    config = printed_config(capsys, *flags)
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert printed_config(capsys, "--config", str(tmp_path / "config.json")) == config


def test_flags_win_over_config(tmp_path, capsys):
    (tmp_path / "run.json").write_text(json.dumps(printed_config(capsys, "--net", "nin", "--lr", "0.5", "--flip")))
    config = printed_config(capsys, "--config", str(tmp_path / "run.json"), "--lr", "0.25", "--no-flip")
    assert (config["net"], config["lr"], config["flip"]) == ("nin", 0.25, False)


def test_another_optimizer_than_configs_has_its_own_learning_rate(tmp_path, capsys):
    (tmp_path / "run.json").write_text(json.dumps(printed_config(capsys, "--net", "lenet")))
    config = printed_config(capsys, "--config", str(tmp_path / "run.json"), "--optimizer", "adam")
    assert (config["optimizer"], config["lr"], config["momentum"]) == ("adam", 0.001, None)


def test_too_little_memory_is_answered_with_flags_for_the_recipes_batch(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def out_of_memory(*_):
        raise mx.MXNetError("cudaMalloc failed: out of memory")

    def leave(status):
        raise SystemExit(status)

    monkeypatch.setattr(sys.modules["gluon_classics.do_exp"], "do_exp", out_of_memory)
    monkeypatch.setattr("os._exit", leave)
    with pytest.raises(SystemExit) as exit:
        main(["--net", "alexnet", "--dataset", "fashion-mnist-sample", "--accumulate", "2"])
    assert exit.value.code == 1
    said = capsys.readouterr().err
    assert "--accumulate 4 " in said and "--batch-size 64," in said  # alexnet's batch is 128


@pytest.mark.parametrize("content", ["{", "[]", None])
def test_a_config_that_cannot_be_read_is_named(content, tmp_path, capsys):
    file = tmp_path / "run.json"
    if content is not None:
        file.write_text(content)
    assert main(["--config", str(file)]) == 2
    assert str(file) in capsys.readouterr().err


def test_help_shows_every_flag(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["--help"])
    assert exit.value.code == 0
    said = capsys.readouterr().out
    for name, field in FIELDS.items():
        assert (f"{flag(name)} " in said or f"{flag(name)}," in said) is bool(field.metadata["help"]), name
    for words in ("examples:", "googlenet", "fashion-mnist-sample", "--no-hybridize", "--config", "--print-config"):
        assert words in said


@pytest.mark.parametrize("flags, status", [(["--help"], 0), (["--batchsize", "3"], 2), (["--epochs", "0"], 2)])
def test_an_answer_that_computes_nothing_does_not_import_mxnet(flags, status):
    code = (
        "import sys\n"
        "from gluon_classics.__main__ import main\n"
        "try:\n"
        "    status = main(sys.argv[1:])\n"
        "except SystemExit as exit:\n"
        "    status = exit.code\n"
        "print(status, sorted({'mxnet', 'numpy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "train", *flags], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == f"{status} []", done.stderr
    if status:
        assert flags[0][:7] in done.stderr
