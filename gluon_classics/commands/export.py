"""python -m gluon_classics export RUN: a trained network as an artifact."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from gluon_classics import deploy, inference

NOTES = """\
RUN is a folder that do_exp.py left. OUT gets NAME-symbol.json and NAME-0000.params, which MXNet reads in any language;
signature.json, synset.txt (the classes), and model.json: preprocessing, versions, metrics, SHA-256 of each file, and an
input with its logits. Before OUT appears, a fresh process has loaded it and given the same logits.

examples:
  python -m gluon_classics export runs/lenet-fashion-mnist-20170901-120000 -o lenet --preprocess
  python -m gluon_classics verify lenet
  python -m gluon_classics predict lenet boot.png
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, NOTES
    parser.add_argument("folder", type=Path, metavar="RUN", help="the run folder")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="OUT", help="the folder to write; new or empty"
    )
    parser.add_argument("--onnx", action="store_true", help="write NAME.onnx, too, for onnxruntime and others")
    parser.add_argument("--int8", action="store_true", help="quantize it for CPUs, and compare it on the test set")
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="DATA",
        help="with --int8: folder or archive of the run's data set (default: where the run found it)",
    )
    parser.add_argument(
        "--max-drop",
        type=_points,
        metavar="POINTS",
        help="with --int8: the top-1 accuracy that it may cost, in points (default 1.0); else nothing is written",
    )
    parser.add_argument(
        "--preprocess",
        action="store_true",
        help="put resize, scale and normalisation into the graph, which then takes raw uint8 images (N, H, W, C)"
        " (else float32 (N, C, H, W))",
    )


def _points(text: str) -> float:
    try:
        points = float(text)
    except ValueError:
        points = math.nan
    if not 0 <= points <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of points, 0 to 100")
    return points


def run(args: argparse.Namespace) -> int:
    if not args.int8 and (args.calibration or args.max_drop is not None):
        raise ValueError("--calibration and --max-drop are of --int8: add that")
    int8 = deploy.Int8(args.calibration, 1.0 if args.max_drop is None else args.max_drop) if args.int8 else None
    inference.say_if_unfinished(args.folder)
    try:
        artifact = deploy.export_run(args.folder, args.out, args.preprocess, args.onnx, int8)
    except OSError as error:
        raise ValueError(f"{args.out}: cannot be written: {error.strerror or error}") from error
    print(artifact.describe())
    if int8:
        from gluon_classics.deploy.quantization import Report  # it takes a while to import

        print(Report(**artifact.model["int8"]))
    whose = "quantized network" if int8 else "network"
    onnx = ", as are onnxruntime's" if args.onnx else ""
    print(f"a fresh process loaded it, and its logits are the {whose}'s{onnx}")
    return 0
