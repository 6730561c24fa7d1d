import csv

from gluon_classics.models import get_model
from gluon_classics.training import EpochRecord, RunFolder, new_run_folder

import pytest
from mxnet import nd


def record(epoch, train_loss):
    return EpochRecord(epoch, train_loss, 0.5, 0.7, 0.6, 1.5, 100.0)


def net_filled_with(value):
    net = get_model("lenet")
    net.initialize()
    net(nd.zeros((1, 1, 28, 28)))
    for p in net.collect_params().values():
        p.set_data(nd.full(p.shape, value))
    return net


def first_weight(path):
    return next(iter(nd.load(str(path)).values())).asnumpy().flat[0]


def test_an_epoch_leaves_metrics_curves_last_and_best_weights(tmp_path):
    run = RunFolder(tmp_path / "run")
    for epoch, loss in enumerate([2.0, 1.0, 1.5]):
        run.end_of_epoch(record(epoch, loss), net_filled_with(epoch))
    assert sorted(p.name for p in run.path.iterdir()) == [
        "best.params",
        "curves.png",
        "last.params",
        "log.txt",
        "metrics.csv",
    ]
    assert first_weight(run.path / "best.params") == 1
    assert first_weight(run.path / "last.params") == 2
    with open(run.path / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["train_loss"], row["test_acc"]) for row in rows] == [
        ("0", "2.0", "0.6"),
        ("1", "1.0", "0.6"),
        ("2", "1.5", "0.6"),
    ]
    assert (run.path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.save_weights(net_filled_with(1), "last")

    class Fails:
        def save_parameters(self, path):
            with open(path, "wb") as file:
                file.write(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run.save_weights(Fails(), "last")
    assert first_weight(run.path / "last.params") == 1
    assert sorted(p.name for p in run.path.iterdir()) == ["last.params", "log.txt"]


def test_log_is_printed_and_kept(tmp_path, capsys):
    run = RunFolder(tmp_path / "run")
    run.log("one")
    run.log("two")
    assert capsys.readouterr().out == (run.path / "log.txt").read_text() == "one\ntwo\n"


def test_a_folder_with_files_is_left_as_it_is(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists already"):
        RunFolder(tmp_path)
    with pytest.raises(ValueError, match="exists already"):
        RunFolder(tmp_path / "precious.txt")
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file/run cannot be written"):
        RunFolder(tmp_path / "file" / "run")


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path):
    paths = {new_run_folder(tmp_path, "lenet").path for _ in range(5)}
    assert len(paths) == 5
    assert all(path.name.startswith("lenet-") for path in paths)
