"""Milliseconds per batch of an exported artifact: MXNet, onnxruntime and PyTorch.

All sides run in this process, in turns, with the same number of threads. The weights are random, which does not change
the time, and int8 is calibrated with noise.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from gluon_classics import models, runtime
from gluon_classics.data import ImageTransform
from gluon_classics.deploy import Trained, export
from gluon_classics.deploy.quantization import quantize
from gluon_classics.inference.predictor import fused

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.contrib.amp import amp

from .sides import chosen_networks
from .turns import interleaved

NETWORKS = ["lenet", "alexnet", "vgg", "nin", "googlenet", "resnet", "resnet50"]
PAUSE = 0.05  # seconds between two sides, for the last one's threads to stop spinning


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("networks", nargs="*", default=NETWORKS, help=f"names or patterns (default {' '.join(NETWORKS)})")
    add("--batch-sizes", type=int, nargs="+", default=[1, 16], metavar="N", help="default 1 16")
    add("--repeats", type=int, default=7, help="turns of each side (default 7)")


def run(args: argparse.Namespace) -> None:
    threads = runtime.describe().threads
    for name in chosen_networks(args.networks):
        channels, size, _ = models.model_info(name).input_shape
        with tempfile.TemporaryDirectory() as folder:
            sides = make_sides(random_network(name, channels, size), Path(folder), threads)
            for batch in args.batch_sizes:
                images = np.random.RandomState(0).random_sample((batch, channels, size, size)).astype("float32")
                report(f"{name}, {size}x{size}, batches of {batch}", measure(sides, images, args.repeats))


def random_network(name: str, channels: int, size: int) -> Trained:
    """Return a network of ten classes with random weights, ready for export."""
    net = models.get_model(name, in_channels=channels, num_classes=10)
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, channels, size, size)))
    return Trained(name, net, tuple("0123456789"), channels, (size, size), ImageTransform(size), {})


def make_sides(trained: Trained, folder: Path, threads: int) -> dict[str, Callable]:
    """Return the sides by name: functions of images (N, C, H, W), from NumPy to NumPy."""
    name, channels, (size, _) = trained.name, trained.channels, trained.image_size
    artifact = export(trained, folder / "artifact", onnx=True)
    plain = artifact.load_net(mx.cpu())
    plain.hybridize(static_alloc=True, static_shape=True)
    noise = np.random.RandomState(0).randint(0, 256, (16, size, size, channels), dtype=np.uint8)
    int8 = quantize(trained.net, noise, trained.transform)
    int8.hybridize(static_alloc=True, static_shape=True)
    sides = {
        "mxnet": lambda images: plain(nd.array(images)).asnumpy(),
        "mxnet fused": _fused(artifact),
        "mxnet bfloat16": _bfloat16(artifact),
        "mxnet int8": lambda images: int8(nd.array(images)).asnumpy(),
        "onnxruntime": _onnxruntime(folder / "artifact" / f"{name}.onnx", threads),
    }
    try:
        sides["pytorch"] = _pytorch(name, (channels, size, size), threads)
    except ImportError:
        print("PyTorch is not installed; it is left out")
    return sides


def _bfloat16(artifact) -> Callable:
    net = amp.convert_hybrid_block(artifact.load_net(mx.cpu()), target_dtype="bfloat16", ctx=mx.cpu())
    net.hybridize(static_alloc=True, static_shape=True)
    return lambda images: nd.amp_cast(net(nd.array(images)), dtype="float32").asnumpy()


def _pytorch(name: str, shape: tuple[int, int, int], threads: int) -> Callable:
    """Eager, channels last, the faster layout of nearly all networks."""
    import torch

    from .torch_networks import build_torch

    torch.set_num_threads(threads)
    net = build_torch(name, shape).to(memory_format=torch.channels_last).eval()

    def run(images):
        with torch.inference_mode():
            return net(torch.from_numpy(images).to(memory_format=torch.channels_last)).numpy()

    return run


def _fused(artifact) -> Callable:
    nets = {}

    def run(images):
        if images.shape not in nets:
            nets[images.shape] = fused(artifact.load_net(mx.cpu()), nd.array(images))
        return nets[images.shape](nd.array(images)).asnumpy()

    return run


def _onnxruntime(path: Path, threads: int) -> Callable:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"data": images})[0]


def measure(sides: dict[str, Callable], images: np.ndarray, repeats: int) -> dict[str, float]:
    """Return the milliseconds per batch, the medians of turns of at least a tenth of a second."""

    def milliseconds(side) -> float:
        time.sleep(PAUSE)
        side(images)
        calls, began = 0, perf_counter()
        while perf_counter() - began < 0.1:
            side(images)
            calls += 1
        return 1e3 * (perf_counter() - began) / calls

    return interleaved({name: functools.partial(milliseconds, side) for name, side in sides.items()}, repeats)


def report(title: str, figures: dict[str, float]) -> None:
    print(title)
    reference = figures["onnxruntime"]
    for name, figure in figures.items():
        print(f"  {name:14} {figure:10.2f} ms   {reference / figure:6.2f} of onnxruntime's speed", flush=True)
