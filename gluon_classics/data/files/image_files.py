"""Read one image file of any kind as pixels.

PNG, JPEG, WebP, BMP and GIF, recognised by their contents and decoded by Pillow. Special cases:

* alpha, transparent palette colours and colour keys: blended with white;
* palettes, 1-bit images and CMYK: converted to their colours; ICC profiles are not applied;
* 16 bits: grey is scaled to 8 bits and rounded (65535 is 255); of colours and alpha Pillow keeps the upper 8 bits;
* EXIF orientation: applied, in PNGs only if it precedes the pixels;
* animations (GIF, WebP, APNG): refused, because it is unclear which frame is meant;
* more than MAX_PIXELS: refused by the header, before any memory is allocated;
* JPEGs of more than MAX_SCANS scans, and files of very many tiny parts: refused, because small ones can take minutes.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

from gluon_classics.data.files.verified import describe
from gluon_classics.whole_file import require_regular

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

# Pillow warns of large images; here MAX_PIXELS decides
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

#: Pillow knows three dozen formats, and each is one more parser of hostile bytes.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
#: 8192 x 8192. Decoded, an image takes up to 4 bytes a pixel, in each thread.
MAX_PIXELS = 2**26
#: Encoders write about 10. Each costs a pass over the pixels (50 ms at MAX_PIXELS) and may take 20 bytes of the file.
MAX_SCANS = 100
#: Of a file's header by Pillow: 4 for each segment of a JPEG. Its time for EXIF data grows with their square.
MAX_READS = 10_000
BYTES_A_READ = 64  # the least, on average, in the rest of a file
JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")  # those with a length after them, and the end's
BEGINNINGS = {b"\x89PNG\r\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "BMP"}
# what turns the image upright, by EXIF orientation, as in PIL.ImageOps.exif_transpose
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
    """A file cannot be used as an image. The message says why, without the file's name: "is empty (0 bytes)"."""


class Header(NamedTuple):
    """Height and width in pixels of the upright image, and whether it has colours."""

    height: int
    width: int
    colour: bool


def read_header(source: str | os.PathLike | BinaryIO) -> Header:
    """Return height, width and colour of the image file `source`, a path or an open file, without decoding it.

    An image is grey if the file stores grey values, or a palette of only grey colours.
    Raises BadImage for a file that `read_image` refuses, as far as the header shows.
    """
    with open_image(source) as image:
        height, width = image.size[::-1]
        if _orientation(image) >= 5:
            height, width = width, height
        return Header(height, width, _has_colour(image))


