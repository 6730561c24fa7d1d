"""RunConfig: each setting is one field, from which flags, recipes, checks and --resume follow."""

import dataclasses
import json
from pathlib import Path

from gluon_classics.training.config import (
    BATCHES,
    FIELDS,
    FIXED,
    FREE,
    OF_THE_MACHINE,
    OPTIMIZERS,
    RESULTS,
    RunConfig,
    settings_that,
)
from gluon_classics.training.recipes import RECIPES
from gluon_classics.training.resuming import settings_of, stored_config, versions

import mxnet as mx
import pytest

ROOT = Path(__file__).parents[2]
ALL = RunConfig.complete({})


def test_nothing_changes_it():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ALL.lr = 1.0


def test_every_setting_has_help_or_is_only_for_recipes():
    assert [name for name, field in FIELDS.items() if not field.metadata["help"]] == ["net_args", "init"]
    assert all(FIELDS[name].metadata["recipe"] for name in ("net_args", "init"))
    groups = [field.metadata["group"] for field in FIELDS.values() if field.metadata["group"]]
    assert len(groups) == len(set(groups)) and next(iter(FIELDS.values())).metadata["group"]


def test_every_setting_says_what_a_resumed_run_may_do_with_it():
    sets = [settings_that(each) for each in (FIXED, BATCHES, RESULTS, FREE, OF_THE_MACHINE)]
    assert sum(map(len, sets)) == len(FIELDS) and set().union(*sets) == set(FIELDS)
    # the meaning that runs made before depend on
    assert settings_that(FIXED) == {
        "net", "aux", "recipe", "dataset", "optimizer", "split", "test_fraction", "image_size", "channels", "skip_bad",
        "follow_links",
    }  # fmt: skip
    assert settings_that(BATCHES) == {"batch_size", "limit_train", "val_fraction", "seed", "balanced"}
    assert settings_that(OF_THE_MACHINE) == {"data_dir", "gpus", "cache"}
    assert settings_that(FREE) == {
        "out", "resume", "force", "print_batches", "checkpoint_batches", "checkpoint_minutes", "tensorboard", "verbose",
        "open", "distributed_timeout",
    }  # fmt: skip


def test_recipes_give_only_what_recipes_may_give():
    allowed = {name for name, field in FIELDS.items() if field.metadata["recipe"]}
    for recipes in RECIPES.values():
        for recipe in recipes.values():
            assert recipe.keys() <= allowed


def test_complete_takes_from_the_recipe_what_is_not_given():
    config = RunConfig.complete({"net": "resnet18", "recipe": "modern", "flip": False, "lr": None})
    assert (config.lr, config.flip, config.schedule, config.val_fraction) == (0.1, False, "cosine", 0.05)
    assert RunConfig.complete({"net": "resnet50"}).init == "he"  # a network without a recipe of its own
    assert RunConfig.complete({"net": "inception_v1", "aux": True}).net_args == {"aux": True}
    assert RunConfig.complete({"dataset": "coil20"}).resize is None  # its own size
    assert RunConfig.complete({"dataset": "coil20", "resize": 32}).resize == 32
    assert dataclasses.replace(config) == config


@pytest.mark.parametrize(
    "given, settings",
    [
        ({}, {"learning_rate": 0.02, "wd": 0.0, "momentum": 0.9}),
        ({"optimizer": "nag"}, {"learning_rate": 0.02, "wd": 0.0, "momentum": 0.9}),
        ({"momentum": 0.0}, {"learning_rate": 0.02, "wd": 0.0, "momentum": 0.0}),
        ({"optimizer": "adam"}, {"learning_rate": 0.001, "wd": 0.0}),
        ({"optimizer": "adam", "lr": 0.5}, {"learning_rate": 0.5, "wd": 0.0}),
        ({"recipe": "tutorial", "wd": 0.1}, {"learning_rate": 0.01, "wd": 0.1, "momentum": 0.0}),
        ({"net": "coil20_lenet"}, {"learning_rate": 0.004, "wd": 0.0}),
        ({"net": "coil20_lenet", "optimizer": "rmsprop"}, {"learning_rate": 0.001, "wd": 0.0}),
    ],
)
def test_optimizer_settings(given, settings):
    assert RunConfig.complete(given).optimizer_settings() == settings


