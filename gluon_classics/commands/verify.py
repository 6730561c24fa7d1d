"""python -m gluon_classics verify ARTIFACT: check that an artifact is intact and gives the exported answers."""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_classics import inference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="ARTIFACT", help="a folder that export wrote")


def run(args: argparse.Namespace) -> int:
    """Check the SHA-256 of every file, and the logits of the test vector. Raises DamagedArtifact."""
    if (args.folder / "config.json").is_file() and not inference.is_artifact(args.folder):
        raise ValueError(f"{args.folder} is a run folder: export it first")
    artifact = inference.read_artifact(args.folder)
    device = artifact.choose_device()
    difference = artifact.verify(artifact.load_net(device), device)
    print(artifact.describe())
    print(f"all files are intact; the logits differ by at most {difference:.1e}")
    return 0
