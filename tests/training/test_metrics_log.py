"""Read the files back: CSV and JSON with the standard library, event files record by record."""

import csv
import json
import struct
import sys
from types import SimpleNamespace

from gluon_classics.training.metrics_log import TAGS, MetricsLog

import pytest

FIELDS = ["epoch", "train_loss", "val_acc", "test_acc", "learning_rate", "images_per_second"]


def row(epoch, loss=1.5, val=None):
    return dict(zip(FIELDS, [epoch, loss, val, 0.25, 0.125, 1000.0]))


def read_csv(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def read_jsonl(folder):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def events(path):
    """A TFRecord: length (uint64), its checksum (4 bytes), the message, its checksum (4 bytes)."""
    from tensorboardX.proto import event_pb2

    content = path.read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        yield event_pb2.Event.FromString(content[12 : 12 + length])
        content = content[12 + length + 4 :]


def points(folder):
    """{tag: [(step, value)]} as TensorBoard shows them: a START hides what earlier files have from its step on."""
    from tensorboardX.proto import event_pb2

    shown = {}
    for path in sorted((folder / "tensorboard").iterdir()):
        for event in events(path):
            if event.session_log.status == event_pb2.SessionLog.START:
                shown = {tag: [p for p in old if p[0] < event.step] for tag, old in shown.items()}
            for value in event.summary.value:
                shown.setdefault(value.tag, []).append((event.step, value.simple_value))
    return shown


@pytest.fixture
def later(monkeypatch):
    """Return a function that advances the clock: event files are named by the second."""
    now = [1_700_000_000]
    writer = pytest.importorskip("tensorboardX.event_file_writer")
    monkeypatch.setattr(writer, "time", SimpleNamespace(time=lambda: now[0]))

    def pass_time():
        now[0] += 10

    return pass_time


def test_csv_and_json_lines_hold_each_row_once(tmp_path):
    log = MetricsLog(tmp_path, FIELDS)
    log.write([row(0)])
    log.write([row(0), row(1, 0.75, 0.5)])
    numbers = {"test_acc": "0.25", "learning_rate": "0.125", "images_per_second": "1000.0"}
    assert read_csv(tmp_path) == [
        {"epoch": "0", "train_loss": "1.5", "val_acc": "", **numbers},
        {"epoch": "1", "train_loss": "0.75", "val_acc": "0.5", **numbers},
    ]
    assert read_jsonl(tmp_path) == [row(0), row(1, 0.75, 0.5)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.csv", "metrics.jsonl"]


def test_a_run_without_an_epoch_has_the_header_alone(tmp_path):
    MetricsLog(tmp_path, FIELDS).write([])
    assert (tmp_path / "metrics.csv").read_text() == ",".join(FIELDS) + "\n"
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_json_has_null_for_nan_and_infinity(tmp_path):
    MetricsLog(tmp_path, FIELDS).write([row(0, float("nan"), float("inf"))])
    assert read_jsonl(tmp_path) == [row(0, None, None)]
    assert read_csv(tmp_path)[0]["train_loss"] == "nan"


def test_numbers_are_read_back_bit_for_bit(tmp_path):
    MetricsLog(tmp_path, FIELDS).write([row(0, 0.1 + 0.2)])
    assert float(read_csv(tmp_path)[0]["train_loss"]) == read_jsonl(tmp_path)[0]["train_loss"] == 0.1 + 0.2


def test_tensorboard_gets_a_point_a_tag_and_epoch(tmp_path, later):
    log = MetricsLog(tmp_path, FIELDS, tensorboard=True)
    log.write([row(0)])
    log.write([row(0), row(1, 0.75, 0.5)])  # readable without closing anything
    assert points(tmp_path) == {
        "loss/train": [(0, 1.5), (1, 0.75)],
        "accuracy/val": [(1, 0.5)],
        "accuracy/test": [(0, 0.25), (1, 0.25)],
        "training/learning_rate": [(0, 0.125), (1, 0.125)],
        "training/images_per_second": [(0, 1000), (1, 1000)],
    }


def test_a_resumed_run_shows_no_point_twice(tmp_path, later):
    first = MetricsLog(tmp_path, FIELDS, tensorboard=True)
    first.write([row(0)])
    first.write([row(0), row(1, 9.0)])  # epoch 1 ended before its checkpoint was written
    later()
    second = MetricsLog(tmp_path, FIELDS, tensorboard=True)
    second.write([row(0)])
    second.write([row(0), row(1, 0.75)])
    second.write([row(0), row(1, 0.75), row(2, 0.5)])
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2
    assert points(tmp_path)["loss/train"] == [(0, 1.5), (1, 0.75), (2, 0.5)]
    assert [line["train_loss"] for line in read_jsonl(tmp_path)] == [1.5, 0.75, 0.5]


def test_a_run_resumed_with_tensorboard_shows_its_earlier_epochs(tmp_path, later):
    MetricsLog(tmp_path, FIELDS).write([row(0), row(1)])
    assert not (tmp_path / "tensorboard").exists()
    MetricsLog(tmp_path, FIELDS, tensorboard=True).write([row(0), row(1), row(2)])
    assert [step for step, _ in points(tmp_path)["loss/train"]] == [0, 1, 2]


def test_tensorboards_tags_are_fields_of_an_epochs_record():
    from gluon_classics.training import EpochRecord

    assert set(TAGS) <= set(EpochRecord.__dataclass_fields__)


def test_a_missing_tensorboardx_is_named(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboardX"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ValueError, match="pip install tensorboardX"):
        MetricsLog(tmp_path, FIELDS, tensorboard=True)
    MetricsLog(tmp_path, FIELDS)


def test_a_full_disk_is_noticed(tmp_path, later, monkeypatch):
    log = MetricsLog(tmp_path, FIELDS, tensorboard=True)
    log.write([row(0)])

    def full(self, event):
        raise OSError(28, "No space left on device")

    from tensorboardX.event_file_writer import EventsWriter

    monkeypatch.setattr(EventsWriter, "write_event", full)
    with pytest.raises(OSError, match="No space left"):
        log.write([row(0), row(1)])
