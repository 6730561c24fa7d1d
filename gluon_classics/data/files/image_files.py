"""Read one image file of any kind as pixels.

PNG, JPEG, WebP, BMP, GIF, PPM (PGM, PBM) and TIFF, recognised by their contents and decoded by Pillow. An open file,
such as a server's upload, may be one of the first five only. Special cases:

* alpha, transparent palette colours and colour keys: blended with white;
* palettes, 1-bit images and CMYK: converted to their colours; ICC profiles are not applied;
* 16 bits: grey is scaled to 8 bits and rounded (65535 is 255); of colours and alpha Pillow keeps the upper 8 bits;
* 32 bits and floating point: refused if values are outside 0 to 65535, because their range is unknown;
* EXIF orientation: applied, in PNGs only if it precedes the pixels;
* metadata that Pillow refuses, such as a text of several MiB: left out, see `metadata`;
* animations (GIF, WebP, APNG) and pages (TIFF): refused, because it is unclear which one is meant;
* more than MAX_PIXELS: refused by the header, before any memory is allocated;
* JPEGs of more than MAX_SCANS scans, and files of very many tiny parts: refused, because small ones can take minutes.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO, Callable, NamedTuple, TypeVar

from gluon_classics.data.files.metadata import without_metadata
from gluon_classics.data.files.verified import describe
from gluon_classics.whole_file import require_regular

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

# Pillow warns of large images; here MAX_PIXELS decides
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# and of metadata that it cannot read
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.\w*Image\w*$")

#: Pillow knows three dozen formats, and each is one more parser of hostile bytes.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
FORMATS_ON_DISK = (*FORMATS, "PPM", "TIFF")
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff",
)  # fmt: skip
#: Files and folders that systems and file managers leave, in lower case; and all names that begin with a dot
SYSTEM_NAMES = {
    "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information",  # Windows
    "__macosx", "icon\r", "network trash folder",  # macOS
    "lost+found", "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp",  # Linux, Synology, QNAP
}  # fmt: skip
#: 8192 x 8192. Decoded, an image takes up to 4 bytes a pixel, in each thread.
MAX_PIXELS = 2**26
#: Encoders write about 10. Each costs a pass over the pixels (50 ms at MAX_PIXELS) and may take 20 bytes of the file.
MAX_SCANS = 100
#: Of a file's header by Pillow: 4 for each segment of a JPEG. Its time for EXIF data grows with their square.
MAX_READS = 10_000
BYTES_A_READ = 64  # the least, on average, in the rest of a file
JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")  # those with a length after them, and the end's
BEGINNINGS = {b"\x89PNG\r\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF",
              b"MM\0*": "TIFF"}  # fmt: skip
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
BITS, WHITE_IS_ZERO = 0x0102, 0x0106  # TIFF tags

Result = TypeVar("Result")


class BadImage(ValueError):
    """A file cannot be used as an image. The message says why, without the file's name: "is empty (0 bytes)"."""


class DamagedImage(BadImage):
    """A part of the file cannot be read: of its pixels, or of its metadata."""


class Header(NamedTuple):
    """Height and width in pixels of the upright image, and whether it has colours."""

    height: int
    width: int
    colour: bool


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or left by a system, and so not a picture or a class."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def read_header(source: str | os.PathLike | BinaryIO) -> Header:
    """Return height, width and colour of the image file `source`, a path or an open file, without decoding it.

    An image is grey if the file stores grey values, or a palette of only grey colours.
    Raises BadImage for a file that `read_image` refuses, as far as the header shows.
    """
    return _read(source, _header)


def _header(image: Image.Image) -> Header:
    height, width = image.size[::-1]
    # newer versions of Pillow have already turned the size of a TIFF
    tags = getattr(image, "tag_v2", {})
    turned = image.format == "TIFF" and image.size != (tags.get(0x0100), tags.get(0x0101))
    if _orientation(image) >= 5 and not turned:
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
    return _read(source, lambda image: _pixels(image, channels, size))


def _pixels(image: Image.Image, channels: int, size: int | None) -> np.ndarray:
    if image.format == "TIFF":
        image.load()  # newer versions of Pillow also turn it upright, and remove the orientation
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


