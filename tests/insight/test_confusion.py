"""Confusion matrices counted by hand."""

import csv
import math

from gluon_classics.insight.confusion import (
    confusion_matrix,
    format_per_class,
    per_class,
    read_confusion,
    write_confusion,
)

import numpy as np
import pytest
from matplotlib import image
from read_pictures import rgb

NAMES = ("Shirt", "Bag", "Boot", "Coat")
# 5 shirts: 2 correct, 2 predicted as Coat, 1 as Bag; 2 bags: correct; 1 boot: predicted as Coat; no coats
LABELS = [0, 0, 0, 0, 0, 1, 1, 2]
PREDICTIONS = [0, 3, 1, 3, 0, 1, 1, 3]
MATRIX = [[2, 1, 0, 2], [0, 2, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


def matrix():
    return confusion_matrix(np.array(LABELS), np.array(PREDICTIONS), 4)


def test_rows_are_true_and_columns_predicted():
    assert matrix().tolist() == MATRIX
    assert matrix().dtype == np.int64


def test_dtypes_of_the_loader():
    assert confusion_matrix(np.array(LABELS, "float32"), np.array(PREDICTIONS, "uint8"), 4).tolist() == MATRIX
    many = np.full(300, 200, "uint8")  # 200 * classes does not fit into uint8
    assert confusion_matrix(many, many, 201)[200, 200] == 300
    assert confusion_matrix(np.array([], int), np.array([], int), 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    "labels, predictions, message",
    [
        ([0, 4], [0, 1], "labels hold 4, but 4 classes are numbered 0 to 3"),
        ([0, 1], [0, -1], "predictions hold -1"),
        ([0, 1], [0, 0.5], "predictions hold 0.5"),
        ([0, 1], [0], r"labels \(2,\) and predictions \(1,\)"),
    ],
)
def test_numbers_that_are_not_classes_are_refused(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(np.array(labels), np.array(predictions), 4)


def test_scores_by_hand():
    shirt, bag, boot, coat = per_class(matrix())
    # F1 = 2 * precision * recall / (precision + recall)
    assert shirt == pytest.approx((2 / 5, 2 / 2, 2 * 0.4 / 1.4, 5))
    assert bag == pytest.approx((2 / 2, 2 / 3, 2 * (2 / 3) / (5 / 3), 2))
    assert (boot.accuracy, boot.f1, boot.count) == (0, 0, 1)
    assert math.isnan(boot.precision)  # nothing was predicted as a boot
    assert math.isnan(coat.accuracy)  # there was no coat
    assert (coat.precision, coat.f1, coat.count) == (0, 0, 0)


def test_the_table():
    lines = format_per_class(matrix(), NAMES).splitlines()
    assert [line.split() for line in lines] == [
        ["class", "images", "accuracy", "precision", "F1", "most", "often", "confused", "with"],
        ["Shirt", "5", "0.400", "1.000", "0.571", "Coat", "(2)"],
        ["Bag", "2", "1.000", "0.667", "0.800"],
        ["Boot", "1", "0.000", "-", "0.000", "Coat", "(1)"],
        ["Coat", "0", "-", "0.000", "0.000"],
    ]


def test_the_files(tmp_path):
    write_confusion(matrix(), NAMES, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["confusion.csv", "confusion.png"]
    with open(tmp_path / "confusion.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["true \\ predicted", *NAMES]
    assert [row[0] for row in rows[1:]] == list(NAMES)
    assert [[int(cell) for cell in row[1:]] for row in rows[1:]] == MATRIX
    picture = image.imread(tmp_path / "confusion.png")
    assert picture.shape[0] > 300 and picture.shape[1] > 300


def test_the_file_is_read_back_with_names_in_any_script(tmp_path):
    names = ["猫, кошка", 'a "b"\n', "\udcff", "قطة"]
    write_confusion(matrix(), names, tmp_path)
    found, found_names = read_confusion(tmp_path / "confusion.csv")
    assert found.tolist() == MATRIX and found_names == names
    assert "猫, кошка".encode() in (tmp_path / "confusion.csv").read_bytes()


def test_names_that_spreadsheets_take_for_formulas(tmp_path):
    names = ["=1+1", "-rf", "@SUM(A1)", "\t+2"]
    write_confusion(matrix(), names, tmp_path)
    with open(tmp_path / "confusion.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][1:] == [row[0] for row in rows[1:]] == [f"'{name}" for name in names]
    assert read_confusion(tmp_path / "confusion.csv")[1] == names


def test_the_table_shows_no_control_characters():
    assert "\x1b" not in format_per_class(matrix(), ["\x1b[2J", "a", "b", "\x1bc"])


@pytest.mark.parametrize("content", ["", "x\n", "a,b\n", "true,a,b\na,1,2\n", "true,a\na,x\n", "t,a,b\na,1,2\nc,1,2\n",
                                     "t,a,b\na,1,2\nb,1\n"])  # fmt: skip
def test_a_file_that_is_not_a_confusion_matrix_is_refused(tmp_path, content):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ValueError, match="a.csv is not a confusion matrix"):
        read_confusion(tmp_path / "a.csv")


def test_long_names_enlarge_the_picture_instead_of_shrinking_the_matrix(tmp_path):
    widths, squares = [], []
    for names in (["a", "b"], ["a" * 20, "b" * 20], ["a" * 2000, "b" * 2000]):
        write_confusion(np.eye(2, dtype=int), names, tmp_path)
        picture = rgb(tmp_path / "confusion.png")
        widths.append(picture.shape[1])
        squares.append((picture == (8, 48, 107)).all(axis=2).sum())  # the darkest colour, a share of 1
    assert widths[0] < widths[1] < widths[2] < 1000
    assert np.ptp(squares) < 100  # of 55,000, at its edge


@pytest.mark.parametrize("classes", [1, 21, 101])
def test_a_picture_of_few_and_of_many_classes(tmp_path, classes):
    write_confusion(np.eye(classes, dtype=np.int64), [f"class {i}" for i in range(classes)], tmp_path)
    assert image.imread(tmp_path / "confusion.png").shape[0] < 3000


def test_names_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ValueError, match="3 class names"):
        write_confusion(matrix(), NAMES[:3], tmp_path)
    with pytest.raises(ValueError, match="3 class names"):
        format_per_class(matrix(), NAMES[:3])
