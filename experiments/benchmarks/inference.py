"""Inference from an exported artifact, one thread or more, beside onnxruntime and PyTorch: `benchmark.py inference`.

All sides run in this process, in turns, with the same number of threads; the figures are medians in milliseconds a
batch. The weights are random: they do not change the time, and int8 is calibrated with noise.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from gluon_classics import models
from gluon_classics.data import ImageTransform
from gluon_classics.deploy import Trained, export
from gluon_classics.deploy.quantization import quantize
from gluon_classics.inference.predictor import fused

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.contrib.amp import amp

NETWORKS = ["lenet", "alexnet", "vgg", "nin", "googlenet", "resnet", "resnet50"]
PAUSE = 0.05  # seconds between two sides, in which the last one's threads come to rest


def add_inference_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("networks", nargs="*", default=NETWORKS, help=f"default {' '.join(NETWORKS)}")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 16], metavar="N", help="default 1 16")
    parser.add_argument("--repeats", type=int, default=7, help="turns of each side (default 7)")


def benchmark_inference(args: argparse.Namespace, threads: int) -> None:
    for name in args.networks:
        channels, size, _ = models.model_info(name).input_shape
        size = 28 if name == "lenet" else size
        with tempfile.TemporaryDirectory() as folder:
            sides = make_sides(name, channels, size, Path(folder), threads)
            for batch in args.batch_sizes:
                images = np.random.RandomState(0).random_sample((batch, channels, size, size)).astype("float32")
                report(f"{name}, {size}x{size}, batches of {batch}", measure(sides, images, args.repeats))


def make_sides(name: str, channels: int, size: int, folder: Path, threads: int) -> dict[str, Callable]:
    """By name a function of images (N, C, H, W), NumPy in and NumPy out."""
    net = models.get_model(name, in_channels=channels, num_classes=10)
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, channels, size, size)))
    transform = ImageTransform(size)
    trained = Trained(name, net, tuple("0123456789"), channels, (size, size), transform, {})
    artifact = export(trained, folder / "artifact", onnx=True)
    plain = artifact.load_net(mx.cpu())
    plain.hybridize(static_alloc=True, static_shape=True)
    noise = np.random.RandomState(0).randint(0, 256, (16, size, size, channels), dtype=np.uint8)
    int8 = quantize(net, noise, transform)
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
        print("PyTorch is not installed here")
    return sides


def _bfloat16(artifact) -> Callable:
    net = amp.convert_hybrid_block(artifact.load_net(mx.cpu()), target_dtype="bfloat16", ctx=mx.cpu())
    net.hybridize(static_alloc=True, static_shape=True)
    return lambda images: nd.amp_cast(net(nd.array(images)), dtype="float32").asnumpy()


def _pytorch(name: str, shape: tuple[int, int, int], threads: int) -> Callable:
    """Eager, channels last, which is the faster layout for nearly all."""
    import torch
    from torch_networks import build_torch

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
    """Median milliseconds a batch; each turn lasts a tenth of a second at least."""
    times = {name: [] for name in sides}
    for side in sides.values():
        side(images)
    for _turn in range(repeats):
        for name, side in sides.items():
            time.sleep(PAUSE)
            side(images)
            calls, began = 0, perf_counter()
            while perf_counter() - began < 0.1:
                side(images)
                calls += 1
            times[name].append(1e3 * (perf_counter() - began) / calls)
    return {name: statistics.median(values) for name, values in times.items()}


def report(title: str, figures: dict[str, float]) -> None:
    print(title)
    reference = figures["onnxruntime"]
    for name, figure in figures.items():
        print(f"  {name:14} {figure:10.2f} ms   {reference / figure:6.2f} of onnxruntime's speed", flush=True)
