"""Predictions as CSV."""

import csv
import io

from gluon_classics.inference.forms import FORMS
from gluon_classics.inference.prediction import Prediction


def test_csv_cells_are_never_formulas():
    results = [Prediction("=cmd.png", "-rf", [("@a", 0.75), ("b", 0.25)]), Prediction("+x.png", None, error="is empty")]
    rows = list(csv.reader(io.StringIO("".join(FORMS["csv"](iter(results))))))
    assert rows[1:] == [
        ["'=cmd.png", "'-rf", "1", "'@a", "0.750000", ""],
        ["'=cmd.png", "'-rf", "2", "b", "0.250000", ""],
        ["'+x.png", "", "", "", "", "is empty"],
    ]
