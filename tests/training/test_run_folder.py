import csv
import os
import sys
from dataclasses import asdict

from gluon_classics.models import get_model
from gluon_classics.training import EpochRecord, RunFolder, new_run_folder, unfinished_runs

import pytest
from mxnet import nd


def record(epoch, train_loss, val_acc=None):
    return EpochRecord(
        epoch=epoch,
        train_loss=train_loss,
        train_acc=0.5,
        val_loss=None if val_acc is None else 1.0,
        val_acc=val_acc,
        test_loss=0.7,
        test_acc=0.6,
        learning_rate=0.1,
        gradient_norm=2.0,
        seconds=1.5,
        images_per_second=100.0,
    )


def net_filled_with(value):
    net = get_model("lenet")
    net.initialize()
    net(nd.zeros((1, 1, 28, 28)))
    for p in net.collect_params().values():
        p.set_data(nd.full(p.shape, value))
    return net


def first_weight(path):
    return next(iter(nd.load(str(path)).values())).asnumpy().flat[0]


def test_an_epoch_leaves_metrics_and_curves(tmp_path):
    run = RunFolder(tmp_path / "run")
    for epoch, loss in enumerate([2.0, 1.0, 1.5]):
        run.enter(record(epoch, loss))
    assert run.best_record.epoch == 1
    assert sorted(p.name for p in run.path.iterdir()) == ["curves.png", "log.txt", "metrics.csv", "metrics.jsonl"]
    with open(run.path / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["train_loss"], row["test_acc"]) for row in rows] == [
        ("0", "2.0", "0.6"),
        ("1", "1.0", "0.6"),
        ("2", "1.5", "0.6"),
    ]
    assert (run.path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    run = RunFolder(tmp_path / "run")
    run.save_weights(net_filled_with(1), "last")
    save = nd.save

    def half(path, arrays):  # MXNet leaves this on a full disk, without an error
        save(path, arrays)
        os.truncate(path, os.path.getsize(path) // 2)

    monkeypatch.setattr(nd, "save", half)
    with pytest.raises(OSError, match="last"):
        run.save_weights(net_filled_with(2), "last")
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


def test_a_folder_with_only_a_log_is_used_and_cleaned(tmp_path):
    (tmp_path / "log.txt").write_text("one\n")
    (tmp_path / ".last.1234-abcd.part.params").write_text("half")  # of a process that was killed
    run = RunFolder(tmp_path)
    run.log("two")
    assert [p.name for p in tmp_path.iterdir()] == ["log.txt"]
    assert (tmp_path / "log.txt").read_text() == "one\ntwo\n"


def test_without_tensorboardx_no_folder_is_made(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX.event_file_writer", None)  # its import fails
    for make in (
        lambda: RunFolder(tmp_path / "run", tensorboard=True),
        lambda: new_run_folder(tmp_path, "lenet", True),
    ):
        with pytest.raises(ValueError, match="pip install tensorboardX"):
            make()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file/run cannot be written"):
        RunFolder(tmp_path / "file" / "run")


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path):
    paths = {new_run_folder(tmp_path, "lenet").path for _ in range(5)}
    assert len(paths) == 5
    assert all(path.name.startswith("lenet-") for path in paths)


def test_with_a_validation_set_the_best_epoch_is_the_one_with_its_highest_accuracy_the_first_of_equals(tmp_path):
    run = RunFolder(tmp_path / "run")
    for epoch, (loss, accuracy) in enumerate([(2.0, 0.7), (1.5, 0.8), (1.0, 0.8), (0.5, 0.75)]):
        run.enter(record(epoch, loss, accuracy))
    assert run.best_record.epoch == 1


def test_a_resumed_run_has_the_epochs_of_its_checkpoint(tmp_path):
    run = RunFolder(tmp_path / "run")
    for epoch in range(3):
        run.enter(record(epoch, 3.0 - epoch))
    kept = [asdict(each) for each in run.records[:2]]
    del run  # releases the lock, as the end of a process does
    again = RunFolder(tmp_path / "run", resume=True)
    again.restore(kept)
    with open(again.path / "metrics.csv") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]
    again.enter(record(2, 1.0))
    assert again.best_record.train_loss == 1.0


def test_one_process_writes_a_run(tmp_path):
    run = RunFolder(tmp_path / "run")
    with pytest.raises(ValueError, match="another process is writing the run in .*run"):
        RunFolder(run.path, resume=True)


def test_unfinished_runs_the_newest_first(tmp_path):
    for i, name in enumerate(["old", "new", "finished", "written"]):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        os.utime(folder, (i, i))
    (tmp_path / "finished" / "result.json").write_text("{}")
    (tmp_path / "no run").mkdir()
    os.utime(tmp_path / "old", (100, 100))
    os.utime(tmp_path / "new", (200, 200))
    with RunFolder(tmp_path / "written", resume=True)._lock:
        assert [path.name for path in unfinished_runs(tmp_path)] == ["new", "old"]
    assert unfinished_runs(tmp_path / "nowhere") == []
