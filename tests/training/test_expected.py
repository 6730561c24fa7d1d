import json
from pathlib import Path

from gluon_classics.training.config import RunConfig
from gluon_classics.training.expected import EXPECTED, compared, expected_accuracy

import pytest

LOGS = Path(__file__).parents[2] / "docs" / "logs"


def test_the_recipes_own_settings_alone_have_an_expected_accuracy():
    plain = {"net": "lenet"}
    assert expected_accuracy(RunConfig.complete(plain), "fashion-mnist") == EXPECTED["lenet", "default"]
    for free in ({"seed": 3}, {"out": "elsewhere"}, {"dtype": "bfloat16"}, {"dataset": "fashion-mnist"}):
        assert expected_accuracy(RunConfig.complete({**plain, **free}), "fashion-mnist")
    for other in ({"lr": 0.5}, {"epochs": 1}, {"limit_train": 100}, {"net": "resnet152"}):
        assert expected_accuracy(RunConfig.complete({**plain, **other}), "fashion-mnist") is None
    assert expected_accuracy(RunConfig.complete(plain), "fashion-mnist-sample") is None


def test_an_accuracy_outside_the_range_is_a_warning():
    assert compared(0.891, (0.88, 0.9)) == "test accuracy 0.891; expected 0.88 to 0.90 with this recipe"
    assert compared(0.91, (0.88, 0.9)).startswith("WARNING: test accuracy 0.910")
    assert compared(0.85, (0.88, 0.9)).startswith("WARNING")


@pytest.mark.parametrize("net, recipe", EXPECTED)
def test_the_range_is_that_of_the_logged_runs(net, recipe):
    found = []
    for folder in LOGS.glob(f"{recipe}-{net}-*"):
        config = json.loads((folder / "config.json").read_text())
        if (config["net"], config["recipe"]) == (net, recipe):
            found.append(json.loads((folder / "result.json").read_text())["test_acc"])
    low, high = EXPECTED[net, recipe]
    assert found and all(low <= accuracy <= high for accuracy in found)
