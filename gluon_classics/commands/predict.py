"""python -m gluon_classics predict: what a trained network takes pictures for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gluon_classics import inference, insight
from gluon_classics.commands.arguments import whole_number
from gluon_classics.printable import printable

import numpy as np
from tqdm import tqdm

SHEET_PICTURES = 100  # more would be too small on a screen

NOTES = """\
RUN is a folder that do_exp.py left, or one that export wrote. Of a run, result.json tells which weights were tested;
these predict.

A picture is brought to the channels and the size that the training's images were stored in (28x28 in grey for
Fashion-MNIST), without regard to its proportions, and from there takes the training's own way into the network.
Fashion-MNIST's pictures are light on black. A photograph on light ground is the inverse of what a network has seen
that was trained on them: invert it first.

A picture in a folder named like a class, at any depth, is taken to be of that class. The accuracy over these comes
at the end.

exit status: 0; 1 if some pictures could not be read; 2 for a RUN that is none, no pictures, or an unknown flag

examples:
  python -m gluon_classics predict runs/lenet-fashion-mnist-20170901-120000 boot.png photos/
  python -m gluon_classics predict RUN photos/ --csv --top 1 > predictions.csv
  python -m gluon_classics predict RUN photos/ --sheet sheet.png
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, NOTES
    add = parser.add_argument
    add("folder", type=Path, metavar="RUN", help="the run folder, or the exported artifact")
    add("pictures", nargs="+", metavar="PICTURE", help="picture files, and folders with pictures")
    add("--top", type=whole_number, default=5, metavar="N", help="the N most probable classes (default 5)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", help="one JSON list")
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="a row for each class told")
    parser.set_defaults(form="text")
    add("--sheet", type=Path, metavar="PNG", help=f"draw up to {SHEET_PICTURES} of the pictures with their predictions")


def run(args: argparse.Namespace) -> int:
    """Predict, and print as the results come. Returns 0, or 1 where some pictures could not be read.

    Raises ValueError for what does not work, before anything is predicted.
    """
    predictor = inference.Predictor.load(args.folder)
    pictures = inference.find_pictures(args.pictures)
    _say_what_is_passed_over(pictures, args.folder)
    if not pictures.found:
        raise ValueError(f"there are no pictures in {' '.join(args.pictures)}")
    if args.sheet:
        _check_sheet(args.sheet, pictures)
    tally = Tally(len(pictures.found), SHEET_PICTURES if args.sheet else 0)
    results = tally.counting(inference.predict_files(predictor, pictures.found, args.top))
    for block in inference.FORMS[args.form](results):
        encoding = sys.stdout.encoding or "utf-8"  # what it lacks, and file names that are no text, are escaped
        print(block.encode(encoding, "backslashreplace").decode(encoding), end="", flush=True)
    if tally.labelled:
        right, of = tally.right, tally.labelled
        words = f"accuracy {right / of:.4f}: {right:,} right of {of:,} in folders named like a class"
        print(words, file=sys.stdout if args.form == "text" else sys.stderr)
    if args.sheet:
        _draw_sheet(tally, predictor.classes, args.sheet, args.folder.resolve().name)
    return 1 if tally.failed or pictures.unreadable else 0


class Tally:
    """Counts the predictions that go by, tells of those that failed, and keeps `shown` of them, evenly spaced."""

    def __init__(self, files: int, shown: int):
        self.files = files
        self.failed = self.labelled = self.right = 0
        self.kept: list[inference.Prediction] = []
        self._keep = set(np.linspace(0, files - 1, min(shown, files)).astype(int).tolist())

    def counting(self, results: Iterator[inference.Prediction]) -> Iterator[inference.Prediction]:
        # the results are progress enough where they go by on the screen
        hidden = not sys.stderr.isatty() or sys.stdout.isatty()
        for i, result in enumerate(tqdm(results, total=self.files, unit=" pictures", disable=hidden)):
            if result.error:
                self.failed += 1
                _warn(f"{result.file}: {result.error}")
            elif result.label is not None:
                self.labelled += 1
                self.right += result.right
            if i in self._keep:
                self.kept.append(result)
            yield result


def _draw_sheet(tally: Tally, classes: Sequence[str], path: Path, name: str) -> None:
    title = f"{name}: {tally.files:,} pictures"
    if tally.labelled:
        title = f"{name}: {tally.right:,} of {tally.labelled:,} correct"
    try:
        insight.draw_predictions(tally.kept, classes, path, title, tally.files - len(tally.kept))
    except OSError as error:
        raise ValueError(f"{path}: cannot be written: {error.strerror or error}") from error


def _check_sheet(path: Path, pictures: inference.Pictures) -> None:
    if path.suffix.lower() != ".png":
        raise ValueError(f"--sheet {path}: the file to write has to end in .png")
    if path.is_dir() or not path.parent.is_dir():
        what = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise ValueError(f"--sheet {path}: {what}; name a file to write")
    if path in pictures:
        raise ValueError(f"--sheet {path}: is one of the pictures, and would be replaced: name another file")


def _say_what_is_passed_over(pictures: inference.Pictures, folder: Path) -> None:
    inference.say_if_unfinished(folder)
    for name, reason in pictures.unreadable:
        _warn(f"{name}: {reason}")
    passed = [
        (pictures.others, "not named like pictures"),
        (pictures.hidden, "hidden"),
        (pictures.repeated, "named before"),
    ]
    if any(count for count, _ in passed):
        _warn("passed over: " + ", ".join(f"{count:,} {what}" for count, what in passed if count))


def _warn(line: str) -> None:
    tqdm.write(printable(line), file=sys.stderr)
