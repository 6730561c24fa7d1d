"""The flags of do_exp.py, and what a recipe puts in the place of the ones not given."""

from __future__ import annotations

import argparse
import math

from gluon_classics import models
from gluon_classics.data import list_datasets
from gluon_classics.nearest import unknown_name
from gluon_classics.training import DTYPES, ENGINES, RECIPES, SCHEDULES, TIMEOUT, get_recipe

from run_data import OF_PICTURES

# MXNet's optimizers, and their usual learning rate; with SGD and its kin that, and the momentum, are the recipe's.
# Not adamax: MXNet's divides 0 by 0 where a gradient is 0 at first, as that of a dead ReLU.
OPTIMIZERS = {
    "sgd": None,
    "nag": None,
    "adam": 0.001,
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
  do_exp.py --net resnet18 --recipe modern        for accuracy: augmentation, cosine, averaged weights
  do_exp.py --net vgg --limit-train 10000         a heavy network on part of the data
  do_exp.py --net nin --lr 0.05 --epochs 10       a recipe with two values of your own
  do_exp.py --net resnet18 --dtype auto           bfloat16 where it is faster on this machine
  do_exp.py --resume                              go on with the newest run that was not finished
  do_exp.py --net resnet50 --limit-train 1000     a network of the papers: python -m gluon_classics list
"""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument_group("what").add_argument
    add("--net", default="lenet", help=f"network: {', '.join(models.list_models())} (default lenet)")
    add("--aux", action="store_true", help="train with the auxiliary heads of the paper, where the network has some")
    add("--recipe", default="default", help=f"table of default values: {', '.join(RECIPES)} (default 'default')")
    add("--dataset", help=f"data set: {', '.join(list_datasets())} (default fashion-mnist)")
    add(
        "--data-dir",
        help="folder to look for the data set in first, and to fetch it into; of coil20 and folder an archive, too",
    )
    add("--image-size", type=whole_number, metavar="PIXELS", help="of folder: make all pictures so high and wide")
    add("--channels", choices=["auto", "1", "3"], default="auto", help="of folder: 1 grey, 3 colour (default auto)")
    add(
        "--split",
        type=word_or_number,
        nargs="+",
        help="of coil20 and folder: random (default), pose-block, leave-poses K (every K-th pose; default 2)",
    )
    add(
        "--test-fraction",
        type=between_0_and_1,
        help="of coil20 and folder: part of each class kept for the test (default 0.1)",
    )
    add("--skip-bad", action="store_true", help="of folder: go on without the files that cannot be used")
    add("--cache", metavar="FOLDER", help="of folder: keep the decoded pictures there, on disk and not in memory")
    add(
        "--val-fraction",
        type=below_one,
        help="part of the training set kept for validation, 0 to below 1: the test set is then read at the end only",
    )
    add(
        "--limit-train",
        type=whole_number,
        metavar="N",
        help="train on the first N images only; of pictures on about N, of all classes alike",
    )
    add("--limit-test", type=whole_number, metavar="N", help="test on so many only")
    add("--seed", type=seed_number, default=0, help="seed of weights, order, augmentation and dropout (default 0)")

    add = parser.add_argument_group("how (what is not given is the recipe's)").add_argument
    switch = argparse.BooleanOptionalAction
    add("--epochs", type=whole_number, help="passes over the training set")
    add("--batch-size", type=whole_number, help="images in a batch, over all devices and workers")
    add("--lr", type=above_zero, help="learning rate (with adam and the like: the optimizer's usual one)")
    add("--optimizer", help=", ".join(OPTIMIZERS))
    add("--momentum", type=below_one, help="momentum of sgd and nag, 0 to below 1")
    add("--schedule", help=f"of the learning rate: {', '.join(SCHEDULES)}")
    add("--warmup-epochs", type=zero_or_more, help="epochs in which the learning rate rises from nearly 0")
    add("--wd", type=zero_or_more, help="weight decay")
    add("--wd-weights-only", action=switch, help="no weight decay for biases and batch norm")
    add("--label-smoothing", type=below_one, help="share of the target spread over all classes, 0 to below 1")
    add("--clip", type=above_zero, help="largest norm of the gradient; a larger one is scaled down")
    add("--ema", type=below_one, metavar="DECAY", help="evaluate and save an exponential moving average of the weights")
    add("--resize", type=whole_number, help="height and width of the input in pixels")
    add("--normalize", action=switch, help="bring pixels to mean 0 and deviation 1 of the training set")
    add("--crop", type=non_negative, metavar="PIXELS", help="random crops of the image with so much black around it")
    add("--flip", action=switch, help="mirror half of the images")
    add("--balanced", action="store_true", help="as many images of each class in an epoch, however many there are")
    add("--erase", type=below_one, metavar="P", help="random erasing with this probability")
    add("--test-at-end", action=switch, help="read the test set once, at the end, and not after each epoch")
    add(
        "--patience",
        type=whole_number,
        metavar="EPOCHS",
        help="stop after so many epochs without a better validation accuracy",
    )

    add = parser.add_argument_group("on what").add_argument
    add("--gpus", help="all, none, or numbers such as 0,1 (default: the first GPU if there is one, else the CPU)")
    add("--dtype", default="float32", help=f"{', '.join(DTYPES)}, or auto: the fastest here (default float32)")
    add(
        "--accumulate",
        type=whole_number,
        default=1,
        metavar="N",
        help="take each batch in N slices, one after the other, for less memory",
    )
    add("--auto-batch", action="store_true", help="find out how many slices (--accumulate) the memory asks for")
    add(
        "--hybridize",
        action=switch,
        default=True,
        help="run the network as one compiled graph, or layer by layer in Python (default: --hybridize)",
    )

    add = parser.add_argument_group("on several machines (docs/distributed.md)").add_argument
    add("--distributed", choices=ENGINES, help="one of the workers that horovodrun, or experiments/launch.py, starts")
    add("--scale-lr", action="store_true", help="the learning rate times the number of workers")
    add(
        "--distributed-timeout",
        type=above_zero,
        default=TIMEOUT,
        metavar="SECONDS",
        help=f"a worker that waits longer for the others ends (default {TIMEOUT})",
    )

    add = parser.add_argument_group("the run").add_argument
    add("--out", help="run folder; must be new or empty (default: runs/NET-DATASET-TIME)")
    add("--resume", action="store_true", help="go on with the run in --out, or with the newest unfinished one in runs")
    add(
        "--force",
        action="store_true",
        help="resume with settings that change the results; take a dtype that is slow here",
    )
    add("--checkpoint-batches", type=whole_number, metavar="N", help="a checkpoint every N batches, too")
    add(
        "--checkpoint-minutes",
        type=above_zero,
        default=10.0,
        metavar="M",
        help="a checkpoint every M minutes, too (default 10)",
    )
    add("--print-batches", type=whole_number, metavar="N", help="print a line every N batches")
    add("--tensorboard", action="store_true", help="write TensorBoard's event files, too (pip install tensorboardX)")
    add("--open", action="store_true", help="open the report in the browser at the end")
    add("--verbose", action="store_true", help="print the network, and the output shapes of its layers")
    return parser


def apply_recipe(args: argparse.Namespace) -> None:
    """Fill in what no flag gave, and check what contradicts itself. Raises ValueError."""
    models.model_info(args.net)  # an unknown name is answered here
    recipe = get_recipe(args.recipe, args.net)
    optimizer = args.optimizer or recipe.optimizer
    if optimizer not in OPTIMIZERS:
        raise unknown_name("optimizer", optimizer, OPTIMIZERS)
    usual_lr = OPTIMIZERS[optimizer]
    if usual_lr is not None:
        if args.momentum is not None:
            raise ValueError(f"--momentum: {optimizer} takes none; leave it out, or take sgd or nag")
        recipe = recipe._replace(lr=recipe.lr if optimizer == recipe.optimizer else usual_lr, momentum=None)
    if args.aux:
        recipe = recipe._replace(net_args={**recipe.net_args, "aux": True})
        try:
            smallest = models.get_model(args.net, **recipe.net_args).smallest_size
        except TypeError:
            raise ValueError(f"--aux: {args.net} has no auxiliary heads") from None
        recipe = recipe._replace(resize=max(recipe.resize, smallest))  # inception_v3's head takes 299
    if args.dataset in OF_PICTURES:
        recipe = recipe._replace(resize=None)  # their own size
    for name, value in recipe._asdict().items():
        if getattr(args, name, None) is None:
            setattr(args, name, value)
    check(args)


def check(args: argparse.Namespace) -> None:
    """Raises ValueError for flags that contradict each other."""
    if args.split and ([isinstance(each, int) for each in args.split] not in ([False], [False, True])):
        raise ValueError(
            f"--split is {' '.join(map(str, args.split))}, but it is a word, and with leave-poses a number"
        )
    if args.schedule not in SCHEDULES:
        raise unknown_name("schedule", args.schedule, SCHEDULES)
    if args.dtype not in (*DTYPES, "auto"):
        raise unknown_name("dtype", args.dtype, (*DTYPES, "auto"))
    if args.patience and not args.val_fraction:
        raise ValueError("--patience waits for a better validation accuracy: add --val-fraction 0.1")
    if args.warmup_epochs >= args.epochs and args.warmup_epochs > 0:
        raise ValueError(f"--warmup-epochs {args.warmup_epochs:g} leaves none of the {args.epochs} epochs: lower it")
    if args.accumulate > args.batch_size:
        raise ValueError(f"--accumulate {args.accumulate} is more slices than the {args.batch_size} images of a batch")
    if args.force and not args.resume and args.dtype in ("float32", "auto"):
        raise ValueError("--force goes with --resume or with --dtype; without them it has nothing to force")


def optimizer_settings(args: argparse.Namespace, workers: int = 1) -> dict:
    """The arguments of the optimizer of so many workers; its learning rate is the schedule's."""
    settings = {"learning_rate": args.lr * (workers if args.scale_lr else 1), "wd": args.wd}
    return settings if args.momentum is None else {**settings, "momentum": args.momentum}


def word_or_number(text: str) -> str | int:
    return int(text) if text.isdecimal() else text


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


def non_negative(text: str) -> int:
    return _number(text, int, lambda n: n >= 0, "a whole number, 0 or more")


def seed_number(text: str) -> int:
    return _number(text, int, lambda n: 0 <= n < 2**31, "a whole number from 0 to 2147483647")


def above_zero(text: str) -> float:
    return _number(text, float, lambda n: 0 < n <= 1e38, "a number above 0, in float32")


def zero_or_more(text: str) -> float:
    return _number(text, float, lambda n: 0 <= n <= 1e38, "a number, 0 or more, in float32")


def between_0_and_1(text: str) -> float:
    return _number(text, float, lambda n: 0 < n < 1, "a number between 0 and 1")


def below_one(text: str) -> float:
    return _number(text, float, lambda n: 0 <= n < 1, "a number from 0 to below 1")
