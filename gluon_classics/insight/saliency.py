"""Where a network looks: Grad-CAM, and what happens when a part of the picture is covered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gluon_classics.insight.features import outputs_of, rest_of
from gluon_classics.insight.summary import Layer

import numpy as np
from mxnet import autograd, nd
from mxnet.gluon import HybridBlock


def grad_cam(net: HybridBlock, images: nd.NDArray, classes: Sequence[int], layer: Layer) -> np.ndarray:
    """For one image (1, C, H, W) and each class, where in the layer's output (D, h, w) the class was found.

    Grad-CAM (Selvaraju et al. 2017, equations 1 and 2): the sum of the layer's channels, each times the mean gradient
    of the class's logit by it, where that is above zero. (len(classes), h, w), not scaled. Where only a global average
    pool and a dense layer follow, it is the class activation map (Zhou et al. 2016) divided by h * w.

    Raises ValueError where a path leads around the layer.
    """
    (features,) = outputs_of(net, images, [layer])
    rest = rest_of(net, layer)
    maps = []
    for index in classes:
        features.attach_grad()
        with autograd.record():
            logit = rest(features)[:, index]
        (gradient,) = autograd.grad(logit, [features])
        weights = gradient.mean(axis=(2, 3), keepdims=True)
        maps.append(nd.relu((weights * features).sum(axis=1))[0].asnumpy())
    return np.stack(maps)


def occlusion(
    predict: Callable[[np.ndarray], np.ndarray], picture: np.ndarray, index: int, patch: int, stride: int
) -> np.ndarray:
    """How much the class's probability falls when a square of the picture is covered, for each place of the square.

    `predict` takes uint8 (N, H, W, C) to probabilities (N, classes), `picture` is uint8 (H, W, C); the square of
    `patch` pixels moves by `stride`, and has the picture's mean colour (Zeiler and Fergus 2014, section 4.2, in grey).
    (rows, columns), negative where covering helps.
    """
    height, width = picture.shape[:2]
    tops, lefts = _starts(height, patch, stride), _starts(width, patch, stride)
    covered = np.repeat(picture[None], len(tops) * len(lefts), axis=0)
    mean = picture.mean(axis=(0, 1)).round().astype(np.uint8)
    for image, (top, left) in zip(covered, ((top, left) for top in tops for left in lefts)):
        image[top : top + patch, left : left + patch] = mean
    whole = predict(picture[None])[0, index]
    return (whole - predict(covered)[:, index]).reshape(len(tops), len(lefts))


def _starts(length: int, patch: int, stride: int) -> list[int]:
    """Where the square begins; the last one ends at the border."""
    last = max(length - patch, 0)
    return [*range(0, last, stride), last]
