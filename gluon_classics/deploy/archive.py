"""Model archives (.mar) for Multi Model Server: an artifact, its handler, and a copy of this package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import gluon_classics
from gluon_classics.deploy.handler import ARTIFACT
from gluon_classics.deploy.temporary import TemporaryFolder
from gluon_classics.inference.artifact import MODEL, SEAL, Artifact
from gluon_classics.whole_file import whole_file

HANDLER = "picture_handler"
INSTALL = "pip install multi-model-server==1.1.11 model-archiver==1.0.3"


def pack(artifact: Artifact, folder: Path) -> Path:
    """Write folder/NAME.mar with model-archiver, and return its path.

    Raises ValueError if the file exists, or if model-archiver is missing or fails; OSError if it cannot be written.
    """
    path = folder / f"{artifact.name}.mar"
    if path.exists():
        raise ValueError(f"{path} exists: remove it, or name another folder")
    package = Path(gluon_classics.__file__).parent
    with TemporaryFolder() as temporary:
        source, made = temporary / "source", temporary / path.name
        (source / ARTIFACT).mkdir(parents=True)
        for name in [*artifact.model["files"], MODEL, SEAL]:
            shutil.copy(artifact.path / name, source / ARTIFACT)
        shutil.copytree(package, source / package.name, ignore=shutil.ignore_patterns("__pycache__", "samples"))
        shutil.copy(package / "deploy" / "handler.py", source / f"{HANDLER}.py")
        command = [sys.executable, "-c", "from model_archiver.model_packaging import generate_model_archive as g; g()"]
        command += ["--model-name", artifact.name, "--model-path", str(source), "--handler", f"{HANDLER}:handle"]
        done = subprocess.run([*command, "--export-path", str(temporary)], capture_output=True, text=True)
        if done.returncode or not made.is_file():
            reason = (done.stderr or done.stdout).strip().rpartition("\n")[2]
            hint = f": {INSTALL}" if "model_archiver" in reason else ""
            raise ValueError(f"model-archiver could not write {path}: {reason}{hint}")
        with whole_file(path) as part:
            shutil.copyfile(made, part)
    return path
