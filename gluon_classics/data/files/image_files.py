"""One image file as pixels, whatever it holds; what it cannot be used for is said before it is decoded.

PNG, JPEG, WebP, BMP and GIF, told by their contents, through Pillow. What becomes of the less usual ones:

* alpha, a palette with a transparent colour, a colour key: laid over white;
* palettes, 1-bit images and CMYK: as the colours that they stand for; profiles (ICC) are not applied;
* 16 bits: grey scaled to 8, rounded (65535 is 255); of colours and alpha Pillow keeps the upper 8 bits;
* EXIF orientation: turned upright, in PNGs only where it stands before the pixels;
* animations (GIF, WebP, APNG): refused, since which of the frames is meant is not ours to guess;
* more than MAX_PIXELS: refused by the header, before memory is taken for them.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

from gluon_classics.data.files.verified import describe

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

# Pillow warns of large images; here MAX_PIXELS decides, and says so
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

#: Pillow knows three dozen formats, and each is one more reader of hostile bytes.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
#: 8192 x 8192. Decoded, an image takes up to 4 bytes a pixel, in each thread.
MAX_PIXELS = 2**26
BEGINNINGS = {b"\x89PNG\r\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "BMP"}
# EXIF orientation: what brings the image upright, as in PIL.ImageOps.exif_transpose
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ORIENTATION = 0x0112  # the EXIF tag


class BadImage(ValueError):
    """A file cannot be used as an image. The text says why, without the file's name: "is empty (0 bytes)"."""


class Header(NamedTuple):
    """What an image file says of itself: height and width in pixels, upright, and whether it has colours."""

    height: int
    width: int
    colour: bool


def read_header(source: str | os.PathLike | BinaryIO) -> Header:
    """Height, width and colour of the image file `source`, a path or an open file; its pixels are not decoded.

    It is grey where the file stores grey values, or a palette of nothing else: the pixels are not looked at.
    Raises BadImage for a file that `read_image` refuses, as far as the header tells.
    """
    with _opened(source) as image:
        height, width = image.size[::-1]
        if _orientation(image) >= 5:
            height, width = width, height
        return Header(height, width, _has_colour(image))


def read_image(source: str | os.PathLike | BinaryIO, channels: int, size: int | None = None) -> np.ndarray:
    """The image file `source`, a path or an open file, as uint8 (H, W, channels).

    `channels` is 1 (grey, by ITU-R 601 luma) or 3 (RGB). With `size` the image is made size x size pixels, whatever
    its proportions, by Pillow's bilinear filter, which averages over all pixels where it makes an image smaller;
    photographs four times as large, or larger, are decoded at a half, a quarter or an eighth, at least 2 x size.
    Raises BadImage for a file that is no image, is damaged, truncated, animated, or has more than MAX_PIXELS pixels.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels is {channels!r}, but the choices are 1 (grey) and 3 (RGB)")
    if size is not None and size < 1:
        raise ValueError(f"size is {size}, but an image has at least 1 x 1 pixels")
    with _opened(source) as image:
        orientation = _orientation(image)
        if size is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (2 * size, 2 * size))
        image = _plain(image)
        if channels == 1 and image.mode == "RGB":
            image = image.convert("L")  # before it is resized: a third of the work
        if size is not None and image.size != (size, size):
            image = image.resize((size, size), Image.Resampling.BILINEAR)
        if image.mode in ("LA", "RGBA"):
            image = _over_white(image)
        image = image.convert("L" if channels == 1 else "RGB")
        if orientation in UPRIGHT:
            image = image.transpose(UPRIGHT[orientation])
        return np.asarray(image).reshape((image.height, image.width, channels))


class _Strictness:
    """Inside, in any number of threads, Pillow refuses damaged files, though gluoncv has told it to fill their gaps."""

    def __init__(self):
        self._lock, self._inside, self._before = threading.Lock(), 0, False

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
            self._inside += 1

    def __exit__(self, *_error) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                ImageFile.LOAD_TRUNCATED_IMAGES = self._before


strictly = _Strictness()


@contextmanager
def _opened(source) -> Iterator[Image.Image]:
    """The checked image, not decoded yet. All that goes wrong with it in the meantime is raised as BadImage."""
    try:
        with strictly, Image.open(source, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise BadImage(f"is too large: {width:,} x {height:,} pixels, and the limit is {MAX_PIXELS:,}")
            # an MPO is a camera's JPEG, whose further images are previews or depths
            if image.format != "MPO" and getattr(image, "is_animated", False):
                raise BadImage(f"is an animated {image.format}: store the frame that you mean as an image of its own")
            yield image
    except (BadImage, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(f"is too large: more than {MAX_PIXELS:,} pixels, the limit") from error
    except UnidentifiedImageError as error:
        raise BadImage(_what_else(source)) from error
    except OSError as error:
        raise BadImage(f"cannot be read: {error.strerror}" if error.errno else f"is damaged: {error}") from error
    except Exception as error:  # of a damaged file Pillow raises whatever it stumbles over
        raise BadImage(f"is damaged ({type(error).__name__}: {error})") from error


def _what_else(source) -> str:
    """What is wrong with a file that Pillow does not know, by its first bytes."""
    if hasattr(source, "read"):
        source.seek(0)
        start = source.read(64)
    else:
        with open(source, "rb") as file:
            start = file.read(64)
    if not start:
        return "is empty (0 bytes)"
    kind = next((kind for beginning, kind in BEGINNINGS.items() if start.startswith(beginning)), None)
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        kind = "WebP"
    return f"is a damaged {kind}: its header cannot be read" if kind else f"is no image: found {describe(start)}"


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) to 8."""
    try:
        # the base class's: a PNG's own method would decode the pixels to look behind them
        return Image.Image.getexif(image).get(ORIENTATION, 1)
    except Exception:  # of broken EXIF data, which viewers pass over, Pillow raises whatever it stumbles over
        return 1


def _has_colour(image: Image.Image) -> bool:
    if image.mode == "P":
        red, green, blue = np.array(image.getpalette("RGB")).reshape(-1, 3).T
        return bool((red != green).any() or (green != blue).any())
    return image.mode not in ("1", "L", "LA", "La") and not image.mode.startswith("I")


def _plain(image: Image.Image) -> Image.Image:
    """The decoded image as 8-bit grey or RGB, with alpha where it has transparent pixels or may have."""
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.uint32)
        wide[wide == image.info.get("transparency", -1)] = 65535
        return Image.fromarray(((wide + 128) // 257).astype(np.uint8))  # 65535 is 257 * 255
    if image.mode in ("PA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "LA", "RGB", "RGBA") else image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    """An image with alpha on a white ground."""
    ground = Image.new(image.mode[:-1], image.size, "white")
    ground.paste(image.convert(ground.mode), mask=image.getchannel("A"))
    return ground