def read_image(source: str | os.PathLike | BinaryIO, channels: int, size: int | None = None) -> np.ndarray:
    """Read the image file `source`, a path or an open file, as uint8 (H, W, channels).

    `channels` is 1 (grey, ITU-R 601 luma) or 3 (RGB). With `size` the image is resized to size x size pixels, whatever
    its proportions, by Pillow's bilinear filter, which averages over all pixels when it shrinks an image. JPEGs that
    are at least four times as large are decoded at 1/2, 1/4 or 1/8 of their size, but at least 2 x size.
    Raises BadImage for a file that is not an image, is damaged, truncated or animated, or has more than MAX_PIXELS.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels is {channels!r}, but the choices are 1 (grey) and 3 (RGB)")
    if size is not None and size < 1:
        raise ValueError(f"size is {size}, but an image has at least 1 x 1 pixels")
    with open_image(source) as image:
        orientation = _orientation(image)
        _check_scans(image)
        if size is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (2 * size, 2 * size))
        image = _plain(image)
        if channels == 1 and image.mode == "RGB":
            image = image.convert("L")  # before the resize, which is then a third of the work
        if size is not None and image.size != (size, size):
            image = image.resize((size, size), Image.Resampling.BILINEAR)
        if image.mode in ("LA", "RGBA"):
            image = _over_white(image)
        image = image.convert("L" if channels == 1 else "RGB")
        if orientation in UPRIGHT:
            image = image.transpose(UPRIGHT[orientation])
        return np.asarray(image).reshape((image.height, image.width, channels))


class _Strictness:
    """A context, for any number of threads, in which Pillow refuses truncated files. Importing gluoncv allows them."""

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
def open_image(source) -> Iterator[Image.Image]:
    """Open and check the image, without decoding it. Any error in the with block is raised as BadImage."""
    try:
        with strictly, _opened(source) as file, Image.open(file, formats=FORMATS) as image:
            file.reads_left += file.size // BYTES_A_READ
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise BadImage(f"is too large: {width:,} x {height:,} pixels, and the limit is {MAX_PIXELS:,}")
            # an MPO is a camera's JPEG, whose other images are previews or depth maps
            if image.format != "MPO" and getattr(image, "is_animated", False):
                raise BadImage(f"is an animated {image.format}: save the frame that you want as an image")
            yield image
    except (BadImage, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(f"is too large: more than {MAX_PIXELS:,} pixels, the limit") from error
    except UnidentifiedImageError as error:
        raise BadImage(_what_else(source)) from error
    except OSError as error:
        raise BadImage(f"cannot be read: {error.strerror}" if error.errno else f"is damaged: {error}") from error
    except Exception as error:  # Pillow raises exceptions of any kind for damaged files
        raise BadImage(f"is damaged ({type(error).__name__}: {error})") from error


class _File:
    """An open file that can be read from `reads_left` times."""

    def __init__(self, file: BinaryIO):
        self.size = file.seek(0, os.SEEK_END)
        self.reads_left = MAX_READS
        self._read, self.seek, self.tell = file.read, file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        self.reads_left -= 1
        if self.reads_left < 0:
            raise BadImage("consists of too many parts: save it again")
        return self._read(size)


@contextmanager
def _opened(source: str | os.PathLike | BinaryIO) -> Iterator[_File]:
    if hasattr(source, "read"):
        yield _File(source)
    else:
        require_regular(source)
        with open(source, "rb") as file:
            yield _File(file)


def _check_scans(image: Image.Image) -> None:
    """Raise BadImage for a JPEG of more than MAX_SCANS scans."""
    if image.format not in ("JPEG", "MPO"):
        return
    place = image.fp.tell()
    image.fp.seek(0)
    data = image.fp.read()
    image.fp.seek(place)
    if data.count(b"\xff\xda") <= MAX_SCANS:
        return  # fast, but metadata and what follows the image may hold these bytes, too
    scans, end = 0, 0
    while scans <= MAX_SCANS and (marker := JPEG_MARKER.search(data, end)) and marker[1] != b"\xd9":
        scans += marker[1] == b"\xda"
        end = marker.end() + max(2, int.from_bytes(data[marker.end() : marker.end() + 2], "big"))
    if scans > MAX_SCANS:
        raise BadImage(f"has more than {MAX_SCANS} scans, the limit: save it again as a JPEG")


def _what_else(source) -> str:
    """Say what is wrong with a file that Pillow does not recognise, by its first bytes."""
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
    return f"is a damaged {kind}: its header cannot be read" if kind else f"is not an image: found {describe(start)}"


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) to 8."""
    try:
        # the base class's method: a PNG's own would decode the pixels to find data after them
        return Image.Image.getexif(image).get(ORIENTATION, 1)
    except Exception:  # viewers ignore broken EXIF data, for which Pillow raises exceptions of any kind
        return 1


def _has_colour(image: Image.Image) -> bool:
    if image.mode == "P":
        red, green, blue = np.array(image.getpalette("RGB")).reshape(-1, 3).T
        return bool((red != green).any() or (green != blue).any())
    return image.mode not in ("1", "L", "LA", "La") and not image.mode.startswith("I")


def _plain(image: Image.Image) -> Image.Image:
    """Decode to 8-bit grey or RGB, with alpha if there may be transparent pixels."""
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
    """Blend an image that has alpha with white."""
    ground = Image.new(image.mode[:-1], image.size, "white")
    ground.paste(image.convert(ground.mode), mask=image.getchannel("A"))
    return ground
