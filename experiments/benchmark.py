"""Timings of this project beside others', all sides in one run: python experiments/benchmark.py loader | models |
train | decode | inference | serve | distributed

The sides take turns, and each figure is the median over the turns, for machines are noisy and only ratios within one
run mean something. README.md quotes what is printed here.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gluon_classics  # noqa: F401
from gluon_classics import data, runtime

import mxnet as mx
import numpy as np
from benchmark_decode import add_decode_arguments, benchmark_decode
from benchmark_distributed import add_distributed_arguments, benchmark_distributed
from benchmark_inference import add_inference_arguments, benchmark_inference
from benchmark_models import benchmark_models
from benchmark_serve import add_serve_arguments, benchmark_serve
from benchmark_train import add_train_arguments, benchmark_train
from mxnet import gluon, image, nd


class TutorialLoader:
    """The tutorial's own DataLoader with its transform, the baseline: one imresize per image, last batch dropped."""

    def __init__(self, dataset, batch_size, resize):
        self.dataset, self.batch_size, self.resize = dataset, batch_size, resize

    def __iter__(self):
        X, y = self.dataset[:]
        y = nd.array(y)
        n = X.shape[0]
        idx = np.arange(n)
        np.random.shuffle(idx)
        X = nd.array(X.asnumpy()[idx], dtype="uint8")
        y = nd.array(y.asnumpy()[idx])
        for i in range(n // self.batch_size):
            rows = slice(i * self.batch_size, (i + 1) * self.batch_size)
            yield self.transform(X[rows], y[rows])

    def transform(self, batch, label):
        if self.resize:
            n = batch.shape[0]
            resized = nd.zeros((n, self.resize, self.resize, batch.shape[3]))
            for i in range(n):
                resized[i] = image.imresize(batch[i], self.resize, self.resize)
            batch = resized
        return nd.transpose(batch.astype("float32"), (0, 3, 1, 2)) / 255, label.astype("float32")


def project_loader(dataset, batch_size, size):
    return data.DataLoader(dataset, batch_size, shuffle=True, transform=data.ImageTransform(size))


def gluon_loader(dataset, batch_size, size):
    vision = gluon.data.vision.transforms
    steps = vision.Compose([vision.Resize(size), vision.ToTensor()])
    return gluon.data.DataLoader(dataset.transform_first(steps), batch_size, shuffle=True, last_batch="discard")


def images_per_second(loader) -> float:
    """One epoch. As in training, the next batch is asked for before the last one is waited for."""
    start, images, last = perf_counter(), 0, None
    for X, _ in loader:
        if last is not None:
            last.wait_to_read()
        last, images = X, images + X.shape[0]
    last.wait_to_read()
    return images / (perf_counter() - start)


def interleaved(sides: dict, repeats: int) -> dict:
    """Call each side in turn, `repeats` times, after one turn that is not counted; the medians by name."""
    figures = {name: [] for name in sides}
    for turn in range(repeats + 1):
        for name, measure in sides.items():
            figure = measure()
            if turn:
                figures[name].append(figure)
    return {name: statistics.median(values) for name, values in figures.items()}


def whole_epoch_memory(batch_size: int, size: int) -> float:
    """Peak resident memory, in MB, of a fresh process that runs one epoch over the full training set."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_whole_epoch, (batch_size, size))


def _whole_epoch(batch_size: int, size: int) -> float:
    train, _ = data.load_dataset("fashion-mnist")
    images_per_second(project_loader(train, batch_size, size))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def benchmark_loader(args) -> None:
    train, _ = data.load_dataset("fashion-mnist")
    few, many = train.take(args.images), train.take(10 * args.images)  # the fast side takes more, to be timed at all
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
    memory = whole_epoch_memory(args.batch_size, args.size)
    print(f"Peak memory of a process over one epoch of {len(train):,} images: {memory:,.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    loader = commands.add_parser("loader", help="batches a second, beside the tutorial's loader and Gluon's")
    loader.add_argument("--size", type=int, default=224, help="height and width of the resized image (default 224)")
    loader.add_argument("--batch-size", type=int, default=64)
    loader.add_argument("--images", type=int, default=1280, help="images in a turn of the slow loaders (default 1280)")
    loader.add_argument("--repeats", type=int, default=5)
    loader.set_defaults(run=benchmark_loader)
    zoo = commands.add_parser("models", help="each network forward and backward, beside gluoncv's and torchvision's")
    zoo.add_argument("networks", nargs="*", default=["*"], help="names, or patterns such as 'resnet*' (default all)")
    zoo.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 16], metavar="N", help="default 1 16")
    zoo.add_argument("--seconds", type=float, default=1, help="at least so long a turn (default 1), one batch or more")
    zoo.add_argument("--repeats", type=int, default=3, help="turns of each side (default 3)")
    zoo.add_argument("--csv", help="write the rows to this file, too")
    zoo.set_defaults(run=lambda args: benchmark_models(args, here.threads))
    train = commands.add_parser("train", help="training and inference, beside the tutorial's own code and PyTorch")
    add_train_arguments(train)
    train.set_defaults(run=lambda args: benchmark_train(args, here.threads))
    decode = commands.add_parser("decode", help="decoding a folder of pictures, beside Pillow alone")
    add_decode_arguments(decode)
    decode.set_defaults(run=benchmark_decode)
    inference = commands.add_parser("inference", help="exported networks, beside onnxruntime")
    add_inference_arguments(inference)
    inference.set_defaults(run=lambda args: benchmark_inference(args, here.threads))
    serve = commands.add_parser("serve", help="the served LeNet under load")
    add_serve_arguments(serve)
    serve.set_defaults(run=benchmark_serve)
    distributed = commands.add_parser("distributed", help="two workers beside one, over both engines")
    add_distributed_arguments(distributed)
    distributed.set_defaults(run=benchmark_distributed)
    args = parser.parse_args()
    here = runtime.describe()
    print(f"Python {here.python}, NumPy {here.numpy}, MXNet {mx.__version__}, {here.threads} threads")
    args.run(args)


if __name__ == "__main__":
    main()
