"""Predictions for picture files, in batches."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

from gluon_classics.data import image_brightness
from gluon_classics.data.files.image_files import BadImage, read_image
from gluon_classics.inference.pictures import Picture, class_by_folder
from gluon_classics.inference.predictor import BATCH, Predictor
from gluon_classics.runtime.threads import cores

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of one picture, or the error that prevented a prediction."""

    file: str
    label: str | None  # the class that a folder around it is named after
    best: Sequence[tuple[str, float]] = ()  # (class, probability)
    error: str | None = None
    brightness: tuple[float, float] | None = None  # see data.image_brightness

    @property
    def right(self) -> bool:
        return bool(self.best) and self.best[0][0] == self.label


def predict_files(
    predictor: Predictor, pictures: Sequence[Picture], top: int = 5, invert: bool = False
) -> Iterator[Prediction]:
    """Yield the predictions in order while the next batch is read. At most two batches are in memory.

    `invert` makes light pixels dark and dark ones light.
    """
    label = class_by_folder(predictor.classes)

    def read(picture: Picture) -> np.ndarray | str:
        """Return the pixels, or the error."""
        try:
            pixels = read_stored(picture.file, predictor.channels, predictor.image_size)
            return 255 - pixels if invert else pixels
        except (BadImage, OSError) as error:
            return str(error)

    with ThreadPoolExecutor(cores().count) as pool:
        ahead = [pool.submit(read, picture) for picture in pictures[:BATCH]]
        for start in range(0, len(pictures), BATCH):
            images = [future.result() for future in ahead]
            ahead = [pool.submit(read, picture) for picture in pictures[start + BATCH : start + 2 * BATCH]]
            good = [image for image in images if not isinstance(image, str)]
            rows = iter(predictor(np.stack(good)) if good else ())
            for picture, image in zip(pictures[start : start + BATCH], images):
                if isinstance(image, str):
                    yield Prediction(picture.file, label(picture), error=image)
                else:
                    best = best_classes(next(rows), predictor.classes, top)
                    yield Prediction(picture.file, label(picture), best, brightness=image_brightness(image))


def read_stored(file: str | BinaryIO, channels: int, image_size: tuple[int, int]) -> np.ndarray:
    """Read a picture as the data set would store it: uint8 (height, width, channels). Raises BadImage."""
    if isinstance(file, str) and os.path.exists(file) and not os.path.isfile(file):
        raise BadImage("is not a regular file")  # reading a pipe would block
    height, width = image_size
    if height == width:
        return read_image(file, channels, height)
    pixels = read_image(file, channels)
    if pixels.shape[:2] == image_size:
        return pixels
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)).reshape((height, width, channels))


def best_classes(probabilities: np.ndarray, classes: Sequence[str], top: int) -> list[tuple[str, float]]:
    """Return the `top` most probable classes with their probabilities, highest first."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [(classes[i], float(probabilities[i])) for i in order]
