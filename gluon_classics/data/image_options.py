"""The options of a data set of images, apart from its name and folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

#: The fields of ImageOptions that a data set may refuse, each with its flag on the command line.
FLAGS = {
    "split": "--split",
    "test_fraction": "--test-fraction",
    "pose_step": "--split leave-poses K",
    "stored": "split.json",
    "image_size": "--image-size",
    "channels": "--channels",
    "skip_bad": "--skip-bad",
    "follow_links": "--follow-links",
    "cache": "--cache",
}


class ImageOptions(NamedTuple):
    """How to read and split a data set. None and False mean the default of the data set or of the split."""

    split: str | None = None  # how to cut training and test set: one of splits.SPLITS
    test_fraction: float | None = None  # fraction of each class that goes to the test set
    pose_step: int | None = None  # for the split "leave-poses": train on every pose_step-th pose
    seed: int = 0  # of the split; every data set accepts it
    stored: str | None = None  # the text of a split.json, which overrides the fields above
    image_size: int | None = None  # pixels, height and width
    channels: int | None = None  # 1 or 3; None keeps what the images have
    skip_bad: bool = False  # leave out files that cannot be read
    cache: str | os.PathLike | None = None  # the folder for decoded images
    log: Callable[[str], None] = print  # receives messages for the user
    follow_links: bool = False  # follow symbolic links to folders, and out of the data set's folder

    def refuse_all_but(self, taken: Sequence[str], name: str) -> None:
        """Raise ValueError if an option is set that is not in `taken`, the options of the data set `name`."""
        refused = [f"{f} ({FLAGS[f]})" for f in FLAGS if f not in taken and getattr(self, f) not in (None, False)]
        if refused:
            takes = ", ".join(f"{f} ({FLAGS[f]})" for f in taken if f != "stored") or "none of these options"
            raise ValueError(f"the data set {name} does not take {', '.join(refused)}: omit that; it takes {takes}")
