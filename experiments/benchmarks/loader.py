"""Images/s of three data loaders that resize Fashion-MNIST: the tutorial's, Gluon's and this project's."""

from __future__ import annotations

import argparse
from time import perf_counter

from gluon_classics import data

from mxnet import gluon

from .turns import in_new_process, interleaved, peak_mb
from .tutorial_loader import TutorialLoader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--size", type=int, default=224, help="height and width of the resized images (default 224)")
    add("--batch-size", type=int, default=64, help="default 64")
    add("--images", type=int, default=1280, help="images per turn; this project's loader takes ten times as many")
    add("--repeats", type=int, default=5, help="turns of each side (default 5)")


def run(args: argparse.Namespace) -> None:
    train, _ = data.load_dataset("fashion-mnist")
    few, many = train.take(args.images), train.take(10 * args.images)  # a fast loader needs more for a measurable time
    print(f"Loader: 28 -> {args.size}, batch {args.batch_size}, on the CPU, median of {args.repeats} turns")
    figures = interleaved(
        {
            "tutorial's DataLoader": lambda: images_per_second(TutorialLoader(few, args.batch_size, args.size)),
            "gluon.data.DataLoader": lambda: images_per_second(gluon_loader(few, args.batch_size, args.size)),
            "gluon_classics DataLoader": lambda: images_per_second(project_loader(many, args.batch_size, args.size)),
        },
        args.repeats,
    )
    baseline = figures["tutorial's DataLoader"]
    for name, figure in figures.items():
        print(f"{name:26} {figure:10,.0f} images/s {figure / baseline:8.1f} x")
    memory = in_new_process(epoch_memory, args.batch_size, args.size)
    print(f"Peak memory of a process over one epoch of {len(train):,} images: {memory:,.0f} MB")


def project_loader(dataset, batch_size, size):
    return data.DataLoader(dataset, batch_size, shuffle=True, transform=data.ImageTransform(size))


def gluon_loader(dataset, batch_size, size):
    vision = gluon.data.vision.transforms
    steps = vision.Compose([vision.Resize(size), vision.ToTensor()])
    return gluon.data.DataLoader(dataset.transform_first(steps), batch_size, shuffle=True, last_batch="discard")


def images_per_second(loader) -> float:
    """Run one epoch. As in training, request the next batch before waiting for the last one."""
    start, images, last = perf_counter(), 0, None
    for X, _ in loader:
        if last is not None:
            last.wait_to_read()
        last, images = X, images + X.shape[0]
    last.wait_to_read()
    return images / (perf_counter() - start)


def epoch_memory(batch_size: int, size: int) -> float:
    """Return the peak memory of this process, in MB, after one epoch over the full training set."""
    train, _ = data.load_dataset("fashion-mnist")
    images_per_second(project_loader(train, batch_size, size))
    return peak_mb()
