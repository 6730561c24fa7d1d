"""Compare the speed of this project with other implementations: python experiments/benchmark.py train lenet resnet

The sides of a benchmark take turns in one run, and each figure is the median over the turns. Machines are noisy: only
ratios within one run are meaningful.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

BENCHMARKS = {
    "train": "training and inference, compared with the tutorial's code and PyTorch",
    "models": "every network forward and backward, compared with gluoncv and PyTorch",
    "inference": "exported networks, compared with onnxruntime and PyTorch",
    "serve": "a served LeNet under load",
    "loader": "data loaders: the tutorial's, Gluon's and this project's",
    "decode": "decoding a folder of images, compared with Pillow alone",
    "distributed": "two workers, compared with one",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="benchmark", required=True)
    for name, text in BENCHMARKS.items():
        command = commands.add_parser(name, help=text)
        if sys.argv[1:2] == [name]:  # import only this one: each import of MXNet takes seconds
            module = importlib.import_module(f"benchmarks.{name}")
            command.description = module.__doc__
            command.formatter_class = argparse.RawDescriptionHelpFormatter
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    args = parser.parse_args()

    from gluon_classics import runtime

    here = runtime.describe()
    print(f"Python {here.python}, NumPy {here.numpy}, MXNet {here.mxnet}, {here.threads} threads")
    args.run(args)


if __name__ == "__main__":
    main()
