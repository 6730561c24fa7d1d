"""A trained network in int8, for oneDNN's CPU instructions, with its accuracy and speed on the test set."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from gluon_classics.data import DataLoader, ImageDataset, ImageOptions, ImageTransform, load_dataset
from gluon_classics.deploy.graph import Exported
from gluon_classics.inference.predictor import BATCH
from gluon_classics.inference.runs import read_json
from gluon_classics.runtime import pointwise
from gluon_classics.training.step import heads

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.contrib.quantization import quantize_net_v2
from mxnet.gluon import HybridBlock, SymbolBlock

CALIBRATION_IMAGES = 512
SPLIT_BY_THE_RUN = ("coil20", "folder")  # data sets without a test set of their own


class Report(NamedTuple):
    """Top-1 accuracy and speed on the test set, in batches of BATCH, before and after quantization."""

    test_images: int
    calibration_images: int
    float32_accuracy: float
    int8_accuracy: float
    float32_images_per_second: float
    int8_images_per_second: float

    @property
    def drop(self) -> float:
        """Points of top-1 accuracy that int8 loses."""
        return 100 * (self.float32_accuracy - self.int8_accuracy)

    def __str__(self) -> str:
        gain = self.int8_images_per_second / self.float32_images_per_second
        return (
            f"int8: top-1 {self.int8_accuracy:.4f} of {self.test_images:,} test images, float32 "
            f"{self.float32_accuracy:.4f}; {self.int8_images_per_second:,.0f} images/s, float32 "
            f"{self.float32_images_per_second:,.0f} ({gain:.2f} times), in batches of {BATCH}"
        )


def load_run_data(run: str | Path, root: str | Path | None = None) -> tuple[ImageDataset, ImageDataset]:
    """Load the training and test set of a run folder, split as in the run, from `root` or where the run found them.

    Raises ValueError if split.json is missing, and as `load_dataset` does.
    """
    config = read_json(Path(run) / "config.json")
    name, root = str(config.get("dataset")), root or config.get("data_dir")
    if name not in SPLIT_BY_THE_RUN:
        return load_dataset(name, root)
    split = Path(run) / "split.json"
    if not split.is_file():
        raise ValueError(f"{split} is missing: it lists the images that the run was tested on")
    given: dict[str, Any] = {}
    if name == "folder":
        given = {key: config.get(key) for key in ("image_size", "skip_bad", "follow_links", "cache")}
        given["channels"] = config.get("net_args", {}).get("in_channels")
    log = logging.getLogger(__name__).info
    stored = split.read_text(encoding="utf-8")
    return load_dataset(name, root, ImageOptions(stored=stored, seed=config.get("seed", 0), log=log, **given))


def quantize(net: HybridBlock, images: np.ndarray, transform: ImageTransform) -> SymbolBlock:
    """Return `net` in int8, with ranges from its smallest and largest values for `images`, uint8 (N, H, W, C).

    Weights have one scale per channel. Inputs and logits stay float32.
    """
    dataset = ImageDataset(images, np.zeros(len(images), np.int32), ["any"], "calibration")
    batches = DataLoader(dataset, min(BATCH, len(images)), False, transform, last_batch="discard")
    settings = {"quantized_dtype": "auto", "quantize_granularity": "channel-wise", "calib_mode": "naive"}
    with warnings.catch_warnings(), pointwise.dilated():  # the artifact may be used on a machine with AMX
        warnings.simplefilter("ignore")  # MXNet cannot infer the input's type
        return quantize_net_v2(Exported(net), calib_data=batches, ctx=mx.cpu(), **settings)


def compare(
    float32: HybridBlock, int8: SymbolBlock, transform: ImageTransform, test: ImageDataset, calibrated: int
) -> Report:
    """Evaluate both networks on the test set, taking turns after every batch."""
    right, seconds = {float32: 0, int8: 0}, {float32: 0.0, int8: 0.0}
    batches = DataLoader(test, BATCH, False, transform)
    for i, (images, labels) in enumerate(batches):
        for net in (float32, int8):
            images.wait_to_read()
            began = perf_counter()
            logits = heads(net(images))[0].asnumpy()
            if i or len(batches) == 1:  # the first batch prepares the graph
                seconds[net] += perf_counter() - began
            right[net] += int((logits.argmax(axis=1) == labels.asnumpy()).sum())
    timed = len(test) if len(batches) == 1 else len(test) - BATCH
    accuracies = (right[net] / len(test) for net in (float32, int8))
    return Report(len(test), calibrated, *accuracies, *(timed / seconds[net] for net in (float32, int8)))


def quantize_run(
    run: str | Path, net: HybridBlock, transform: ImageTransform, root: str | Path | None, max_drop: float
) -> tuple[SymbolBlock, Report]:
    """Quantize the network of a run, calibrated with training images, and compare it on the test set.

    Raises ValueError if top-1 accuracy falls by more than `max_drop` points, and as `load_run_data` does.
    """
    train, test = load_run_data(run, root)
    n = min(CALIBRATION_IMAGES, max(len(train) // BATCH * BATCH, 1))  # whole batches
    chosen = np.sort(np.random.RandomState(0).permutation(len(train))[:n])
    int8 = quantize(net, train.images[chosen], transform)
    for each in (net, int8):
        each.hybridize(static_alloc=True, static_shape=True)
    nd.waitall()
    report = compare(net, int8, transform, test, n)
    if not report.drop <= max_drop:
        raise ValueError(f"{report}: a drop of {report.drop:.2f} points, more than --max-drop {max_drop:g}")
    return int8, report
