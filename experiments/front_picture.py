"""The README's picture, of a finished run on Fashion-MNIST: python experiments/front_picture.py RUN"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gluon_classics.data import ImageTransform, load_dataset
from gluon_classics.insight import read_confusion
from gluon_classics.insight.architecture import architecture
from gluon_classics.insight.diagram import draw_diagram
from gluon_classics.insight.features import is_map, summarize_for
from gluon_classics.insight.look_pictures import heat
from gluon_classics.insight.saliency import grad_cam
from gluon_classics.insight.summary import summarize
from gluon_classics.insight.tables import caption
from gluon_classics.models import get_model

import matplotlib.pyplot as plt
import numpy as np
from mxnet import nd
from PIL import Image

SHOWN = ("Ankle boot", "Bag", "Dress", "Trouser", "Sneaker", "Sandal")  # attention maps, two in a row
SMALLEST = 5  # pixels of an attention map, high and wide


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "docs/front.png", help="default docs/front.png")
    args = parser.parse_args()
    config = json.loads((args.run / "config.json").read_text())
    accuracy = json.loads((args.run / "result.json").read_text())["test_acc"]
    net = get_model(config["net"], **config["net_args"])
    net.load_parameters(str(args.run / "last.params"))

    figure, axes = plt.subplots(1, 3, figsize=(15, 6), gridspec_kw={"width_ratios": [1, 1.15, 0.85]}, dpi=110)
    axes[0].imshow(diagram(config))
    draw_confusion(axes[1], *read_confusion(args.run / "confusion.csv"))
    axes[2].imshow(attention(net, config))
    titles = (config["net"], f"test accuracy {accuracy:.3f}", "where it looks (Grad-CAM)")
    for axis, title in zip(axes, titles):
        axis.set_title(title, fontsize=15, pad=12)
    for axis in axes[[0, 2]]:
        axis.axis("off")
    figure.tight_layout(w_pad=2)
    figure.savefig(args.out)


def diagram(config: dict) -> np.ndarray:
    """The drawing of the run's network, without its title."""
    net, shape = get_model(config["net"], **config["net_args"]), (config["net_args"]["in_channels"],)
    summary = summarize(net, (*shape, config["resize"], config["resize"]))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "diagram.png")
        draw_diagram(architecture(net, summary), "", caption(config["net"], summary), file)
        return np.asarray(Image.open(file))


def draw_confusion(axis, matrix: np.ndarray, classes: list[str]) -> None:
    shares = matrix / matrix.sum(axis=1, keepdims=True)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axis.set_yticks(range(len(classes)), classes)
    for row, column in np.argwhere(shares >= 0.005):
        share = shares[row, column]
        colour = "white" if share > 0.5 else "black"
        axis.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=colour, fontsize=9)
    axis.set_xlabel("predicted, in % of the class")


def attention(net, config: dict) -> np.ndarray:
    """Grad-CAM of the predicted class, on the first image of each class in SHOWN that the network gets right."""
    _, test = load_dataset("fashion-mnist-sample")
    transform = ImageTransform(config["resize"], config["mean"], config["std"])
    tiles = []
    for name in SHOWN:
        label = test.classes.index(name)
        for i in np.flatnonzero(test.labels == label):
            images, _ = transform(test[i : i + 1][0], nd.zeros(1))
            if int(net(images).argmax(axis=1).asscalar()) == label:
                tiles.append(heat(test.images[i], attention_map(net, images, label)))
                break
    tiles = [np.pad(tile, ((4, 4), (4, 4), (0, 0)), constant_values=255) for tile in tiles]
    return np.concatenate([np.concatenate(tiles[i : i + 2], axis=1) for i in range(0, len(tiles), 2)])


def attention_map(net, images: nd.NDArray, label: int) -> np.ndarray:
    """Grad-CAM at the last layer of at least SMALLEST pixels that all paths of the network go through."""
    layers = [layer for layer in summarize_for(net, images).layers if is_map(layer)]
    for layer in reversed(layers):
        if min(layer.output_shape[1:]) >= SMALLEST:
            with suppress(ValueError):  # a path leads around it
                return grad_cam(net, images, [label], layer)[0]
    raise ValueError(f"no layer of this network has an output of {SMALLEST}x{SMALLEST} pixels or more")


if __name__ == "__main__":
    main()
