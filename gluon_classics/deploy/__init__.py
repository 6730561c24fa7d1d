"""Trained networks at work: prediction from what a training run left, and artifacts for other processes.

    predictor = Predictor.from_run("runs/lenet-fashion-mnist-20170901-120000")
    probabilities = predictor(images)  # uint8 (N, H, W, C) to float32 (N, classes)

``python -m gluon_classics predict`` does it for picture files.
"""

from gluon_classics.deploy.artifact import Artifact, DamagedArtifact, read_artifact
from gluon_classics.deploy.contact_sheet import Tile, draw_contact_sheet
from gluon_classics.deploy.exporting import Trained, export, export_run
from gluon_classics.deploy.predictor import Predictor
from gluon_classics.deploy.runs import Run, read_run

__all__ = [
    "Artifact",
    "DamagedArtifact",
    "Predictor",
    "Run",
    "Tile",
    "Trained",
    "draw_contact_sheet",
    "export",
    "export_run",
    "read_artifact",
    "read_run",
]
