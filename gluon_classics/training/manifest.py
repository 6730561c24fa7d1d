"""The manifest of a checkpoint: its files with sizes and SHA-256, so that any damage is noticed."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import asdict
from pathlib import Path

from gluon_classics import __version__, runtime, whole_file
from gluon_classics.training.durable import on_disk
from gluon_classics.whole_file import seal, sha256, verify, verify_seal

FORMAT = 1
MANIFEST, SEAL = "manifest.json", "manifest.json.sha256"


class DamagedCheckpoint(ValueError):
    """A checkpoint differs from what was written. The message names folder, file and problem."""


reading = functools.partial(whole_file.reading, damaged=DamagedCheckpoint)


def write_manifest(folder: Path) -> None:
    """Write the manifest of all files in `folder`, and the manifest's own SHA-256. Raises OSError."""
    files = {file.name: {"sha256": sha256(file), "bytes": file.stat().st_size} for file in sorted(folder.iterdir())}
    versions = {**asdict(runtime.describe()), "gluon_classics": __version__}
    with on_disk(folder / MANIFEST) as file:
        file.write_text(json.dumps({"format": FORMAT, "versions": versions, "files": files}, indent=2) + "\n")
    with on_disk(folder / SEAL) as file:
        file.write_text(seal(folder / MANIFEST))


def verified_files(folder: Path) -> list[Path]:
    """Verify every byte of the files in the manifest, and return their paths.

    Raises DamagedCheckpoint, and ValueError for the format of another version of gluon-classics.
    """
    with reading(folder / SEAL):
        sealed = (folder / SEAL).read_bytes()
    with reading(folder / MANIFEST) as file:
        verify_seal(file, sealed)
        manifest = json.loads(file.read_bytes())
        found = manifest["format"]
    if found != FORMAT:
        raise ValueError(
            f"{folder} has format {found}, and this gluon-classics, {__version__}, reads format {FORMAT}: "
            f"use the version that wrote it, which is in its {MANIFEST}"
        )
    with reading(folder / MANIFEST):
        files = dict(manifest["files"])
    for name, entry in files.items():
        with reading(folder / name) as file:
            if not re.fullmatch(r"[\w-]+\.(params|json)", name):
                raise ValueError("this is not the name of a checkpoint's file")
            verify(file, entry["bytes"], entry["sha256"])
    return [folder / name for name in files]
