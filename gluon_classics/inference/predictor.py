"""Images to probabilities: one trained network, with the way its images took in training."""

from __future__ import annotations

from pathlib import Path

from gluon_classics import devices
from gluon_classics.data import ImageTransform
from gluon_classics.inference.artifact import is_artifact, read_artifact
from gluon_classics.inference.runs import last_line, read_run

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.gluon import Block, HybridBlock

BATCH = 32  # images that are on the device at once


class Predictor:
    """`predictor(images)`: uint8 (N, H, W, C) to probabilities, float32 (N, classes).

    Images take the way of the training: `transform`, on the device, without its augmentation. They should have the
    height and width of the training set, `image_size`, and have to have its number of channels, `channels`. The
    network computes in float32, whatever the format it was trained in. `transform` is None for a network that takes the
    images as they are.

    Raises ValueError where network, transform and classes do not go together: one black image is sent through.
    """

    def __init__(
        self,
        net: Block,
        transform: ImageTransform | None,
        classes: tuple[str, ...],
        channels: int,
        image_size: tuple[int, int],
        device: mx.Context,
    ):
        self.net = net
        self.transform = transform
        self.classes = classes
        self.channels = channels
        self.image_size = image_size
        self.device = device
        self._try()

    @classmethod
    def load(cls, path: str | Path, device: mx.Context | None = None) -> Predictor:
        """The network of an exported artifact, or of a run folder."""
        return cls.from_artifact(path, device) if is_artifact(path) else cls.from_run(path, device)

    @classmethod
    def from_artifact(cls, path: str | Path, device: mx.Context | None = None) -> Predictor:
        """The network that `export` wrote: its graph, without the class that it was built by; `device` as below.

        Raises DamagedArtifact, a ValueError, where a byte of it is not what was exported.
        """
        artifact = read_artifact(path)
        device = device or artifact.choose_device()
        net = artifact.load_net(device)
        devices.hybridize(net, [device])
        return cls(net, artifact.transform, artifact.classes, artifact.channels, artifact.image_size, device)

    @classmethod
    def from_run(cls, path: str | Path, device: mx.Context | None = None) -> Predictor:
        """The network of a run folder that do_exp.py left, with the weights that were tested at its end.

        On the first GPU where none is named, or the CPU. Raises ValueError, which names the file, for a folder that is
        none, settings that make no sense, and weights that are damaged or of another network.
        """
        run = read_run(path)
        device = device or devices.try_gpu()
        net = run.load_net(device)
        devices.hybridize(net, [device])
        try:
            return cls(net, run.transform, run.classes, run.channels, run.image_size, device)
        except ValueError as error:
            raise ValueError(f"{run.weights}: {error}") from error

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The probabilities (N, classes), each row's sum 1. Raises ValueError for other arrays than above."""
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != self.channels:
            raise ValueError(
                f"images are uint8 (N, H, W, {self.channels}) for this network, not {images.dtype} {images.shape}"
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
            raise ValueError(f"these weights do not fit images of this size: {last_line(error)}") from error
        if probabilities.shape != wanted:
            raise ValueError(f"the network's output is {probabilities.shape}, not {wanted}, one for each class")
        if not np.isfinite(probabilities).all():
            raise ValueError("the network gives no finite numbers: the weights are damaged, or its training diverged")


def fused(net: HybridBlock, images: nd.NDArray) -> HybridBlock:
    """`net` with batch norm, activations and sums fused into its convolutions, as oneDNN computes them on a CPU.

    It is traced with `images`, and changed in place; other batch sizes work as well.
    """
    net.optimize_for(images, backend="MKLDNN", static_alloc=True, static_shape=True)
    return net