def test_the_learning_rate_times_the_workers():
    assert RunConfig.complete({"scale_lr": True}).optimizer_settings(3)["learning_rate"] == pytest.approx(0.06)
    assert RunConfig.complete({}).optimizer_settings(3)["learning_rate"] == 0.02


def test_every_optimizer_is_one_of_mxnets_and_its_learning_rate_is_its_own():
    for name, lr in OPTIMIZERS.items():
        assert name in mx.optimizer.Optimizer.opt_registry
        assert lr is None or lr < 0.02


@pytest.mark.parametrize(
    "values, words",
    [
        ({"batch_size": 0}, ["--batch-size", "0"]),
        ({"batch_size": 2.5}, ["--batch-size", "2.5"]),
        ({"batch_size": True}, ["--batch-size", "True"]),
        ({"lr": float("nan")}, ["--lr", "nan"]),
        ({"lr": "0.1"}, ["--lr", "'0.1'"]),
        ({"ema": 1.0}, ["--ema", "1.0"]),
        ({"flip": 1}, ["--flip", "1"]),
        ({"split": [3]}, ["--split", "[3]"]),
        ({"init": "hee"}, ["hee", "he"]),
        ({"dtype": "float23"}, ["--dtype", "'float23'", "float32", "auto"]),
    ],
)
def test_a_bad_value_is_named_with_its_setting(values, words):
    for make in (RunConfig.complete, lambda values: dataclasses.replace(ALL, **values)):
        with pytest.raises(ValueError) as error:
            make(values)
        assert all(word in str(error.value) for word in words)


def test_an_unknown_setting_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="'bach_size'.*batch_size"):
        RunConfig.complete({"bach_size": 1})


@pytest.mark.parametrize(
    "given, words",
    [
        ({"patience": 2}, ["--patience", "--val-fraction"]),
        ({"warmup_epochs": 2, "epochs": 2}, ["--warmup-epochs 2", "2 epochs"]),
        ({"accumulate": 65}, ["--accumulate 65", "64"]),
        ({"force": True}, ["--force", "--resume", "--dtype"]),
        ({"optimizer": "adam", "momentum": 0.9}, ["--momentum", "adam", "sgd", "nag"]),
        ({"recipe": "bok"}, ["'bok'", "book"]),
        ({"net": "vgg16", "recipe": "modern"}, ["'modern'", "vgg16", "resnet18"]),
    ],
)
def test_settings_that_contradict_each_other_are_named(given, words):
    with pytest.raises(ValueError) as error:
        RunConfig.complete(given)
    assert all(word in str(error.value) for word in words)


OLD = ROOT / "docs" / "logs" / "resnet18-modern"


def test_a_run_of_an_earlier_version_gives_its_settings():
    settings = stored_config(json.loads((OLD / "config.json").read_text()))
    assert settings["net_args"] == {}
    config = RunConfig.complete(settings)
    expected = RunConfig.complete({"net": "resnet18", "recipe": "modern", "dtype": "bfloat16", "print_batches": 100})
    assert config == dataclasses.replace(expected, dataset="fashion-mnist")


def test_a_run_of_an_earlier_version_resumes(tmp_path):
    before = {**json.loads((OLD / "config.json").read_text()), "devices": ["cpu(0)"], "versions": versions()}
    (tmp_path / "config.json").write_text(json.dumps(before))
    config, found, changes, same_batches = settings_of(tmp_path, {"resume": True, "gpus": "none"})
    assert (config.lr, config.ema, config.dtype, config.out) == (0.1, 0.998, "bfloat16", str(tmp_path))
    assert (found, changes, same_batches) == (before, [], True)
