"""Names made safe for terminals and spreadsheets."""

from gluon_classics.printable import csv_cell, csv_text, printable

import pytest


@pytest.mark.parametrize("text", ["=1+1", "+1", "-rf", "@a", "\t=1", "\r=1", " =1", "'=1", "''-", "＝1", "\n@a"])
def test_formulas_get_an_apostrophe_and_come_back(text):
    assert csv_cell(text) == f"'{text}" and csv_text(csv_cell(text)) == text


@pytest.mark.parametrize("text", ["", "boots", "it's", "'quoted'", "a=b", "1-2", "图", "'n", "."])
def test_other_cells_stay(text):
    assert csv_cell(text) == csv_text(text) == text


def test_control_characters_are_escaped():
    assert printable("a\x1b[31m\n\x9b\x7f图\udcff") == r"a\x1b[31m\x0a\x9b\x7f图\xff"
