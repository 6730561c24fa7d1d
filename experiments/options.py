"""The flags of do_exp.py, and what a recipe puts in the place of the ones not given."""

from __future__ import annotations

import argparse
import math

from gluon_classics import models
from gluon_classics.data import list_datasets
from gluon_classics.nearest import unknown_name
from gluon_classics.training import RECIPES, get_recipe

# MXNet's optimizers, and their usual learning rate; with SGD and its kin that, and the momentum, are the recipe's
OPTIMIZERS = {
    "sgd": None,
    "nag": None,
    "adam": 0.001,
    "adamax": 0.002,
    "nadam": 0.001,
    "rmsprop": 0.001,
    "adagrad": 0.01,
    "lamb": 0.001,
}

DESCRIPTION = "Train one of the classic convolutional networks on Fashion-MNIST and leave its results in a run folder."
EXAMPLES = """\
examples:
  do_exp.py --net lenet                           the first result: under a minute an epoch on two cores
  do_exp.py --net googlenet --recipe book         the book's setting, for which an accuracy is published
  do_exp.py --net resnet --recipe tutorial        the tutorial's setting: 224x224, batch 64, one epoch
  do_exp.py --net vgg --limit-train 10000         a heavy network on part of the data
  do_exp.py --net nin --lr 0.05 --epochs 10       a recipe with two values of your own
  do_exp.py --net resnet50 --limit-train 1000     a network of the papers: python -m gluon_classics list
"""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The settings of a run: the flags, the recipe's values where a flag was not given. Exits with 2 on bad flags."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--net", default="lenet", help=f"network: {', '.join(models.list_models())} (default lenet)")
    add("--aux", action="store_true", help="train with the auxiliary heads of the paper, where the network has some")
    add("--recipe", default="default", help=f"table of default values: {', '.join(RECIPES)} (default 'default')")
    add("--dataset", help=f"data set: {', '.join(list_datasets())} (default fashion-mnist)")
    add("--data-dir", help="folder to look for the data set in first, and to fetch it into")
    add("--epochs", type=whole_number, help="passes over the training set (default: the recipe's)")
    add("--batch-size", type=whole_number, help="images in a batch, over all devices (default: the recipe's)")
    add(
        "--lr",
        type=above_zero,
        help="learning rate (default: the recipe's; the usual one for adam and the like)",
    )
    add("--optimizer", default="sgd", help=f"{', '.join(OPTIMIZERS)} (default sgd)")
    add("--momentum", type=below_one, help="momentum of sgd and nag, 0 to below 1 (default: the recipe's)")
    add("--wd", type=zero_or_more, default=0.0, help="weight decay (default 0)")
    add("--resize", type=whole_number, help="height and width of the input in pixels (default: the recipe's)")
    add("--gpus", help="all, none, or numbers such as 0,1 (default: the first GPU if there is one, else the CPU)")
    add("--seed", type=seed_number, default=0, help="seed of weights, order and dropout (default 0)")
    add(
        "--hybridize",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="run the network as one compiled graph, or layer by layer in Python (default: --hybridize)",
    )
    add("--print-batches", type=whole_number, metavar="N", help="print a line every N batches")
    add("--limit-train", type=whole_number, metavar="N", help="train on the first N images only")
    add("--limit-test", type=whole_number, metavar="N", help="test on the first N images only")
    add("--out", help="run folder; must be new or empty (default: runs/NET-DATASET-TIME)")
    add("--verbose", action="store_true", help="print the network, and the output shapes of its layers")
    args = parser.parse_args(argv)
    try:
        _apply_recipe(args)
        args.optimizer_settings = _optimizer_settings(args)
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    return args


def _apply_recipe(args: argparse.Namespace) -> None:
    models.model_info(args.net)  # an unknown name is answered here
    recipe = get_recipe(args.recipe, args.net)
    if args.optimizer not in OPTIMIZERS:
        raise unknown_name("optimizer", args.optimizer, OPTIMIZERS)
    lr = OPTIMIZERS[args.optimizer]
    if lr is not None:
        if args.momentum is not None:
            raise ValueError(f"--momentum: {args.optimizer} takes none; leave it out, or take sgd or nag")
        recipe = recipe._replace(lr=lr, momentum=None)
    if args.aux:
        recipe = recipe._replace(net_args={**recipe.net_args, "aux": True})
        try:
            smallest = models.get_model(args.net, **recipe.net_args).smallest_size
        except TypeError:
            raise ValueError(f"--aux: {args.net} has no auxiliary heads") from None
        recipe = recipe._replace(resize=max(recipe.resize, smallest))  # inception_v3's head takes 299
    for name, value in recipe._asdict().items():
        if getattr(args, name, None) is None:
            setattr(args, name, value)


def _optimizer_settings(args: argparse.Namespace) -> dict:
    """The arguments of the optimizer."""
    settings = {"learning_rate": args.lr, "wd": args.wd}
    return settings if args.momentum is None else {**settings, "momentum": args.momentum}


def _number(text: str, kind, fits, wanted: str):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not math.isfinite(value) or not fits(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return value


def whole_number(text: str) -> int:
    return _number(text, int, lambda n: n >= 1, "a whole number, at least 1")


def seed_number(text: str) -> int:
    return _number(text, int, lambda n: 0 <= n < 2**31, "a whole number from 0 to 2147483647")


def above_zero(text: str) -> float:
    return _number(text, float, lambda n: n > 0, "a number above 0")


def zero_or_more(text: str) -> float:
    return _number(text, float, lambda n: n >= 0, "a number, 0 or more")


def below_one(text: str) -> float:
    return _number(text, float, lambda n: 0 <= n < 1, "a number from 0 to below 1")
