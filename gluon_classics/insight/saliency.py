"""Grad-CAM and occlusion: which parts of a picture a prediction depends on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gluon_classics.insight.features import outputs_of, rest_of
from gluon_classics.insight.summary import Layer

import numpy as np
from mxnet import autograd, nd
from mxnet.gluon import HybridBlock


def grad_cam(net: HybridBlock, images: nd.NDArray, classes: Sequence[int], layer: Layer) -> np.ndarray:
    """Return the Grad-CAM (len(classes), h, w) of one image (1, C, H, W) for each class, not scaled.

    Grad-CAM (Selvaraju et al. 2017, equations 1 and 2) is the positive part of the sum of the layer's channels
    (D, h, w), each weighted by the mean gradient of the class's logit with respect to it. If only a global average pool
    and a dense layer follow, it is the class activation map (Zhou et al. 2016) divided by h * w.

    Raises ValueError if a path leads around the layer.
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
    """Return the drop (rows, columns) of the class's probability when a square covers a part of the picture.

    `predict` maps uint8 (N, H, W, C) to probabilities (N, classes), and `picture` is uint8 (H, W, C). The square of
    `patch` x `patch` pixels moves by `stride` and has the picture's mean colour (Zeiler and Fergus 2014, section 4.2,
    use grey). The drop is negative where covering raises the probability.
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
    """Return the starts of the square; the last one ends at the border."""
    last = max(length - patch, 0)
    return [*range(0, last, stride), last]
