"""One page about one picture: the prediction, Grad-CAM, occlusion, kernels and feature maps of one or two networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gluon_classics.data.files.image_files import BadImage
from gluon_classics.inference.artifact import is_artifact
from gluon_classics.inference.prediction import best_classes, read_stored
from gluon_classics.inference.predictor import Predictor
from gluon_classics.insight import look_pictures as pictures
from gluon_classics.insight.features import find_layer, is_map, last_map, outputs_of, summarize_for
from gluon_classics.insight.pages import Png, png, render
from gluon_classics.insight.saliency import grad_cam, occlusion
from gluon_classics.insight.summary import Layer, Summary
from gluon_classics.insight.tables import times

import numpy as np
from mxnet import nd

CLASSES = 3  # with a Grad-CAM
TOP = 5
_SQUARES = 5  # occluding squares along a side of the picture; they overlap by half


def look_page(runs: Sequence[str], file: str, layer: str | None = None) -> str:
    """Return an HTML page about a picture and the networks of one or two run folders.

    `layer` is the layer for Grad-CAM; None means the last layer with more than one pixel. Raises ValueError for an
    artifact instead of a run, a picture that cannot be read, and a layer that is unknown or has only one pixel.
    """
    looks = [_Look(path, file, layer) for path in runs]
    names = " and ".join(look.name for look in looks)
    content = [look.content(number) for number, look in enumerate(looks)]
    return render("look.html", title=f"{names} on {Path(file).name}", subtitle=file, looks=content)


class _Look:
    """One network and one picture."""

    def __init__(self, path: str, file: str, layer: str | None):
        if is_artifact(path):
            raise ValueError(f"{path} is an exported artifact, whose layers are not accessible: name the run's folder")
        self.predictor = Predictor.from_run(path)
        self.name = Path(path).resolve().name
        try:
            self.picture = read_stored(file, self.predictor.channels, self.predictor.image_size)
        except BadImage as error:
            raise ValueError(f"{file} {error}") from error
        except OSError as error:
            raise ValueError(f"{file}: {error.strerror}") from error
        device = self.predictor.device
        data = nd.array(self.picture[None], ctx=device, dtype=np.uint8)
        assert self.predictor.transform, "a run has one"
        self.images, _ = self.predictor.transform(data, nd.zeros(1, ctx=device))
        self.summary: Summary = summarize_for(self.predictor.net, self.images)
        self.layer: Layer = find_layer(self.summary, layer) if layer else last_map(self.summary)
        if not is_map(self.layer):
            raise ValueError(
                f"layer {self.layer.name} is not a feature map: its output is {times(self.layer.output_shape)}"
            )
        self.probabilities = self.predictor(self.picture[None])[0]
        self.order = np.argsort(-self.probabilities, kind="stable")

    def content(self, number: int) -> dict:
        """Return what look.html shows; `number` keeps the ids of two networks apart."""
        best = best_classes(self.probabilities, self.predictor.classes, TOP)
        return {
            "number": number,
            "name": self.name,
            "picture": _png(pictures.enlarged(self.picture)),
            "best": [(name, f"{share:.2%}", share) for name, share in best],
            "grad_cam": self.grad_cam(),
            "occlusion": self.occlusion(),
            "kernels": self.kernels(),
            "maps": self.maps(),
        }

    def grad_cam(self) -> dict:
        classes = self.order[:CLASSES].tolist()
        maps = grad_cam(self.predictor.net, self.images, classes, self.layer)
        after = [layer.kind for layer in self.summary.layers if layer.node > self.layer.node]
        only_dense = [kind for kind in after if kind in ("conv", "dense")] in ([], ["dense"])
        return {
            "layer": self.layer.name,
            "shape": times(self.layer.output_shape),
            "exact": only_dense and "global average pool" in after,
            "maps": [
                (index, f"{self.predictor.classes[index]}, {self.probabilities[index]:.2%}", self._heat(values))
                for index, values in zip(classes, maps)
            ],
        }

    def occlusion(self) -> dict:
        index = int(self.order[0])
        patch = max(2, round(max(self.picture.shape[:2]) / _SQUARES))
        drops = occlusion(self.predictor, self.picture, index, patch, max(1, patch // 2))
        return {
            "name": self.predictor.classes[index],
            "probability": f"{self.probabilities[index]:.2%}",
            "patch": f"{patch}x{patch}",
            "pixels": times(self.picture.shape[:2]),
            "points": f"{100 * drops.max():.1f}",
            "png": self._heat(drops),
        }

    def kernels(self) -> dict:
        first = next(layer for layer in self.summary.layers if layer.kind == "conv")
        block = self.predictor.net
        for name in first.path:
            block = block._children[name]
        weights = block.weight.data(self.predictor.device).asnumpy()
        count, channels, height, width = weights.shape
        text = f"{first.name}: {count} kernels of {height}x{width}, {channels} channel{'s' if channels > 1 else ''}"
        shown = f"; the first {pictures.KERNELS} are shown" if count > pictures.KERNELS else ""
        return {"text": f"Layer {text}{shown}.", "png": _png(pictures.kernels(weights))}

    def maps(self) -> list[tuple[str, str, str, Png]]:
        """Return stage, heading, channels and picture for each stage with a feature map."""
        ends = {stage: layer for stage in self.summary.stages for layer in stage.layers if is_map(layer)}
        outputs = outputs_of(self.predictor.net, self.images, list(ends.values()))
        parts = []
        for (stage, end), output in zip(ends.items(), outputs):
            values = output[0].asnumpy()
            channels = pictures.strongest(values)
            heading = f"{stage.name}: {stage.kind}, {times(end.output_shape)}"
            about = f"channels {', '.join(map(str, channels))}"
            parts.append((stage.name, heading, about, _png(pictures.feature_maps(values, channels))))
        return parts

    def _heat(self, values: np.ndarray) -> Png:
        return _png(pictures.heat(self.picture, values))


def _png(pixels: np.ndarray) -> Png:
    return png(pictures.as_png(pixels))
