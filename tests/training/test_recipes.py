from gluon_classics.models import get_model, list_models
from gluon_classics.models.vgg import VGG_11_QUARTER_WIDTH
from gluon_classics.training import INITIALIZERS, RECIPES, RunConfig, get_recipe

import pytest


def test_every_network_has_a_default_that_fits_it():
    for name in list_models():
        assert get_recipe("default", name)["resize"] >= get_model(name).smallest_size


def test_the_tutorials_settings():
    for name in ("lenet", "alexnet", "vgg", "nin", "googlenet", "googlenet_as_printed", "resnet"):
        recipe = get_recipe("tutorial", name)
        assert [recipe[key] for key in ("resize", "batch_size", "lr", "momentum", "epochs")] == [224, 64, 0.01, 0.0, 1]


def test_the_books_settings():
    # Dive into Deep Learning: size, batch, learning rate; 5 epochs each
    names = ("resize", "batch_size", "lr", "epochs")
    assert {net: tuple(recipe[name] for name in names) for net, recipe in RECIPES["book"].items()} == {
        "lenet": (28, 256, 0.9, 5),
        "alexnet": (224, 128, 0.01, 5),
        "vgg": (224, 128, 0.05, 5),
        "nin": (224, 128, 0.1, 5),
        "googlenet": (96, 128, 0.1, 5),
        "resnet": (96, 256, 0.05, 5),
    }


def test_every_recipe_fits_its_network():
    for table, recipes in RECIPES.items():
        for name, recipe in recipes.items():
            config = RunConfig.complete({"net": name, "recipe": table})
            assert config.init in INITIALIZERS
            assert config.resize >= get_model(name, **config.net_args).smallest_size
            assert {key: getattr(config, key) for key in recipe} == recipe


def test_unknown_recipe_and_missing_row():
    with pytest.raises(ValueError, match="did you mean tutorial"):
        get_recipe("tutorail", "lenet")
    with pytest.raises(ValueError, match="no recipe 'book' for googlenet_as_printed"):
        get_recipe("book", "googlenet_as_printed")


def test_the_books_vgg_is_that_of_the_networks_file():
    assert RECIPES["book"]["vgg"]["net_args"] == {"architecture": VGG_11_QUARTER_WIDTH}
