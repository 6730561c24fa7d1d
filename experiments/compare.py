"""Compare networks: python experiments/compare.py runs/* -o comparison

Takes finished runs, or trains networks first: --train lenet googlenet --flags '--epochs 2'. The inference of each
network is measured in a new process, at the image size of its run. Writes comparison.md, comparison.csv and
comparison.png, which shows accuracy against parameters, multiply-accumulates and images/s.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import shlex
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gluon_classics.commands.arguments import whole_number

from benchmarks.turns import in_new_process, peak_mb

HEADER = ("network", "size", "test accuracy", "parameters", "MACs", "images/s", "peak MB")
TURNS, SECONDS = 5, 0.5
PANELS = {
    "parameters": ("parameters, millions", 1e6),
    "macs": ("multiply-accumulates per image, millions", 1e6),
    "images_per_second": ("inference, images/s", 1),
}
# The colour-blind safe palette of Okabe and Ito; numbers identify the networks as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#000000")
SIDEWAYS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))  # places of a number


def main() -> None:
    args = parse_args()
    runs = [folder for folder in args.runs if (folder / "result.json").is_file()]
    runs += [train(net, args.flags, args.out.parent / f"{args.out.name}-runs") for net in args.train]
    if not runs:
        sys.exit("compare.py: error: no folder of a finished run is given; name some, as runs/*, or --train NET")
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
    parser.add_argument("runs", nargs="*", type=Path, help="run folders; unfinished runs are skipped")
    parser.add_argument("--train", nargs="+", default=[], metavar="NET", help="networks to train first with do_exp.py")
    parser.add_argument("--flags", default="", help="flags for do_exp.py, in quotes")
    parser.add_argument("--batch-size", type=whole_number, default=32, help="images in a measured batch (default 32)")
    parser.add_argument("-o", "--out", type=Path, default=Path("comparison"), help="name of the files (comparison)")
    return parser.parse_args()


def train(net: str, flags: str, parent: Path) -> Path:
    """Train a network in a new folder of `parent`: NET, or NET-2, NET-3 ... if runs of it exist."""
    names = itertools.chain([net], (f"{net}-{n}" for n in itertools.count(2)))
    folder = next(parent / name for name in names if not (parent / name).exists())
    command = [sys.executable, str(ROOT / "experiments/do_exp.py"), "--net", net, "--out", str(folder)]
    done = subprocess.run([*command, *shlex.split(flags)])
    if done.returncode:  # do_exp.py has printed the reason
        sys.exit(done.returncode)
    return folder


def compared(folder: Path, batch_size: int) -> dict:
    """Return a row of the table: what the run recorded, and what is measured."""
    try:
        numbers = in_new_process(measure, folder, batch_size)
    except Exception as error:
        sys.exit(f"compare.py: error: {folder} cannot be measured: {error}")
    config, result = (json.loads((folder / name).read_text()) for name in ("config.json", "result.json"))
    return {
        "network": config["net"],
        "data": data_of(config),
        "size": config["resize"],
        "test_accuracy": result["test_acc"],
        **numbers,
    }


def data_of(config: dict) -> str:
    """Describe the data of a run, as far as it is recorded."""
    split = " ".join(map(str, config.get("split") or ()))
    images = config.get("train_images")
    parts = [config["dataset"], split, f"{images:,} training images" if images else ""]
    limit = config.get("limit_test")
    return ", ".join(filter(None, [*parts, f"{limit:,} test images" if limit else ""]))


def measure(folder: Path, batch_size: int) -> dict:
    """Return the size of a run's network, and the images/s (a median) and the peak memory of its inference."""
    from gluon_classics.inference import read_run
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
        "peak_mb": round(peak_mb()),
    }


def markdown(rows: list[dict], batch_size: int) -> str:
    from gluon_classics.insight import short

    lines = ["| " + " | ".join(HEADER) + " |", "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        cells = [
            row["network"],
            f"{row['size']}x{row['size']}",
            f"{row['test_accuracy']:.3f}",
            f"{row['parameters']:,}",
            short(row["macs"]),
            f"{row['images_per_second']:,.1f}",
            f"{row['peak_mb']:,}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    text = "\n".join(lines) + f"\n\nInference in float32 at batches of {batch_size}.\n"
    if len({row["data"] for row in rows}) > 1:
        text += "\nThe accuracies are not comparable, because the runs had different data:\n\n"
        text += "".join(f"- {row['network']}: {row['data']}\n" for row in rows)
    return text


def draw(rows: list[dict], path: Path) -> None:
    """Draw accuracy against each of PANELS. The area of a bubble is the memory of inference."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    figure = Figure(figsize=(12, 4 + 0.2 * -(-len(rows) // 3)), layout="constrained", dpi=110)
    areas = [60 + 600 * row["peak_mb"] / max(each["peak_mb"] for each in rows) for row in rows]
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(rows))]
    accuracies = [row["test_accuracy"] for row in rows]
    grid = figure.subplots(1, len(PANELS), sharey=True)
    for axes, (key, (label, unit)) in zip(grid, PANELS.items()):
        values = [row[key] / unit for row in rows]
        axes.scatter(values, accuracies, s=areas, color=colours, alpha=0.55, edgecolor="black", linewidth=0.8)
        axes.set_xscale("log")
        low, high = min(values), max(values)
        margin = max(1.5, (6 / (high / low)) ** 0.5)  # a factor of 6 holds two ticks or more
        axes.set_xlim(low / margin, high * margin)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 100 else (1,)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
        axes.margins(y=0.15)
    grid[0].set_ylabel("test accuracy")
    figure.suptitle("Accuracy against size, work and speed; the area of a bubble is the memory of inference")
    dots = [Line2D([], [], marker="o", linestyle="", color=colour) for colour in colours]
    names = [f"{number + 1} {row['network']}, {row['peak_mb']:,} MB" for number, row in enumerate(rows)]
    figure.legend(dots, names, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.draw_without_rendering()  # fixes where the bubbles are, in pixels
    for axes, (key, (_, unit)) in zip(grid, PANELS.items()):
        number_bubbles(axes, [(row[key] / unit, row["test_accuracy"]) for row in rows], areas)
    figure.savefig(path)


def number_bubbles(axes, centres: list[tuple[float, float]], areas: list[float]) -> None:
    """Write each number into its bubble, or next to it if another number is there."""
    taken: list[tuple[float, float]] = []
    points = 72 / axes.figure.dpi
    for number, (centre, area) in enumerate(zip(centres, areas)):
        x, y = axes.transData.transform(centre) * points
        reach = area**0.5 / 2 + 7
        free = [
            (dx * reach, dy * reach)
            for dx, dy in SIDEWAYS
            if all(abs(x + dx * reach - u) > 13 or abs(y + dy * reach - v) > 9 for u, v in taken)
        ]
        dx, dy = free[0] if free else (0, 0)
        taken.append((x + dx, y + dy))
        text = axes.annotate(str(number + 1), centre, (dx, dy), textcoords="offset points", ha="center", va="center")
        text.set(size=9, in_layout=False)


if __name__ == "__main__":
    main()
