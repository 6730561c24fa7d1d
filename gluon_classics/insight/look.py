"""One page with what a network sees in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gluon_classics.data.files.image_files import BadImage
from gluon_classics.inference.artifact import is_artifact
from gluon_classics.inference.prediction import best_classes, read_stored
from gluon_classics.inference.predictor import Predictor
from gluon_classics.insight import look_pictures as pictures
from gluon_classics.insight.features import find_layer, is_map, last_map, outputs_of, summarize_for
from gluon_classics.insight.html_page import (
    Html,
    Section,
    bar,
    beside,
    heading,
    joined,
    page,
    paragraph,
    picture,
    table,
)
from gluon_classics.insight.saliency import grad_cam, occlusion
from gluon_classics.insight.summary import Layer, Summary
from gluon_classics.insight.tables import times

import numpy as np
from mxnet import nd

CLASSES = 3  # have a Grad-CAM
TOP = 5
_SQUARES = 5  # of the occlusion's squares make a side of the picture; they overlap by half


def look_page(runs: Sequence[str], file: str, layer: str | None = None) -> str:
    """Return the HTML of what the networks of one or two run folders see in a picture.

    `layer` is where Grad-CAM looks; None is the last layer with more than one pixel. Raises ValueError for an artifact
    in place of a run, a picture that cannot be read, and an unknown or flat layer.
    """
    looks = [_Look(path, file, layer) for path in runs]
    title = " and ".join(look.name for look in looks)
    return page(f"What {title} {'see' if len(looks) > 1 else 'sees'}", file, [], _sections(looks))


class _Look:
    """One network and one picture."""

    def __init__(self, path: str, file: str, layer: str | None):
        if is_artifact(path):
            raise ValueError(f"{path} was exported, and has no layers to look at: name the run's folder")
        self.predictor = Predictor.from_run(path)
        self.name = Path(path).resolve().name
        try:
            self.picture = read_stored(file, self.predictor.channels, self.predictor.image_size)
        except (BadImage, OSError) as error:
            raise ValueError(
                f"{file} {error}" if isinstance(error, BadImage) else f"{file}: {error.strerror}"
            ) from error
        assert self.predictor.transform, "a run has one"
        device = self.predictor.device
        data = nd.array(self.picture[None], ctx=device, dtype=np.uint8)
        self.images, _ = self.predictor.transform(data, nd.zeros(1, ctx=device))
        self.summary: Summary = summarize_for(self.predictor.net, self.images)
        self.layer: Layer = find_layer(self.summary, layer) if layer else last_map(self.summary)
        if not is_map(self.layer):
            raise ValueError(
                f"layer {self.layer.name} has no picture of more than one pixel: its output is "
                f"{times(self.layer.output_shape)}"
            )
        self.probabilities = self.predictor(self.picture[None])[0]
        self.order = np.argsort(-self.probabilities, kind="stable")

    def prediction(self) -> Html:
        best = best_classes(self.probabilities, self.predictor.classes, TOP)
        rows = [(name, f"{share:.2%}", bar(share)) for name, share in best]
        drawn = picture(
            "picture", "picture", "The picture as the network gets it", pictures.as_png(pictures.enlarged(self.picture))
        )
        return beside([drawn, table("The most probable classes", ("class", "probability", ""), rows, "<><")])

    def kernels(self) -> Html:
        net, first = self.predictor.net, next(layer for layer in self.summary.layers if layer.kind == "conv")
        block = net
        for name in first.path:
            block = block._children[name]
        weights = block.weight.data(self.predictor.device).asnumpy()
        count, inputs, height, width = weights.shape
        shown = "" if count <= pictures.KERNELS else f", the first {pictures.KERNELS} of them"
        channels = "1 channel" if inputs == 1 else f"{inputs} channels"
        text = f"{first.name}: {count} kernels of {height}x{width}, over {channels}{shown}. Grey is 0."
        png = pictures.as_png(pictures.kernels(weights))
        return joined([paragraph(text), picture("kernels", f"kernels-{self.name}", "The first layer's kernels", png)])

    def maps(self) -> Html:
        # a dense layer has no maps
        ends = {stage: layer for stage in self.summary.stages for layer in stage.layers if is_map(layer)}
        outputs = outputs_of(self.predictor.net, self.images, list(ends.values()))
        parts = []
        for (stage, end), output in zip(ends.items(), outputs):
            values = output[0].asnumpy()
            channels = pictures.strongest(values)
            png = pictures.as_png(pictures.feature_maps(values, channels))
            about = f"channels {', '.join(map(str, channels))}"
            parts.append(heading(f"{stage.name}: {stage.kind}, {times(end.output_shape)}"))
            parts.append(picture("maps", f"maps-{self.name}-{stage.name}", f"{stage.name}, {about}", png))
            parts.append(paragraph(about, "missing"))
        return joined(parts)

    def grad_cam(self) -> Html:
        classes = self.order[:CLASSES].tolist()
        maps = grad_cam(self.predictor.net, self.images, classes, self.layer)
        drawn = []
        for index, values in zip(classes, maps):
            name = f"{self.predictor.classes[index]}, {self.probabilities[index]:.2%}"
            png = pictures.as_png(pictures.heat(self.picture, values))
            drawn.append(
                joined([heading(name), picture("heat", f"cam-{self.name}-{index}", f"Grad-CAM of {name}", png)])
            )
        text = (
            f"Layer {self.layer.name}, {times(self.layer.output_shape)}; bright is what speaks for the class. "
            "Each map has a scale of its own."
        )
        return joined([paragraph(text), paragraph(self._about_cam(), "missing"), beside(drawn)])

    def _about_cam(self) -> str:
        after = [layer.kind for layer in self.summary.layers if layer.node > self.layer.node]
        if [kind for kind in after if kind in ("conv", "dense")] in ([], ["dense"]) and "global average pool" in after:
            return (
                "Behind it stands a global average pool, so that these are class activation maps but for their scale."
            )
        return "No global average pool stands behind it: there is no class activation map, only this approximation."

    def occlusion(self) -> Html:
        side = max(self.picture.shape[:2])
        patch = max(2, round(side / _SQUARES))
        index = int(self.order[0])
        falls = occlusion(self.predictor, self.picture, index, patch, max(1, patch // 2))
        name = self.predictor.classes[index]
        text = (
            f"How much the probability of {name}, {self.probabilities[index]:.2%}, falls where a square of "
            f"{patch} of its {side} pixels covers the picture: by {100 * falls.max():.1f} points at most, where it is "
            "bright."
        )
        png = pictures.as_png(pictures.heat(self.picture, falls))
        return joined([paragraph(text), picture("occlusion", f"occlusion-{self.name}", f"Occlusion, {name}", png)])


def _sections(looks: Sequence[_Look]) -> list[Section]:
    parts = [
        ("prediction", "Prediction", _Look.prediction),
        ("grad-cam", "Grad-CAM: where the classes are", _Look.grad_cam),
        ("occlusion", "Occlusion: what the prediction needs", _Look.occlusion),
        ("kernels", "The first layer's kernels", _Look.kernels),
        ("maps", f"Feature maps behind each stage, the {pictures.MAPS} strongest", _Look.maps),
    ]
    if len(looks) == 1:
        return [Section(name, title, draw(looks[0])) for name, title, draw in parts]
    return [
        Section(name, title, beside(joined([heading(look.name), draw(look)]) for look in looks))
        for name, title, draw in parts
    ]
