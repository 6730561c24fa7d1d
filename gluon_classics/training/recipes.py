"""Recipes: the default settings of each network, in five tables.

``default`` trains on two CPU cores: small images, and momentum, so that few epochs suffice. ``modern`` is for accuracy,
with what came after the papers: augmentation, warm-up and cosine, label smoothing, averaged weights. ``speedrun`` is
for the shortest time to a given accuracy on two CPU cores. ``tutorial`` is the tutorial's setting, and ``book`` that of
the book that grew out of it (Dive into Deep Learning), with published test accuracies.
"""

from __future__ import annotations

from typing import Any

from gluon_classics.nearest import unknown_name

# as in models/vgg.py, whose import would take MXNet; a test holds the two together
VGG_11_QUARTER_WIDTH = ((1, 16), (1, 32), (2, 64), (2, 128), (2, 128))


def Recipe(
    resize: int,
    batch_size: int,
    lr: float,
    momentum: float | None,
    epochs: int,
    net_args: dict[str, Any] | None = None,
    **others: Any,
) -> dict[str, Any]:
    """Return a row of a table: settings of RunConfig by name. RunConfig's defaults fill the rest."""
    row = {"resize": resize, "batch_size": batch_size, "lr": lr, "momentum": momentum, "epochs": epochs}
    return {**row, "net_args": net_args or {}, **others}


# For the papers' networks: a start on small images, not a paper's setting, which would take weeks.
PAPERS_NETWORKS = Recipe(96, 64, 0.01, 0.9, 5, init="he")

# Shared by resnet18's modern recipe and vgg's speedrun recipe for 94 %.
AFTER_THE_PAPERS: dict[str, Any] = {
    "init": "he",
    "optimizer": "nag",
    "wd_weights_only": True,
    "schedule": "cosine",
    "warmup_epochs": 1,
    "label_smoothing": 0.1,
    "ema": 0.998,
    "normalize": True,
    "flip": True,
}

COIL20: dict[str, Any] = {"optimizer": "adam", "schedule": "cosine", "normalize": True}

RECIPES = {
    "default": {
        # network: resize, batch size, learning rate, momentum, epochs
        "lenet": Recipe(28, 64, 0.02, 0.9, 5),
        "alexnet": Recipe(96, 128, 0.01, 0.9, 5),
        # with Xavier's weights, its 13 layers stay at chance for hundreds of batches, then diverge
        "vgg": Recipe(32, 128, 0.01, 0.9, 5, init="he"),
        "nin": Recipe(96, 128, 0.02, 0.9, 10),
        "googlenet": Recipe(96, 128, 0.02, 0.9, 5),
        "googlenet_as_printed": Recipe(96, 128, 0.02, 0.9, 5),
        "resnet": Recipe(96, 128, 0.02, 0.9, 5),
        "lenet5": Recipe(32, 64, 0.02, 0.9, 5),
        # its logits are large, being squared distances: with 0.01 it hardly learns
        "lenet5_1998": Recipe(32, 64, 0.003, 0.9, 5, normalize=True),
        # 1,300 images are 40 batches an epoch; with the original project's 0.0001, sigmoids stay at chance
        "coil20_lenet": Recipe(128, 32, 0.004, None, 120, init="xavier", **COIL20),
        "coil20_alexnet": Recipe(128, 32, 0.0001, None, 6, init="he", **COIL20),
        "coil20_googlenet": Recipe(128, 16, 0.0003, None, 5, init="he", **COIL20),
        "coil20_vgg16": Recipe(128, 16, 0.0001, None, 3, init="he", **COIL20),
        "coil20_resnet50": Recipe(128, 16, 0.0003, None, 5, init="he", **COIL20),
        "coil20_efficientnet": Recipe(128, 16, 0.001, None, 8, init="he", **COIL20),
    },
    "modern": {
        "resnet18": Recipe(64, 128, 0.1, 0.9, 18, wd=5e-4, crop=3, erase=0.4, val_fraction=0.05, **AFTER_THE_PAPERS)
    },
    "speedrun": {  # experiments/speedrun.py: 90 %, and with more epochs 92 %, with lenet, and 94 % with vgg
        "lenet": Recipe(
            28,
            128,
            0.1,
            0.9,
            2,
            init="he",
            optimizer="nag",
            wd=5e-4,
            schedule="cosine",
            warmup_epochs=0.25,
            normalize=True,
            test_at_end=True,
        ),
        "vgg": Recipe(
            28,
            128,
            0.1,
            0.9,
            24,
            {"architecture": ((2, 32), (2, 64), (2, 128)), "batch_norm": True, "hidden": 512},
            wd=1e-3,
            crop=2,
            erase=0.1,
            test_at_end=True,
            **AFTER_THE_PAPERS,
        ),
    },  # fmt: skip
    "tutorial": dict.fromkeys(
        ("lenet", "alexnet", "vgg", "nin", "googlenet", "googlenet_as_printed", "resnet"), Recipe(224, 64, 0.01, 0.0, 1)
    ),
    "book": {
        "lenet": Recipe(28, 256, 0.9, 0.0, 5, {"activation": "sigmoid"}),
        "alexnet": Recipe(224, 128, 0.01, 0.0, 5),
        "vgg": Recipe(224, 128, 0.05, 0.0, 5, {"architecture": VGG_11_QUARTER_WIDTH}),
        "nin": Recipe(224, 128, 0.1, 0.0, 5),
        "googlenet": Recipe(96, 128, 0.1, 0.0, 5),
        "resnet": Recipe(96, 256, 0.05, 0.0, 5),
    },
}


def get_recipe(name: str, net: str) -> dict[str, Any]:
    """Return the row of network `net` in table `name`. Raises ValueError, with the choices, if there is none."""
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    if net in RECIPES[name]:
        return RECIPES[name][net]
    if name == "default":
        return PAPERS_NETWORKS
    raise ValueError(f"there is no recipe {name!r} for {net}, only for {', '.join(RECIPES[name])}")
