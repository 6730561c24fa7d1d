"""report.html: what came out of a run, on one page that needs no other file."""

from __future__ import annotations

import csv
import json
import shlex
import webbrowser
from pathlib import Path
from typing import Any, Callable

from gluon_classics.insight.confusion import most_frequent_confusion, per_class, read_confusion
from gluon_classics.insight.html_page import (
    Html,
    Section,
    bar,
    bullets,
    command_line,
    details,
    page,
    paragraph,
    picture,
    table,
    tiles,
)
from gluon_classics.whole_file import whole_file

import numpy as np

# of config.json, what has a place of its own on the page
TOLD_ELSEWHERE = ("notes", "command", "class_counts")
ROWS_SHOWN = 30  # a longer table is folded


def write_report(run: str | Path) -> Path:
    """Write report.html into the run's folder, from the files that are there, and return its path.

    They are config.json, result.json, metrics.csv, confusion.csv, curves.png, confusion.png, samples.png and
    mistakes.png. For one that is missing, or cannot be read, a line says so. Raises ValueError where ``run`` is no
    folder, OSError where the page cannot be written.
    """
    run = Path(run)
    if not run.is_dir():
        raise ValueError(f"{run} is no folder: give the folder of a run, as runs/lenet-fashion-mnist-20170901-120000")
    config = _json_or_empty(run / "config.json")
    title = f"{config['net']} on {config['dataset']}" if {"net", "dataset"} <= set(config) else run.resolve().name
    head = [_part(_headline, run, config), *([_notes(config["notes"])] if config.get("notes") else [])]
    sections = [
        Section(
            "curves",
            "Learning curves",
            _part(_picture, run / "curves.png", "Loss and accuracy over the epochs"),
            _part(_epochs, run / "metrics.csv"),
        ),
        Section("confusion", "Confusion matrix", _part(_picture, run / "confusion.png", "Which classes are confused")),
        Section("classes", "Classes", _part(_classes, run / "confusion.csv")),
        Section("mistakes", "Mistakes", _part(_picture, run / "mistakes.png", "The most confident mistakes")),
        Section("samples", "Samples", _part(_picture, run / "samples.png", "Training images as the network sees them")),
        Section("balance", "Balance of the classes", _balance(config)),
        Section("configuration", "Configuration", _part(_configuration, run / "config.json")),
    ]
    with whole_file(run / "report.html") as temporary:
        # of a name that is no UTF-8, what cannot be written is \udc.. on the page
        temporary.write_text(page(title, run.resolve().name, head, sections), "utf-8", "backslashreplace")
    return run / "report.html"


def open_report(path: str | Path, log: Callable[[str], None] = print) -> None:
    """Open a page in the browser; where there is none, tell its path."""
    path = Path(path).resolve()
    try:
        opened = webbrowser.open(path.as_uri())
    except (webbrowser.Error, OSError):
        opened = False
    if not opened:
        log(f"Found no browser to open the report with. It is {path}")


def _part(make: Callable[..., Html], *arguments: Any) -> Html:
    """What ``make`` gives, or a line on the file that it could not read."""
    try:
        return make(*arguments)
    except FileNotFoundError as error:
        return paragraph(f"{Path(error.filename).name} is not in the run's folder.", "missing")
    except OSError as error:
        return paragraph(f"{Path(error.filename).name} cannot be read: {error.strerror}.", "missing")
    except ValueError as error:
        return paragraph(f"{error}.", "missing")


def _headline(run: Path, config: dict) -> Html:
    """The result's numbers; of a run without one, those of its last epoch."""
    numbers = {"Parameters": config.get("parameters"), "Training images": config.get("train_images")}
    if (run / "result.json").exists():
        result = _json(run / "result.json")
        first = {name: result.get(key) for name, key in (("Test accuracy", "test_acc"), ("Test loss", "test_loss"))}
        first.update({"Epochs": result.get("epochs"), "Time": result.get("seconds")})
        numbers["Test images"] = config.get("test_images")
        warning = ""
    else:
        rows = _rows(run / "metrics.csv") if (run / "metrics.csv").exists() else []
        last = rows[-1] if rows else {}
        first = {
            f"{name} accuracy": last.get(f"{part}_acc") for part, name in (("train", "Training"), ("val", "Validation"))
        }
        first.update({"Epochs": len(rows), "Time": sum(row.get("seconds") or 0 for row in rows)})
        warning = paragraph("The run has no result: result.json is missing. It was stopped, or is going on.", "warning")
    shown = ((name, _number(name, value)) for name, value in {**first, **numbers}.items() if value is not None)
    return Html(warning + tiles(shown))


