"""Networks side by side: python experiments/compare.py runs/* -o comparison

Takes finished runs, or trains them first: --train lenet googlenet --flags '--epochs 2'. Each network's inference is
then measured by itself, in a process of its own, at the size that the run was trained at. Writes comparison.md,
comparison.csv and comparison.png: accuracy against parameters, multiply-accumulates and images/s; the area of a bubble
is the memory that inference took.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import shlex
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gluon_classics.commands.arguments import whole_number

HEADER = ("network", "size", "test accuracy", "parameters", "MACs", "images/s", "peak MB")
MEASURE = "--measure-alone"  # what the script calls itself with
TURNS, SECONDS = 5, 0.5
# Of the colour-blind safe palette of Okabe and Ito, and marks, so that colour is not all that tells them apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#000000")


def main() -> None:
    if sys.argv[1:2] == [MEASURE]:
        print(json.dumps(measure(Path(sys.argv[2]), int(sys.argv[3]))))
        return
    args = parse_args()
    runs = [folder for folder in args.runs if (folder / "result.json").is_file()]
    runs += [train(net, args.flags, args.out.parent / f"{args.out.name}-runs" / net) for net in args.train]
    if not runs:
        sys.exit(
            "compare.py: error: none of these is the folder of a finished run; name all, as runs/*, or --train NET"
        )
    rows = sorted((compared(folder, args.batch_size) for folder in runs), key=lambda row: row["parameters"])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    text = markdown(rows, args.batch_size)
    args.out.with_suffix(".md").write_text(text, encoding="utf-8")
    with open(args.out.with_suffix(".csv"), "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    draw(rows, args.out.with_suffix(".png"))
    print(text)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="run folders; those without a result are left out")
    parser.add_argument("--train", nargs="+", default=[], metavar="NET", help="networks to train first, by do_exp.py")
    parser.add_argument("--flags", default="", help="more flags for do_exp.py, in quotes")
    parser.add_argument("--batch-size", type=whole_number, default=32, help="of the measurement (default 32)")
    parser.add_argument("-o", "--out", type=Path, default=Path("comparison"), help="the files' name (comparison)")
    return parser.parse_args()


def train(net: str, flags: str, folder: Path) -> Path:
    command = [sys.executable, str(ROOT / "experiments/do_exp.py"), "--net", net, "--out", str(folder)]
    done = subprocess.run([*command, *shlex.split(flags)])
    if done.returncode:  # it has said why
        sys.exit(done.returncode)
    return folder


def compared(folder: Path, batch_size: int) -> dict:
    """A row of the table: what the run tells, and what is measured."""
    command = [sys.executable, __file__, MEASURE, str(folder), str(batch_size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"compare.py: error: {folder} cannot be measured")
    config, result = (json.loads((folder / name).read_text()) for name in ("config.json", "result.json"))
    numbers = json.loads(done.stdout)
    return {
        "network": config["net"],
        "data": told_data(config),
        "size": config["resize"],
        "test_accuracy": result["test_acc"],
        "parameters": numbers["parameters"],
        "macs": numbers["macs"],
        "images_per_second": numbers["images_per_second"],
        "peak_mb": numbers["peak_mb"],
    }


def told_data(config: dict) -> str:
    """What a run was trained on, as far as it tells."""
    split = " ".join(map(str, config.get("split") or ()))
    images = config.get("train_images")
    parts = [config["dataset"], split, f"{images:,} training images" if images else ""]
    limit = config.get("limit_test")
    return ", ".join(filter(None, [*parts, f"{limit:,} test images" if limit else ""]))


def measure(folder: Path, batch_size: int) -> dict:
    """Of a run's network: its size, and images/s (the median of some turns) and peak memory of inference."""
    from gluon_classics.inference.runs import read_run
    from gluon_classics.insight import summarize

    import mxnet as mx
    from mxnet import nd

    run = read_run(folder)
    net = run.load_net(mx.cpu())
    images = nd.random.uniform(shape=(batch_size, run.channels, run.transform.resize, run.transform.resize))
    summary = summarize(net, images.shape[1:])
    net.hybridize(static_alloc=True, static_shape=True)
    for _ in range(3):
        net(images).wait_to_read()
    speeds = []
    for _ in range(TURNS):
        began, count = perf_counter(), 0
        while perf_counter() - began < SECONDS:
            net(images).wait_to_read()
            count += batch_size
        speeds.append(count / (perf_counter() - began))
    return {
        "parameters": summary.parameters,
        "macs": summary.macs,
        "images_per_second": round(median(speeds), 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def markdown(rows: list[dict], batch_size: int) -> str:
    from gluon_classics.commands.list import short

    lines = ["| " + " | ".join(HEADER) + " |", "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        cells = [
            row["network"],
            f"{row['size']}x{row['size']}",
            f"{row['test_accuracy']:.3f}",
            f"{row['parameters']:,}",
        ]
        cells += [short(row["macs"]), f"{row['images_per_second']:,.1f}", f"{row['peak_mb']:,}"]
        lines.append(f"| {' | '.join(cells)} |")
    text = "\n".join(lines) + f"\n\nInference in float32 at batches of {batch_size}.\n"
    if len({row["data"] for row in rows}) > 1:
        text += "\nThe accuracies do not compare, for the runs had different data:\n\n"
        text += "".join(f"- {row['network']}: {row['data']}\n" for row in rows)
    return text


def draw(rows: list[dict], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.2), layout="constrained")
    panels = [
        ("parameters", "parameters, millions", 1e6),
        ("macs", "multiply-accumulates of one image, millions", 1e6),
        ("images_per_second", "inference, images/s", 1),
    ]
    largest = max(row["peak_mb"] for row in rows)
    grid = figure.subplots(1, 3, sharey=True)
    for axes, (key, label, unit) in zip(grid, panels):
        for number, row in enumerate(rows):
            area = 60 + 600 * row["peak_mb"] / largest
            x, y = row[key] / unit, row["test_accuracy"]
            axes.scatter(
                x, y, s=area, color=COLOURS[number % len(COLOURS)], alpha=0.55, edgecolor="black", linewidth=0.8
            )
            axes.annotate(str(number + 1), (x, y), ha="center", va="center", size=9)
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
        axes.margins(0.15)
    grid[0].set_ylabel("test accuracy")
    names = [f"{number + 1} {row['network']}, {row['peak_mb']:,} MB" for number, row in enumerate(rows)]
    figure.suptitle("Accuracy against size, work and speed; a bubble's area is the memory of inference")
    figure.legend([*map(_dot, range(len(rows)))], names, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)


def _dot(number: int):
    from matplotlib.lines import Line2D

    return Line2D([], [], marker="o", linestyle="", color=COLOURS[number % len(COLOURS)])


if __name__ == "__main__":
    main()
