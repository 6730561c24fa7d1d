"""What a run finds out before it trains: input size, classes, channels, slices of a batch, dtype."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gluon_classics.training.config import RunConfig
from gluon_classics.training.distributed import Workers
from gluon_classics.training.run_data import RunData
from gluon_classics.training.trial import Trial, choose_accumulate, choose_dtype


@dataclass(frozen=True)
class Found:
    """Settings in their final form. config.json stores them over those of RunConfig."""

    net_args: dict[str, Any]
    resize: int  # height and width of the input in pixels
    mean: list[float] | None
    std: list[float] | None
    data_dir: str | None
    accumulate: int
    dtype: str
    notes: list[str]  # for the log: on the data, and why slices and dtype were chosen


def find_out(config: RunConfig, loaded: RunData, devices: list, workers: Workers) -> Found:
    """Derive settings from the data, and try out slices and dtype if they are open."""
    images, classes = loaded.train.dataset.images, loaded.train.dataset.classes
    net_args = {**config.net_args, "num_classes": len(classes), "in_channels": images.shape[3]}
    resize = config.resize or min(images.shape[1:3])
    trial = Trial(
        config.net,
        net_args,
        resize,
        config.batch_size // workers.size,
        devices,
        config.optimizer,
        config.optimizer_settings(),
        config.ema,
    )
    accumulate, dtype, notes = workers.from_first(lambda: _choose(config, trial))
    notes = loaded.notes + notes
    for each in filter(None, (loaded.val, loaded.test)):  # no more images at a time than in training
        each.batch_size = -(-config.batch_size // accumulate)
    return Found(net_args, resize, loaded.mean, loaded.std, loaded.data_dir, accumulate, dtype, notes)


def _choose(config: RunConfig, trial: Trial) -> tuple[int, str, list[str]]:
    """Return slices, dtype, and the reasons for both."""
    accumulate, dtype, notes = config.accumulate, config.dtype, []
    if config.auto_batch:
        accumulate, why = choose_accumulate(trial, "float32" if dtype == "auto" else dtype, accumulate)
        notes.append(why)
    if dtype == "auto":
        dtype, why = choose_dtype(trial, accumulate)
        notes.append(why)
    elif dtype == "bfloat16" and not config.resume:
        notes.append("bfloat16 is slower than float32 for some networks and processors: --dtype auto finds out")
    return accumulate, dtype, notes