def _number(name: str, value: float) -> str:
    if name == "Time":
        return _duration(value)
    if "accuracy" in name:
        return f"{value:.2%}"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _notes(notes: list) -> Html:
    return Html(f'<div class="warning">{bullets(notes)}</div>\n')


def _picture(path: Path, description: str) -> Html:
    return picture(path.name, path.stem, description, path.read_bytes())


def _epochs(path: Path) -> Html:
    rows = _rows(path)
    columns = [name for name in (rows[0] if rows else {}) if any(row[name] is not None for row in rows)]
    cells = [["" if row[name] is None else f"{row[name]:.5g}" for name in columns] for row in rows]
    header = [name.replace("_", " ") for name in columns]
    return details("The numbers of each epoch", table("metrics.csv", header, cells, ">" * len(columns)), folded=True)


def _classes(path: Path) -> Html:
    matrix, names = read_confusion(path)
    rows, scores = [], per_class(matrix)
    for i, each in enumerate(scores):
        shares = ("–" if np.isnan(share) else f"{share:.3f}" for share in (each.precision, each.accuracy, each.f1))
        f1 = bar(0 if np.isnan(each.f1) else each.f1)
        rows.append((i, names[i], f"{each.count:,}", *shares, f1, most_frequent_confusion(matrix[i], i, names)))
    header = ("no.", "class", "images", "precision", "recall", "F1", "", "most often taken for")
    right = f"{np.trace(matrix):,} of {matrix.sum():,} test images are recognized."
    tested = [each for each in scores if each.count]
    if len(tested) > 1:  # no mean precision: a class that nothing was taken for has none, and would not count
        recall, f1 = np.mean([(each.accuracy, each.f1) for each in tested], axis=0)
        right += f" Means over the classes: recall {recall:.3f}, F1 {f1:.3f}."
    return Html(paragraph(right) + table("Scores on the test set, of confusion.csv", header, rows, "><>>>><<"))


def _balance(config: dict) -> Html:
    counts = config.get("class_counts")
    if not counts:
        return paragraph("config.json tells no class_counts.", "missing")
    most, least = max(counts, key=counts.get), min(counts, key=counts.get)
    even = counts[most] == counts[least]
    text = f"{counts[most]:,} training images of each class."
    if not even:
        text = f"{counts[least]:,} training images of {least}, {counts[most]:,} of {most}."
    if config.get("balanced"):
        text += " Balanced sampling (--balanced): each epoch drew as many examples of one class as of another."
    elif config.get("balanced") is False and not even:
        text += " No balanced sampling: each epoch drew the classes in these proportions; --balanced makes them equal."
    rows = [(name, f"{n:,}", bar(n / max(counts[most], 1))) for name, n in counts.items()]
    full = table("Training images of each class", ("class", "images", ""), rows, "<><")
    return Html(paragraph(text) + details("Each class", full, folded=len(rows) > ROWS_SHOWN))


def _configuration(path: Path) -> Html:
    config = _json(path)
    rows = [(key, _setting(value)) for key, value in config.items() if key not in TOLD_ELSEWHERE]
    command = [str(word) for word in config.get("command") or []]
    shown = (
        command_line("python " + shlex.join(command))
        if command
        else paragraph("config.json tells no command.", "missing")
    )
    full = table("config.json", ("setting", "value"), rows, "<<")
    return Html(shown + details("All settings", full, folded=False))


def _setting(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_setting(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_setting, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else str(value)


def _json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} is not the JSON that a run writes")
    return content


def _json_or_empty(path: Path) -> dict:
    try:
        return _json(path)
    except (OSError, ValueError):
        return {}


def _rows(path: Path) -> list[dict]:
    """The rows of metrics.csv: numbers, and None for an empty cell."""
    with open(path, newline="", encoding="utf-8") as file:
        try:
            return [{name: float(cell) if cell else None for name, cell in row.items()} for row in csv.DictReader(file)]
        except (ValueError, TypeError, csv.Error):
            raise ValueError(f"{path.name} is not the table that a run writes") from None
