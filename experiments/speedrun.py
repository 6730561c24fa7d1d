"""Measure the shortest time to a test accuracy on Fashion-MNIST: python experiments/speedrun.py 90

Runs do_exp.py with the settings of the target, 90, 92 or 94 %, with one seed after another, and prints a row of the
results table: the test accuracy, and the time of the command from start to exit. As in airbench (Jordan 2024), the
number of epochs is fixed beforehand so that the mean reaches the target, and the test set is read once, at the end of
each run. The log, with the source that made it, is written next to the runs. Other flags are passed to do_exp.py.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_classics import runtime
from gluon_classics.commands.arguments import whole_number
from gluon_classics.training.resuming import commit

ROOT = Path(__file__).resolve().parents[1]
# Flags of do_exp.py by the accuracy that they reach, in percent.
TARGETS = {
    90: ["--net", "lenet", "--recipe", "speedrun"],
    92: ["--net", "lenet", "--recipe", "speedrun", "--epochs", "16", "--flip"],
    94: ["--net", "vgg", "--recipe", "speedrun"],
}


def run(target: int, seed: int, folder: Path, flags: list[str]) -> tuple[float, float]:
    """Return the test accuracy and seconds of one run."""
    command = [sys.executable, str(ROOT / "experiments/do_exp.py"), *TARGETS[target], *flags]
    began = perf_counter()
    subprocess.run([*command, "--seed", str(seed), "--out", str(folder)], check=True, stdout=subprocess.DEVNULL)
    seconds = perf_counter() - began
    return json.loads((folder / "result.json").read_text())["test_acc"], seconds


def hardware() -> str:
    return f"{len(os.sched_getaffinity(0))} cores of {runtime.describe().processor}"


def write_log(path: Path, folders: list[Path], row: str) -> None:
    """Write all that made the row: commit, source of the recipes, and the settings and output of the runs."""
    parts = [f"commit {commit()}", row]
    parts += [(ROOT / "gluon_classics" / source).read_text() for source in ("training/recipes.py", "do_exp.py")]
    for folder in folders:
        parts += [(folder / name).read_text() for name in ("config.json", "log.txt", "result.json")]
    path.write_text("\n\n".join(parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=int, choices=TARGETS, help="accuracy in percent")
    parser.add_argument("--seeds", type=whole_number, default=5, help="number of runs (default 5)")
    parser.add_argument("--out", type=Path, default=Path("runs/speedrun"), help="folder (default runs/speedrun)")
    args, flags = parser.parse_known_args()
    folders = [args.out / f"{args.target}-{seed}" for seed in range(args.seeds)]
    try:
        results = [run(args.target, seed, folder, flags) for seed, folder in enumerate(folders)]
    except subprocess.CalledProcessError as error:  # do_exp.py has printed the reason
        sys.exit(error.returncode)
    accuracies, seconds = zip(*results)
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    cells = [
        f"{args.target} %",
        f"`speedrun.py {' '.join([str(args.target), *flags])}`",
        f"{statistics.mean(accuracies):.4f} ± {spread:.4f}, {min(accuracies):.4f} to {max(accuracies):.4f}",
        str(len(accuracies)),
        f"{statistics.mean(seconds):.0f}",
        hardware(),
    ]
    row = f"| {' | '.join(cells)} |"
    write_log(args.out / f"{args.target}.log", folders, row)
    print(row)


if __name__ == "__main__":
    main()