def _read(source: str | os.PathLike | BinaryIO, function: Callable[[Image.Image], Result]) -> Result:
    """Return `function` of the opened image, if need be without its metadata. Raises BadImage."""
    try:
        with open_image(source) as image:
            return function(image)
    except DamagedImage as error:
        for orientation in (True, False):
            with suppress(BadImage, OSError), ExitStack() as stack:
                file = stack.enter_context(open(source, "rb")) if isinstance(source, (str, os.PathLike)) else source
                plain = without_metadata(file, orientation)
                if plain is not None:
                    return function(stack.enter_context(open_image(plain)))
        raise error


class _Strictness:
    """A context, for any number of threads, in which Pillow refuses truncated files. Importing gluoncv allows them."""

    def __init__(self) -> None:
        self._lock, self._inside, self._before = threading.Lock(), 0, False

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
            self._inside += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                ImageFile.LOAD_TRUNCATED_IMAGES = self._before


strictly = _Strictness()


@contextmanager
def open_image(source: str | os.PathLike | BinaryIO) -> Iterator[Image.Image]:
    """Open and check the image, without decoding it. Any error in the with block is raised as BadImage."""
    try:
        formats = FORMATS if hasattr(source, "read") else FORMATS_ON_DISK
        with strictly, _opened(source) as file, Image.open(file, formats=formats) as image:
            file.reads_left += file.size // BYTES_A_READ
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise BadImage(f"is too large: {width:,} x {height:,} pixels, and the limit is {MAX_PIXELS:,}")
            # an MPO is a camera's JPEG, whose other images are previews or depth maps
            if image.format != "MPO" and getattr(image, "is_animated", False):
                if image.format == "TIFF":
                    raise BadImage("has several pages: save the page that you want as an image")
                raise BadImage(f"is an animated {image.format}: save the frame that you want as an image")
            if image.mode == "F":
                raise BadImage("has floating-point pixels, whose range is unknown: save it with 8 or 16 bits")
            yield image
    except (BadImage, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(f"is too large: more than {MAX_PIXELS:,} pixels, the limit") from error
    except UnidentifiedImageError as error:
        raise _what_else(source) from error
    except OSError as error:
        if error.errno:
            raise BadImage(f"cannot be read: {error.strerror}") from error
        raise DamagedImage(f"is damaged: {error}") from error
    except Exception as error:  # Pillow raises exceptions of any kind for damaged files
        raise DamagedImage(f"is damaged ({type(error).__name__}: {error})") from error


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
    if isinstance(source, (str, os.PathLike)):
        require_regular(source)
        with open(source, "rb") as file:
            yield _File(file)
    else:
        yield _File(source)


def _check_scans(image: Image.Image) -> None:
    """Raise BadImage for a JPEG of more than MAX_SCANS scans."""
    if image.format not in ("JPEG", "MPO"):
        return
    assert isinstance(image, ImageFile.ImageFile) and image.fp is not None  # opened, and not yet decoded
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


def _what_else(source: str | os.PathLike | BinaryIO) -> BadImage:
    """Return what is wrong with a file that Pillow does not recognise, by its first bytes."""
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            start = file.read(64)
    else:
        source.seek(0)
        start = source.read(64)
    if not start:
        return BadImage("is empty (0 bytes)")
    kind = next((kind for beginning, kind in BEGINNINGS.items() if start.startswith(beginning)), None)
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        kind = "WebP"
    if kind == "TIFF" and hasattr(source, "read"):
        return BadImage("is a TIFF image: save it as PNG")
    if kind:
        return DamagedImage(f"is a damaged {kind}: its header cannot be read")
    return BadImage(f"is not an image: found {describe(start)}")


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
        return _narrow(image)
    if image.mode in ("PA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "LA", "RGB", "RGBA") else image.convert("RGB")


def _narrow(image: Image.Image) -> Image.Image:
    """Return grey of 16 bits, or 12 in a TIFF, scaled to 8 bits."""
    wide = np.asarray(image).astype(np.int64)
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    most = 4095 if tags.get(BITS) == (12,) else 65535
    if wide.min() < 0 or wide.max() > most:
        raise BadImage(f"has values from {wide.min():,} to {wide.max():,}: save it with 8 or 16 bits")
    if tags.get(WHITE_IS_ZERO) == 0:
        wide = most - wide
    wide[wide == image.info.get("transparency", -1)] = most
    return Image.fromarray(((wide * 255 + most // 2) // most).astype(np.uint8))


def _over_white(image: Image.Image) -> Image.Image:
    """Blend an image that has alpha with white."""
    ground = Image.new(image.mode[:-1], image.size, "white")
    ground.paste(image.convert(ground.mode), mask=image.getchannel("A"))
    return ground
