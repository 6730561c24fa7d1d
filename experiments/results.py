"""Print the results of runs as Markdown tables: python experiments/results.py runs/*

Runs that differ in their seed alone are one row, with the mean of their test accuracies and their range. There is a
table for each recipe, and one for data sets that the runs split themselves, with a column for each split.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from pathlib import Path
from statistics import mean
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_classics.training.config import FREE, SPLIT_HERE, flag, settings_that

# Test accuracy with the recipe of the book (Dive into Deep Learning), over its editions. Some of its networks differ:
# its LeNet has 6 and 16 channels, its ResNet-18 has batch norm and padding at the first convolution.
PUBLISHED = {
    "lenet": "0.754-0.764",
    "alexnet": "0.867",
    "vgg": "0.909-0.911",
    "nin": "0.812-0.828",
    "googlenet": "0.882-0.883",
    "resnet": "0.913-0.917",
}
NOT_SHOWN = {flag(name) for name in settings_that(FREE)} | {"--seed", "--data-dir"}


class Run(NamedTuple):
    """What the folder of a finished run records."""

    config: dict
    result: dict

    def flags(self, *left_out: str) -> str:
        """Return the command's flags except those that do not affect the results, the seed, and `left_out`."""
        kept, words, skipping = [], self.config["command"][1:], False
        for word in words:
            if word.startswith("--"):
                skipping = word.partition("=")[0] in {*NOT_SHOWN, *left_out}
            if not skipping:
                kept.append(word)
        return f"`{shlex.join(kept)}`"

    @property
    def split(self) -> str:
        """The split, of data sets that a run splits itself; otherwise empty."""
        default = ["random"] if self.config.get("dataset") in SPLIT_HERE else []
        return " ".join(map(str, self.config.get("split") or default))


def read_runs(folders: list[Path]) -> list[Run]:
    """Read the folders of the finished runs; others are skipped."""
    return [
        Run(*(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("config", "result")))
        for folder in folders
        if (folder / "result.json").exists()
    ]


def tables(runs: list[Run]) -> dict[str, list[list[str]]]:
    """Return the tables by name, a recipe or "splits"; each a list of rows, of which the first is the header."""
    found = {}
    for recipe in dict.fromkeys(run.config["recipe"] for run in runs if not run.split):
        found[recipe] = recipe_table([run for run in runs if run.config["recipe"] == recipe and not run.split], recipe)
    with_split = [run for run in runs if run.split]
    if with_split:
        found["splits"] = split_table(with_split)
    return found


def recipe_table(runs: list[Run], recipe: str) -> list[list[str]]:
    """Return a row for each command, over its seeds."""
    published = recipe == "book"
    header = ["flags of do_exp.py", "images", "size", "epochs", "parameters", "seeds", "test accuracy"]
    rows = [[*header, *["published"] * published, "seconds"]]
    for flags, group in grouped(runs, Run.flags).items():
        config, result = group[-1]
        rows.append(
            [
                flags,
                f"{config['train_images']:,}",
                f"{config['resize']}x{config['resize']}",
                str(result["epochs"]),
                f"{config['parameters']:,}",
                str(len(group)),
                accuracy(group),
                *[PUBLISHED.get(config["net"], "")] * published,
                seconds(group),
            ]
        )
    return rows


def split_table(runs: list[Run]) -> list[list[str]]:
    """Return a row for each command, with the test accuracy and seconds of each split."""
    splits = list(dict.fromkeys(run.split for run in runs))
    rows = [["flags of do_exp.py", "size", "epochs", "parameters", *splits, *(f"seconds, {split}" for split in splits)]]
    for flags, group in grouped(runs, lambda run: run.flags("--split")).items():
        config, result = group[0]
        found = [[run for run in group if run.split == split] for split in splits]
        size = f"{config['resize']}x{config['resize']}"
        rows.append(
            [
                flags,
                size,
                str(result["epochs"]),
                f"{config['parameters']:,}",
                *map(accuracy, found),
                *map(seconds, found),
            ]
        )
    return rows


def grouped(runs: list[Run], key) -> dict[str, list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return groups


def accuracy(group: list[Run]) -> str:
    """The mean over the seeds, and the range if there are several."""
    values = [run.result["test_acc"] for run in group]
    if len(values) < 2:
        return "".join(f"{value:.3f}" for value in values)
    return f"{mean(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def seconds(group: list[Run]) -> str:
    return f"{mean(run.result['seconds'] for run in group):,.0f}" if group else ""


def markdown(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [rows[0], ["---"] * len(rows[0]), *rows[1:]])


def fill(page: str, found: dict[str, list[list[str]]]) -> str:
    """Return the page with each table between its markers, <!-- table: NAME --> and <!-- end -->."""
    for name, rows in found.items():
        page = re.sub(
            rf"(<!-- table: {name} -->\n).*?(<!-- end -->)",
            lambda match, rows=rows: f"{match[1]}{markdown(rows)}\n{match[2]}",
            page,
            flags=re.DOTALL,
        )
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders; unfinished runs are skipped")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the tables between the markers in this page")
    args = parser.parse_args()
    runs = read_runs(args.runs)
    if not runs:
        sys.exit("results.py: error: no folder of a finished run, with a result.json, is given; name some, as runs/*")
    found = tables(runs)
    if args.page:
        args.page.write_text(fill(args.page.read_text(encoding="utf-8"), found), encoding="utf-8")
        return
    for name, rows in found.items():
        print(f"{name}:\n\n{markdown(rows)}\n")


if __name__ == "__main__":
    main()
