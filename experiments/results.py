"""Print the results of runs as a Markdown table: python experiments/results.py runs/*

Runs with a split have a separate table: a row for each network, and columns for the splits. Of runs with equal flags,
it shows the last one.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

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
HEADER = ["flags of do_exp.py", "images", "size", "epochs", "parameters", "test accuracy", "the book's", "seconds"]


class Run(NamedTuple):
    """What the folder of a finished run records."""

    config: dict
    result: dict

    def flags(self, left_out: str) -> str:
        """Return the command's flags except --out and those that match `left_out`."""
        flags = shlex.join(self.config["command"][1:])
        return f"`{re.sub(rf'--(out|{left_out})(=[^ ]+|( (?!--)[^ ]+)+) ?', '', flags).strip()}`"

    @property
    def split(self) -> str:
        """The split, of data sets that a run splits itself; otherwise empty."""
        default = ["random"] if self.config.get("dataset") in ("coil20", "folder") else []
        return " ".join(map(str, self.config.get("split") or default))


def read_run(folder: Path) -> Run:
    return Run(*(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("config", "result")))


def row(run: Run) -> list[str]:
    config, result = run
    return [
        run.flags("out"),
        f"{config['train_images']:,}",
        f"{config['resize']}x{config['resize']}",
        str(result["epochs"]),
        f"{config['parameters']:,}",
        f"{result['test_acc']:.3f}",
        PUBLISHED.get(config["net"], "") if config["dataset"].startswith("fashion-mnist") else "",
        f"{result['seconds']:,.0f}",
    ]


def split_table(runs: list[Run]) -> list[list[str]]:
    """Return a row for each network and its flags, with the test accuracy and seconds of each split."""
    splits = list(dict.fromkeys(run.split for run in runs))
    by_flags: dict[str, dict[str, Run]] = {}
    for run in runs:
        by_flags.setdefault(run.flags("split"), {})[run.split] = run
    rows = [["flags of do_exp.py", "size", "epochs", "parameters", *splits, *(f"seconds, {split}" for split in splits)]]
    for flags, by_split in by_flags.items():
        config, result = next(iter(by_split.values()))
        found = [by_split.get(split) for split in splits]
        rows.append(
            [
                flags,
                f"{config['resize']}x{config['resize']}",
                str(result["epochs"]),
                f"{config['parameters']:,}",
                *(f"{run.result['test_acc']:.3f}" if run else "" for run in found),
                *(f"{run.result['seconds']:,.0f}" if run else "" for run in found),
            ]
        )
    return rows


def print_table(rows: list[list[str]]) -> None:
    for cells in [rows[0], ["---"] * len(rows[0]), *rows[1:]]:
        print("|", " | ".join(cells), "|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders; unfinished runs are skipped")
    runs = [read_run(folder) for folder in parser.parse_args().runs if (folder / "result.json").exists()]
    if not runs:
        sys.exit("results.py: error: no folder of a finished run, with a result.json, is given; name some, as runs/*")
    with_split = [run for run in runs if run.split]
    without = [run for run in runs if not run.split]
    if without:
        print_table([HEADER, *map(row, without)])
    if without and with_split:
        print()
    if with_split:
        print_table(split_table(with_split))


if __name__ == "__main__":
    main()
