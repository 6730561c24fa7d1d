"""report.html: the results of a run on one page."""

from __future__ import annotations

import csv
import json
import shlex
import webbrowser
from pathlib import Path
from typing import Any, Callable

from gluon_classics.insight.confusion import most_frequent_confusion, per_class, read_confusion
from gluon_classics.insight.pages import Png, png, render
from gluon_classics.whole_file import whole_file

import numpy as np

SHOWN_ELSEWHERE = ("notes", "command", "class_counts")  # keys of config.json with their own place on the page
ROWS_SHOWN = 30  # a longer table is folded
_PICTURES = ("curves", "confusion", "mistakes", "samples")


def write_report(run: str | Path) -> Path:
    """Write report.html into the run's folder and return its path.

    The page shows config.json, result.json, metrics.csv, confusion.csv, curves.png, confusion.png, samples.png and
    mistakes.png. If one is missing or cannot be read, the page says so. Raises ValueError if `run` is not a folder,
    OSError if the page cannot be written.
    """
    run = Path(run)
    if not run.is_dir():
        raise ValueError(f"{run} is not a folder: name a run's folder, as in runs/lenet-fashion-mnist-20170901-120000")
    try:
        config = _json(run / "config.json")
    except (OSError, ValueError):
        config = {}
    text = render(
        "report.html",
        title=f"{config['net']} on {config['dataset']}" if {"net", "dataset"} <= set(config) else run.resolve().name,
        subtitle=run.resolve().name,
        headline=_part(_headline, run, config),
        notes=config.get("notes"),
        pictures={name: _part(_picture, run / f"{name}.png") for name in _PICTURES},
        epochs=_part(_epochs, run / "metrics.csv"),
        classes=_part(_classes, run / "confusion.csv"),
        balance=_balance(config),
        configuration=_part(_configuration, run / "config.json"),
    )
    with whole_file(run / "report.html") as temporary:
        # the bytes of a file name that is not UTF-8 become \udc.. on the page
        temporary.write_text(text, "utf-8", "backslashreplace")
    return run / "report.html"


def open_report(path: str | Path, log: Callable[[str], None] = print) -> None:
    """Open a page in the browser. Without a browser, log its path."""
    path = Path(path).resolve()
    try:
        opened = webbrowser.open(path.as_uri())
    except (webbrowser.Error, OSError):
        opened = False
    if not opened:
        log(f"No browser found to open the report: {path}")


def _part(make: Callable, *arguments: Any) -> Any:
    """Call `make`. If it cannot read a file, return a sentence that says why."""
    try:
        return make(*arguments)
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is not in the run's folder."
    except OSError as error:
        return f"{Path(error.filename).name} cannot be read: {error.strerror}."
    except ValueError as error:
        return f"{error}."


def _headline(run: Path, config: dict) -> dict:
    """The numbers of the result or, without one, of the last epoch."""
    finished = (run / "result.json").exists()
    if finished:
        result = _json(run / "result.json")
        numbers = {
            "Test accuracy": result.get("test_acc"),
            "Test loss": result.get("test_loss"),
            "Epochs": result.get("epochs"),
            "Time": result.get("seconds"),
        }
    else:
        rows = _rows(run / "metrics.csv") if (run / "metrics.csv").exists() else []
        last = rows[-1] if rows else {}
        numbers = {
            "Training accuracy": last.get("train_acc"),
            "Validation accuracy": last.get("val_acc"),
            "Epochs": len(rows),
            "Time": sum(row.get("seconds") or 0 for row in rows),
        }
    numbers.update({"Parameters": config.get("parameters"), "Training images": config.get("train_images")})
    if finished:
        numbers["Test images"] = config.get("test_images")
    shown = [(name, _number(name, value)) for name, value in numbers.items() if value is not None]
    return {"finished": finished, "numbers": shown}


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


def _picture(path: Path) -> Png:
    return png(path.read_bytes(), path.name)


def _epochs(path: Path) -> dict:
    rows = _rows(path)
    columns = [name for name in (rows[0] if rows else {}) if any(row[name] is not None for row in rows)]
    cells = [["" if row[name] is None else f"{row[name]:.5g}" for name in columns] for row in rows]
    return {"header": [name.replace("_", " ") for name in columns], "rows": cells}


def _classes(path: Path) -> dict:
    matrix, names = read_confusion(path)
    rows, scores = [], per_class(matrix)
    for i, each in enumerate(scores):
        shares = ("–" if np.isnan(share) else f"{share:.3f}" for share in (each.precision, each.accuracy, each.f1))
        f1 = 0.0 if np.isnan(each.f1) else each.f1
        rows.append((i, names[i], f"{each.count:,}", *shares, f1, most_frequent_confusion(matrix[i], i, names)))
    text = f"{np.trace(matrix):,} of {matrix.sum():,} test images are classified correctly."
    tested = [each for each in scores if each.count]
    if len(tested) > 1:  # no mean precision: it would leave out the classes that were never predicted
        recall, f1 = np.mean([(each.accuracy, each.f1) for each in tested], axis=0)
        text += f" Mean over the classes: recall {recall:.3f}, F1 {f1:.3f}."
    header = ("no.", "class", "images", "precision", "recall", "F1", "", "most often confused with")
    return {"text": text, "header": header, "rows": rows}


def _balance(config: dict) -> dict | str:
    counts = config.get("class_counts")
    if not counts:
        return "config.json has no class_counts."
    most, least = max(counts, key=counts.get), min(counts, key=counts.get)
    even = counts[most] == counts[least]
    text = f"{counts[most]:,} training images of each class."
    if not even:
        text = f"{counts[least]:,} training images of {least}, {counts[most]:,} of {most}."
    if config.get("balanced"):
        text += " Balanced sampling (--balanced): each epoch drew the same number of examples of every class."
    elif config.get("balanced") is False and not even:
        text += " No balanced sampling: each epoch drew the classes in these proportions; --balanced evens them out."
    rows = [(name, f"{n:,}", n / max(counts[most], 1)) for name, n in counts.items()]
    return {"text": text, "open": len(rows) <= ROWS_SHOWN, "rows": rows}


def _configuration(path: Path) -> dict:
    config = _json(path)
    command = [str(word) for word in config.get("command") or []]
    return {
        "command": {"line": "python " + shlex.join(command)} if command else "config.json has no command.",
        "rows": [(key, _setting(value)) for key, value in config.items() if key not in SHOWN_ELSEWHERE],
    }


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
        raise ValueError(f"{path.name} is not a JSON object")
    return content


def _rows(path: Path) -> list[dict]:
    """Return the rows of metrics.csv: numbers, and None for an empty cell."""
    with open(path, newline="", encoding="utf-8") as file:
        try:
            return [{name: float(cell) if cell else None for name, cell in row.items()} for row in csv.DictReader(file)]
        except (ValueError, TypeError, csv.Error):
            raise ValueError(f"{path.name} is not a table of numbers") from None
