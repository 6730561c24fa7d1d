"""Predictions as text, CSV and JSON, in pieces to print as the results arrive."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from gluon_classics.inference.prediction import Prediction
from gluon_classics.printable import csv_cell, printable


def _text(results: Iterator[Prediction]) -> Iterator[str]:
    for result in results:
        if result.error:
            continue  # printed on stderr
        lines = [printable(result.file)]
        if result.label is not None and not result.right:
            lines[0] += f"  WRONG: is {printable(result.label)}"
        lines += [f"  {probability:7.2%}  {printable(name)}" for name, probability in result.best]
        yield "\n".join(lines) + "\n"


def _csv(results: Iterator[Prediction]) -> Iterator[str]:
    yield "file,label,rank,class,probability,error\n"
    for result in results:
        rows: list[tuple] = [(i, csv_cell(name), f"{value:.6f}", "") for i, (name, value) in enumerate(result.best, 1)]
        text = io.StringIO()
        for row in rows or [("", "", "", result.error)]:
            cells = csv_cell(result.file), csv_cell(result.label or "")
            csv.writer(text, lineterminator="\n").writerow([*cells, *row])
        yield text.getvalue()


def _json(results: Iterator[Prediction]) -> Iterator[str]:
    before = "[\n"
    for result in results:
        entry: dict[str, Any] = {"file": result.file}
        if result.label is not None:
            entry["label"] = result.label
        entry["predictions"] = [{"class": name, "probability": round(value, 6)} for name, value in result.best]
        if result.error:
            entry["error"] = result.error
        yield before + json.dumps(entry)
        before = ",\n"
    yield "\n]\n"


FORMS = {"text": _text, "csv": _csv, "json": _json}
