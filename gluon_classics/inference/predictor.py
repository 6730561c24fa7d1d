"""A trained network with the preprocessing of its training."""

from __future__ import annotations

from pathlib import Path

from gluon_classics import devices
from gluon_classics.data import Brightness, ImageTransform
from gluon_classics.inference.artifact import is_artifact, read_artifact
from gluon_classics.inference.runs import last_line, read_run

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.gluon import Block, HybridBlock

BATCH = 32  # images on the device at a time


class Predictor:
    """Maps images, uint8 (N, H, W, C), to probabilities, float32 (N, classes): `predictor(images)`.

    Images pass through the training's `transform`, on the device and without augmentation; None leaves them unchanged.
    They must have the training set's number of channels, `channels`, and should have its height and width,
    `image_size`. The network computes in float32, whatever it was trained in.

    Raises ValueError if network, transform and classes do not fit together, which one black image tests.
    """

    def __init__(
        self,
        net: Block,
        transform: ImageTransform | None,
        classes: tuple[str, ...],
        channels: int,
        image_size: tuple[int, int],
        device: mx.Context,
        brightness: Brightness | None = None,
    ):
        self.net = net
        self.transform = transform
        self.classes = classes
        self.channels = channels
        self.image_size = image_size
        self.device = device
        self.brightness = brightness  # of the training images, if it is known
        self._try()

    @classmethod
    def load(cls, path: str | Path, device: mx.Context | None = None) -> Predictor:
        """Load an exported artifact or a run folder."""
        return cls.from_artifact(path, device) if is_artifact(path) else cls.from_run(path, device)

    @classmethod
    def from_artifact(cls, path: str | Path, device: mx.Context | None = None) -> Predictor:
        """Load the graph that `export` wrote, without the network's class; `device` as for `from_run`.

        Raises DamagedArtifact, a ValueError, if a byte differs from what was exported.
        """
        artifact = read_artifact(path)
        device = device or artifact.choose_device()
        net = artifact.load_net(device)
        devices.hybridize(net, [device])
        classes, channels = artifact.classes, artifact.channels
        return cls(net, artifact.transform, classes, channels, artifact.image_size, device, artifact.brightness)

    @classmethod
    def from_run(cls, path: str | Path, device: mx.Context | None = None) -> Predictor:
        """Load the network of a run folder of do_exp.py, with the weights that were tested at the end of the run.

        `device` is by default the first GPU, or the CPU. Raises ValueError, which names the file, for a folder that is
        not a run, invalid settings, and weights that are damaged or belong to another network.
        """
        run = read_run(path)
        device = device or devices.try_gpu()
        net = run.load_net(device)
        devices.hybridize(net, [device])
        try:
            return cls(net, run.transform, run.classes, run.channels, run.image_size, device, run.brightness)
        except ValueError as error:
            raise ValueError(f"{run.weights}: {error}") from error

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities (N, classes), each row with sum 1. Raises ValueError for other arrays."""
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != self.channels:
            raise ValueError(
                f"this network takes uint8 images (N, H, W, {self.channels}), not {images.dtype} {images.shape}"
            )
        parts = [self._batch(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return np.concatenate([np.empty((0, len(self.classes)), np.float32), *parts])

    def _batch(self, images: np.ndarray) -> np.ndarray:
        data = nd.array(images, ctx=self.device, dtype=np.uint8)
        if self.transform:
            data, _ = self.transform(data, nd.zeros(len(images), ctx=self.device))
        outputs = self.net(data)
        logits = outputs[0] if isinstance(outputs, (list, tuple)) else outputs  # the others are auxiliary heads
        return nd.softmax(logits).asnumpy()

    def _try(self) -> None:
        wanted = (1, len(self.classes))
        try:
            probabilities = self(np.zeros((1, *self.image_size, self.channels), np.uint8))
        except mx.MXNetError as error:
            raise ValueError(f"the weights do not fit images of this size: {last_line(error)}") from error
        if probabilities.shape != wanted:
            raise ValueError(f"the network's output is {probabilities.shape}, not {wanted}, one for each class")
        if not np.isfinite(probabilities).all():
            raise ValueError("the network's output is not finite: the weights are damaged, or the training diverged")


def fused(net: HybridBlock, images: nd.NDArray) -> HybridBlock:
    """Fuse batch norm, activations and sums into `net`'s convolutions, for oneDNN on a CPU, and return `net`.

    It is traced with `images` and changed in place. Other batch sizes work as well.
    """
    net.optimize_for(images, backend="MKLDNN", static_alloc=True, static_shape=True)
    return net
