"""Diagrams, pictures, kernels, feature maps and heat maps as figures for the notebooks."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gluon_classics.insight import look_pictures
from gluon_classics.insight.architecture import architecture
from gluon_classics.insight.diagram import draw_diagram
from gluon_classics.insight.features import is_map, last_map, outputs_of, summarize_for
from gluon_classics.insight.saliency import grad_cam
from gluon_classics.insight.summary import summarize
from gluon_classics.insight.tables import aligned, caption, times
from gluon_classics.models import get_model, model_info
from gluon_classics.nearest import unknown_name

import numpy as np
from matplotlib.figure import Figure
from mxnet import nd
from mxnet.gluon import HybridBlock

_COLUMNS = 8


def diagram(name: str, **arguments: Any) -> Any:
    """Return the diagram of a network of the registry; `arguments` are passed to the network."""
    from IPython.display import SVG

    net = get_model(name, **arguments)
    summary = summarize(net, model_info(name).input_shape)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "diagram.svg")
        draw_diagram(architecture(net, summary), name, caption(name, summary), path)
        return SVG(str(path))


def print_shapes(net: HybridBlock, images: nd.NDArray) -> None:
    """Print the name, kind and output shape (C, H, W) of each stage for images (N, C, H, W)."""
    rows = [("input", "", times(images.shape[1:]))]
    rows += [(stage.name, stage.kind, times(stage.output_shape)) for stage in summarize_for(net, images).stages]
    print(aligned([("stage", "kind", "output"), *rows], "<<>"))


def images_figure(images: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """Draw uint8 (N, H, W, C) in rows, with a name above each."""
    tiles = [np.broadcast_to(image, (*image.shape[:2], 3)) for image in images]
    return _tiles(tiles, names, title, min(len(tiles), _COLUMNS), 1.3)


def kernels_figure(net: HybridBlock, title: str = "Kernels of the first convolution; grey is 0") -> Figure:
    first = next(p for p in net.collect_params().values() if p.name.endswith("weight") and len(p.shape) == 4)
    height, width = first.shape[2:]
    return _one(look_pictures.kernels(first.data().asnumpy()), f"{title} ({height}x{width} pixels each)", 9)


def maps_figure(net: HybridBlock, image: nd.NDArray, stages: Sequence[str] | None = None) -> list[Figure]:
    """Draw the strongest channels after each stage, or after the named ones, for one image (1, C, H, W).

    Raises ValueError for an unknown stage, and for one whose output has only one pixel.
    """
    maps = {stage.name: stage for stage in summarize_for(net, image).stages if is_map(stage.layers[-1])}
    for name in stages or ():
        if name not in maps:
            raise unknown_name("stage", name, maps)
    chosen = [maps[name] for name in stages or maps]
    outputs = outputs_of(net, image, [stage.layers[-1] for stage in chosen])
    figures = []
    for stage, output in zip(chosen, outputs):
        values = output[0].asnumpy()
        pixels = look_pictures.feature_maps(values, look_pictures.strongest(values))
        size = times(values.shape[1:])
        title = f"After stage {stage.name} ({stage.kind}): the strongest of {len(values)} maps, {size} pixels"
        figures.append(_one(pixels, title, 9))
    return figures


def cam_figure(
    net: HybridBlock, image: nd.NDArray, picture: np.ndarray, classes: Sequence[str], top: int = 3
) -> Figure:
    """Draw the picture, uint8 (H, W, C), and Grad-CAM of image (1, C, H, W) for its most probable classes."""
    logits = net(image)
    probabilities = nd.softmax(logits[0] if isinstance(logits, (list, tuple)) else logits)[0].asnumpy()
    best = np.argsort(-probabilities)[:top].tolist()
    layer = last_map(summarize_for(net, image))
    maps = grad_cam(net, image, best, layer)
    tiles = [look_pictures.enlarged(picture), *(look_pictures.heat(picture, values) for values in maps)]
    names = ["the picture", *(f"{classes[i]}, {probabilities[i]:.0%}" for i in best)]
    return _tiles(
        tiles, names, f"Grad-CAM at layer {layer.name} ({times(layer.output_shape[1:])} pixels)", len(tiles), 2.2
    )


def _tiles(tiles: Sequence[np.ndarray], names: Sequence[str], title: str, columns: int, side: float) -> Figure:
    rows = -(-len(tiles) // columns)
    figure = Figure(figsize=(side * columns, (side + 0.25) * rows + 0.4), layout="constrained")
    figure.suptitle(title, size=11)
    for axes in (grid := figure.subplots(rows, columns, squeeze=False)).flat:
        axes.set_axis_off()
    for axes, tile, name in zip(grid.flat, tiles, names):
        axes.imshow(tile, interpolation="nearest")
        axes.set_title(name, size=8)
    return figure


def _one(pixels: np.ndarray, title: str, width: float) -> Figure:
    figure = Figure(figsize=(width, width * pixels.shape[0] / pixels.shape[1] + 0.4), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.imshow(pixels, interpolation="nearest")
    axes.set_title(title, size=10)
    return figure
