"""Make the runs of a table of docs/results.md: python experiments/reproduce.py book

The tables are book, tutorial, modern, coil20 and default. Finished runs are skipped and interrupted ones are resumed:
the same command continues after any interruption. Each run is a process of its own, with the folder FOLDER/NAME; what
docs/results.md is made from, without weights, is copied to docs/logs/NAME. `results.py docs/logs/*` prints the tables.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "docs" / "logs"
KEPT = ("config.json", "metrics.csv", "log.txt", "result.json", "curves.png")
COIL20 = "--dataset coil20 --data-dir {coil20} --val-fraction 0.1"


class Row(NamedTuple):
    """A row of a table: a command with some seeds. A seed takes about `minutes` on two cores of an AMD EPYC."""

    net: str
    minutes: int
    seeds: int = 1
    flags: str = ""
    suffix: str = ""  # of the folders' names


BFLOAT16 = "--dtype bfloat16"
TABLES = {
    "default": [Row("lenet", 2, 3)],
    "book": [
        Row("lenet", 2, 3),
        Row("lenet", 2, 3, BFLOAT16, "-bf16"),
        Row("googlenet", 27, 3, BFLOAT16, "-bf16"),
        Row("resnet", 30, 3, BFLOAT16, "-bf16"),
        Row("nin", 62, 1, BFLOAT16, "-bf16"),
        Row("vgg", 90, 1, BFLOAT16, "-bf16"),
        Row("alexnet", 105, 1, BFLOAT16, "-bf16"),
    ],
    "tutorial": [
        Row("lenet", 4),
        Row("alexnet", 22, 1, BFLOAT16, "-bf16"),
        Row("nin", 13, 1, BFLOAT16, "-bf16"),
        Row("googlenet", 28, 1, BFLOAT16, "-bf16"),
        Row("resnet", 32, 1, BFLOAT16, "-bf16"),
        Row("vgg", 240, 1, BFLOAT16, "-bf16"),
    ],
    "modern": [Row("resnet18", 60, 1, BFLOAT16, "-bf16")],
    "coil20": [
        Row(f"coil20_{net}", minutes, 1, f"{COIL20} --split {split} {flags}".strip(), f"-{split}")
        for net, minutes, flags in (
            ("lenet", 7, ""),
            ("alexnet", 8, BFLOAT16),
            ("googlenet", 12, BFLOAT16),
            ("vgg16", 19, f"--resize 64 {BFLOAT16}"),
            ("resnet50", 20, BFLOAT16),
            ("efficientnet", 10, ""),
        )
        for split in ("random", "pose-block")
    ],
}


def runs(table: str, nets: list[str] | None, coil20: str) -> dict[str, tuple[list[str], int]]:
    """Return the flags and the minutes of each run of a table, by the name of its folder."""
    recipe = [] if table == "coil20" else ["--recipe", table]
    found = {}
    for row in TABLES[table]:
        if nets and row.net not in nets:
            continue
        flags = [coil20 if word == "{coil20}" else word for word in row.flags.split()]
        for seed in range(row.seeds):
            name = f"{table}-{row.net}{row.suffix}-{seed}"
            found[name] = (["--net", row.net, *recipe, *flags, "--seed", str(seed)], row.minutes)
    return found


def keep(run: Path) -> None:
    """Copy what documents a finished run to docs/logs."""
    (LOGS / run.name).mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        shutil.copyfile(run / name, LOGS / run.name / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--nets", nargs="+", metavar="NET", help="these networks only")
    parser.add_argument("--folder", type=Path, default=Path("runs/reproduce"), help="default: %(default)s")
    parser.add_argument("--coil20", default="coil-20-proc.zip", metavar="ZIP", help="COIL-20's archive (%(default)s)")
    args = parser.parse_args()
    wanted = runs(args.table, args.nets, args.coil20)
    missing = [name for name in wanted if not (args.folder / name / "result.json").exists()]
    minutes = sum(wanted[name][1] for name in missing)
    print(f"{len(missing)} of {len(wanted)} runs are to be made: about {minutes / 60:.1f} hours on two quiet cores")
    for name in wanted:
        run = args.folder / name
        if name in missing:
            print(f"\n{name}", flush=True)
            script = [sys.executable, str(ROOT / "experiments" / "do_exp.py")]
            done = subprocess.run([*script, *wanted[name][0], "--resume", "--out", str(run)])
            if done.returncode:
                sys.exit(f"{name} ended with status {done.returncode}; the same command continues")
        keep(run)
        accuracy = json.loads((run / "result.json").read_text())["test_acc"]
        print(f"{name}: test accuracy {accuracy:.4f}, in {LOGS / name}")


if __name__ == "__main__":
    main()
