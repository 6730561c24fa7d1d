"""What a data set of images is asked for beside its name and folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

#: The fields of ImageOptions, and the flags of the command line that stand for them.
FLAGS = {
    "split": "--split",
    "test_fraction": "--test-fraction",
    "pose_step": "--split leave-poses K",
    "stored": "a stored split",
    "image_size": "--image-size",
    "channels": "--channels",
    "skip_bad": "--skip-bad",
    "cache": "--cache",
}


class ImageOptions(NamedTuple):
    """None, and False, say that something was not asked for: the data set, or the split, has a value of its own."""

    split: str | None = None  # how the images are cut into training and test set: one of splits.SPLITS
    test_fraction: float | None = None  # the part of each class that is for testing
    pose_step: int | None = None  # of the split "leave-poses": train on every pose_step-th pose
    seed: int = 0  # of the split; any data set takes it, needed or not
    stored: str | None = None  # the text of a split.json: cut as it says; nothing above is looked at
    image_size: int | None = None  # pixels, height and width
    channels: int | None = None  # 1 or 3; None is what the images have
    skip_bad: bool = False  # leave out files that cannot be read
    cache: str | os.PathLike | None = None  # the folder for decoded images
    log: Callable[[str], None] = print  # takes what there is to tell a person

    def refuse_all_but(self, taken: Sequence[str], name: str) -> None:
        """ValueError, with the flags, if there is something that the data set `name` does not take."""
        given = [field for field in FLAGS if getattr(self, field) not in (None, False)]
        refused = [FLAGS[field] for field in given if field not in taken]
        if refused:
            takes = ", ".join(FLAGS[field] for field in taken if field != "stored") or "none of these"
            raise ValueError(
                f"the data set {name} does not take {', '.join(refused)}: leave that out; it takes {takes}"
            )
