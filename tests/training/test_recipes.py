from gluon_classics.models import get_model, list_models
from gluon_classics.training import INITIALIZERS, RECIPES, get_recipe

import pytest


def test_every_network_has_a_default_that_fits_it():
    for name in list_models():
        assert get_recipe("default", name).resize >= get_model(name).smallest_size


def test_the_tutorials_settings():
    for name in ("lenet", "alexnet", "vgg", "nin", "googlenet", "googlenet_as_printed", "resnet"):
        assert get_recipe("tutorial", name)[:5] == (224, 64, 0.01, 0.0, 1)


def test_the_books_settings():
    # Dive into Deep Learning: size, batch, learning rate; 5 epochs each
    assert {net: (r.resize, r.batch_size, r.lr, r.epochs) for net, r in RECIPES["book"].items()} == {
        "lenet": (28, 256, 0.9, 5),
        "alexnet": (224, 128, 0.01, 5),
        "vgg": (224, 128, 0.05, 5),
        "nin": (224, 128, 0.1, 5),
        "googlenet": (96, 128, 0.1, 5),
        "resnet": (96, 256, 0.05, 5),
    }


def test_every_recipe_fits_its_network():
    for table in RECIPES.values():
        for name, recipe in table.items():
            assert recipe.init in INITIALIZERS
            assert recipe.resize >= get_model(name, **recipe.net_args).smallest_size


def test_unknown_recipe_and_missing_row():
    with pytest.raises(ValueError, match="did you mean tutorial"):
        get_recipe("tutorail", "lenet")
    with pytest.raises(ValueError, match="no recipe 'book' for googlenet_as_printed"):
        get_recipe("book", "googlenet_as_printed")
