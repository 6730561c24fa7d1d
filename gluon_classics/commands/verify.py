"""python -m gluon_classics verify ARTIFACT: whether an artifact is what was exported, and still answers the same."""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_classics import inference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="ARTIFACT", help="a folder that export wrote")


def run(args: argparse.Namespace) -> int:
    """Check every file's SHA-256, and the logits of the test vector. Raises DamagedArtifact."""
    if (args.folder / "config.json").is_file() and not inference.is_artifact(args.folder):
        raise ValueError(f"{args.folder} is the folder of a run: export it first")
    artifact = inference.read_artifact(args.folder)
    device = artifact.choose_device()
    difference = artifact.verify(artifact.load_net(device), device)
    print(artifact.describe())
    print(f"all files are what was exported; the logits differ by {difference:.1e} at most")
    return 0
