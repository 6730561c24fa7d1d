"""Learning rate schedules: MXNet's own schedulers, by name.

With `lr` the highest rate and N updates, of which w are warm-up, update n = 1, 2, ..., N has the rate

    warm-up    lr n / w                          while n < w, linear from 0 (Goyal et al. 2017)
    constant   lr
    step       lr, lr / 10, lr / 100             until N/2, until 3N/4, to the end (He et al. 2016)
    cosine     lr (1 + cos(pi t)) / 2            with t = (n - w) / (N - w), down to 0 (Loshchilov and Hutter 2017)
    poly       lr (1 - t)^2                      the same t; 2 is MXNet's power

It depends on n alone, so that a resumed run, which builds a new schedule, has the same rates.
"""

from __future__ import annotations

from gluon_classics.nearest import unknown_name
from gluon_classics.training.config import SCHEDULES

from mxnet import lr_scheduler


def make_schedule(
    name: str, lr: float, epochs: int, batches_per_epoch: int, warmup_epochs: float = 0.0
) -> lr_scheduler.LRScheduler:
    """Return the schedule `name`, one of :data:`SCHEDULES`, for updates 1 to epochs * batches_per_epoch.

    Give the optimizer the same `lr`: it overwrites the schedule's. Raises ValueError for an unknown name, and if no
    update follows the warm-up.
    """
    if name not in SCHEDULES:
        raise unknown_name("schedule", name, SCHEDULES)
    updates = epochs * batches_per_epoch
    warmup = {"base_lr": lr, "warmup_steps": round(warmup_epochs * batches_per_epoch)}
    if not 0 <= warmup["warmup_steps"] < updates:
        raise ValueError(
            f"a warm-up of {warmup_epochs:g} epochs does not fit into {epochs} epochs of {batches_per_epoch} batches:"
            f" take from 0 to below {epochs}"
        )
    if name == "constant":
        return lr_scheduler.FactorScheduler(updates, factor=1, **warmup)
    if name == "step":
        drops = sorted({max(1, updates // 2), max(1, updates * 3 // 4)})  # one drop if there are only two updates
        return lr_scheduler.MultiFactorScheduler(drops, factor=0.1, **warmup)
    if name == "cosine":
        return lr_scheduler.CosineScheduler(updates, **warmup)
    return lr_scheduler.PolyScheduler(updates, **warmup)
