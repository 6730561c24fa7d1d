"""python -m gluon_classics predict RUN PICTURE...: predictions of a trained network for picture files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gluon_classics import inference, insight
from gluon_classics.commands.arguments import run_folder, whole_number
from gluon_classics.data import Brightness
from gluon_classics.printable import printable

import numpy as np
from tqdm import tqdm

SHEET_PICTURES = 100  # a larger sheet does not fit on a screen

NOTES = """\
RUN is a run folder of do_exp.py, or a folder written by export. A run predicts with the weights that were tested, which
result.json names.

A picture is converted to the channels and resized to the size of the training's stored images (28x28 in grey for
Fashion-MNIST), without keeping its proportions, and then preprocessed as in training. Fashion-MNIST's images are light
on black: for a network that was trained on them, invert photographs with a light background (--invert). A note says if
the pictures are much lighter or darker than the training's.

A picture in a folder named after a class, at any depth, is labelled with that class. The accuracy over the labelled
pictures is printed at the end.

exit status: 0; 1 if some pictures could not be read; 2 if RUN is invalid, there are no pictures, or a flag is unknown

examples:
  python -m gluon_classics predict runs/lenet-fashion-mnist-20170901-120000 boot.png photos/
  python -m gluon_classics predict RUN photos/ --csv --top 1 > predictions.csv
  python -m gluon_classics predict RUN photos/ --sheet sheet.png
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, NOTES
    add = parser.add_argument
    add("folder", type=run_folder, metavar="RUN", help="latest, or the run folder, or the exported artifact")
    add("pictures", nargs="+", metavar="PICTURE", help="picture files and folders with pictures")
    add("--top", type=whole_number, default=5, metavar="N", help="print the N most probable classes (default 5)")
    add("--invert", action="store_true", help="make light pixels dark and dark ones light, before anything else")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", help="print a JSON list")
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="print a row for each class")
    parser.set_defaults(form="text")
    add("--sheet", type=Path, metavar="PNG", help=f"draw up to {SHEET_PICTURES} of the pictures with their predictions")


def run(args: argparse.Namespace) -> int:
    """Predict, and print each result as it arrives. Returns 1 if some pictures could not be read, else 0.

    Raises ValueError for invalid arguments before anything is predicted.
    """
    predictor = inference.Predictor.load(args.folder)
    pictures = inference.find_pictures(args.pictures)
    _report_skipped(pictures, args.folder)
    if not pictures.found:
        raise ValueError(f"there are no pictures in {' '.join(map(printable, args.pictures))}")
    if args.sheet:
        _check_sheet(args.sheet, pictures)
    tally = Tally(len(pictures.found), SHEET_PICTURES if args.sheet else 0)
    results = tally.counting(inference.predict_files(predictor, pictures.found, args.top, args.invert))
    for block in inference.FORMS[args.form](results):
        if sys.stdout.isatty():
            block = "\n".join(map(printable, block.split("\n")))
        encoding = sys.stdout.encoding or "utf-8"  # characters it lacks and undecodable file names are escaped
        print(block.encode(encoding, "backslashreplace").decode(encoding), end="", flush=True)
    if tally.labelled:
        right, of = tally.right, tally.labelled
        words = f"accuracy {right / of:.4f}: {right:,} of {of:,} pictures in folders named after a class"
        print(words, file=sys.stdout if args.form == "text" else sys.stderr)
    if predictor.brightness and tally.brightness:
        mean, edge = np.mean(tally.brightness, axis=0)
        if predictor.brightness.is_far(mean, edge):
            _warn(_brightness_note(predictor.brightness, mean, edge, args.invert))
    if args.sheet:
        _draw_sheet(tally, predictor.classes, args.sheet, args.folder.resolve().name)
    return 1 if tally.failed or pictures.unreadable else 0


class Tally:
    """Counts predictions, prints the errors, and keeps `shown` of the predictions, evenly spaced, for the sheet."""

    def __init__(self, files: int, shown: int):
        self.files = files
        self.failed = self.labelled = self.right = 0
        self.brightness: list[tuple[float, float]] = []  # of each picture, as `data.image_brightness`
        self.kept: list[inference.Prediction] = []
        self._keep = set(np.linspace(0, files - 1, min(shown, files)).astype(int).tolist())

    def counting(self, results: Iterator[inference.Prediction]) -> Iterator[inference.Prediction]:
        # results on the screen are progress enough
        hidden = not sys.stderr.isatty() or sys.stdout.isatty()
        for i, result in enumerate(tqdm(results, total=self.files, unit=" pictures", disable=hidden)):
            if result.error:
                self.failed += 1
                _warn(f"{result.file}: {result.error}")
            elif result.label is not None:
                self.labelled += 1
                self.right += result.right
            if result.brightness:
                self.brightness.append(result.brightness)
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
        raise ValueError(f"--sheet {path}: the file must end in .png")
    if path.is_dir() or not path.parent.is_dir():
        what = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise ValueError(f"--sheet {path}: {what}; name a file to write")
    if path in pictures:
        raise ValueError(f"--sheet {path} is one of the pictures and would be overwritten: name another file")


def _report_skipped(pictures: inference.Pictures, folder: Path) -> None:
    inference.say_if_unfinished(folder)
    for name, reason in pictures.unreadable:
        _warn(f"{name}: {reason}")
    skipped = [
        (pictures.others, "without a picture's suffix"),
        (pictures.hidden, "hidden"),
        (pictures.repeated, "named before"),
    ]
    if any(count for count, _ in skipped):
        _warn("skipped: " + ", ".join(f"{count:,} {what}" for count, what in skipped if count))


def _brightness_note(training: Brightness, mean: float, edge: float, inverted: bool) -> str:
    away = abs(mean - training.mean) + abs(edge - training.edge_mean)
    nearer = abs(1 - mean - training.mean) + abs(1 - edge - training.edge_mean) < away
    way_out = (": leave --invert out" if inverted else ": --invert inverts them") if nearer else ""
    return (
        f"note: the pictures' mean brightness is {mean:.2f} ({edge:.2f} at the edge), far from the training images' "
        f"{training.mean:.2f} ({training.edge_mean:.2f}){way_out}"
    )


def _warn(line: str) -> None:
    tqdm.write(printable(line), file=sys.stderr)
