"""The test accuracy to expect of a run with a recipe's own settings, from the runs in docs/logs."""

from __future__ import annotations

from gluon_classics.training.config import FIELDS, FREE, OF_THE_MACHINE, RunConfig, settings_that

# (network, recipe): the range of the seeds in docs/results.md, widened to full percents
EXPECTED = {
    ("lenet", "default"): (0.88, 0.91),
}
ANY = {"seed", "dtype", "accumulate", "auto_batch", "hybridize"} | settings_that(FREE) | settings_that(OF_THE_MACHINE)


def expected_accuracy(config: RunConfig, dataset: str) -> tuple[float, float] | None:
    """Return the lowest and highest accuracy, 0 to 1; None for settings, data sets and networks not in the table."""
    expected = EXPECTED.get((config.net, config.recipe))
    if expected is None or dataset != "fashion-mnist":
        return None
    plain = RunConfig.complete({"net": config.net, "recipe": config.recipe, "dataset": config.dataset})
    same = all(getattr(config, name) == getattr(plain, name) for name in FIELDS if name not in ANY)
    return expected if same else None


def compared(accuracy: float, expected: tuple[float, float]) -> str:
    """Return a line on an accuracy next to the expected range."""
    low, high = expected
    line = f"test accuracy {accuracy:.3f}; expected {low:.2f} to {high:.2f} with this recipe"
    return line if low <= accuracy <= high else f"WARNING: {line}"
