"""The results of runs as a Markdown table: python experiments/results.py runs/*"""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path

# Test accuracy with the book's recipe (Dive into Deep Learning), over its editions; its networks differ in places:
# LeNet has 6 and 16 channels there, and ResNet-18 batch norm and padding at the first convolution.
PUBLISHED = {
    "lenet": "0.754-0.764",
    "alexnet": "0.867",
    "vgg": "0.909-0.911",
    "nin": "0.812-0.828",
    "googlenet": "0.882-0.883",
    "resnet": "0.913-0.917",
}
HEADER = ["flags of do_exp.py", "images", "size", "epochs", "parameters", "test accuracy", "the book's", "seconds"]


def row(run: Path) -> list[str]:
    config, result = (json.loads((run / f"{name}.json").read_text(encoding="utf-8")) for name in ("config", "result"))
    return [
        f"`{shlex.join(_flags(config['command'][1:]))}`",
        f"{config['train_images']:,}",
        f"{config['resize']}x{config['resize']}",
        str(result["epochs"]),
        f"{config['parameters']:,}",
        f"{result['test_acc']:.3f}",
        PUBLISHED.get(config["net"], "") if config["dataset"].startswith("fashion-mnist") else "",
        f"{result['seconds']:,.0f}",
    ]


def _flags(flags: list[str]) -> list[str]:
    """The flags without the run folder, which changes no result."""
    if "--out" in flags:
        i = flags.index("--out")
        return flags[:i] + flags[i + 2 :]
    return flags


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders; those without a result are left out")
    runs = [run for run in parser.parse_args().runs if (run / "result.json").exists()]
    for cells in [HEADER, ["---"] * len(HEADER), *map(row, runs)]:
        print("|", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
