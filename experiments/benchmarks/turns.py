"""Take turns, or measure in a new process."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor


def interleaved(sides: dict[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Call each side in turn, once as a warm-up and then `repeats` times. Return the medians by name."""
    figures = {name: [] for name in sides}
    for turn in range(repeats + 1):
        for name, measure in sides.items():
            figure = measure()
            if turn:
                figures[name].append(figure)
    return {name: statistics.median(values) for name, values in figures.items()}


def in_new_process(function: Callable, *args):
    """Return `function(*args)` from a new process, so that peak_mb() in it is that function's alone."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def peak_mb() -> float:
    """Return the peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
