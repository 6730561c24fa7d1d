"""python -m gluon_classics export RUN: write a trained network as an artifact."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from gluon_classics import deploy, inference
from gluon_classics.commands.arguments import run_folder

NOTES = """\
RUN is a run folder of do_exp.py. OUT gets NAME-symbol.json and NAME-0000.params, which MXNet reads in any language;
signature.json; synset.txt (the classes); and model.json: preprocessing, versions, metrics, the SHA-256 of each file,
and a test input with its logits. OUT appears after a fresh process has loaded it and computed the same logits.

examples:
  python -m gluon_classics export runs/lenet-fashion-mnist-20170901-120000 -o lenet --preprocess
  python -m gluon_classics verify lenet
  python -m gluon_classics predict lenet boot.png
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, NOTES
    add = parser.add_argument
    add("folder", type=run_folder, metavar="RUN", help="latest, or the run folder")
    add("-o", "--out", type=Path, required=True, metavar="OUT", help="the folder to write; new or empty")
    add("--onnx", action="store_true", help="also write NAME.onnx, for onnxruntime and others")
    add("--int8", action="store_true", help="quantize the network for CPUs, and compare it on the test set")
    add(
        "--calibration",
        type=Path,
        metavar="DATA",
        help="with --int8: folder or archive of the run's data set (default: where the run found it)",
    )
    add(
        "--max-drop",
        type=_points,
        metavar="POINTS",
        help="with --int8: write nothing if top-1 accuracy drops by more points than this (default 1.0)",
    )
    add(
        "--preprocess",
        action="store_true",
        help="put resize, scale and normalisation into the graph, which then takes raw uint8 images (N, H, W, C)"
        " (default: float32 (N, C, H, W))",
    )


def _points(text: str) -> float:
    try:
        points = float(text)
    except ValueError:
        points = math.nan
    if not 0 <= points <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of points from 0 to 100")
    return points


def run(args: argparse.Namespace) -> int:
    if not args.int8 and (args.calibration or args.max_drop is not None):
        raise ValueError("--calibration and --max-drop need --int8: add it")
    int8 = deploy.Int8(args.calibration, 1.0 if args.max_drop is None else args.max_drop) if args.int8 else None
    inference.say_if_unfinished(args.folder)
    try:
        artifact = deploy.export_run(args.folder, args.out, args.preprocess, args.onnx, int8)
    except OSError as error:
        raise ValueError(f"{args.out}: cannot be written: {error.strerror or error}") from error
    print(artifact.describe())
    if int8:
        from gluon_classics.deploy.quantization import Report  # slow to import

        print(Report(**artifact.model["int8"]))
    whose, onnx = "quantized network" if int8 else "network", ", as are onnxruntime's" if args.onnx else ""
    print(f"a fresh process loaded it, and its logits are the {whose}'s{onnx}")
    return 0
