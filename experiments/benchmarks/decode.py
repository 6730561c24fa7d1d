"""Images/s of decoding a folder of images: this project, and a bare function around Pillow.

All sides decode the same files with the same number of threads.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

from gluon_classics.data.files.decoding import bar, decode

import numpy as np
from PIL import Image

from .turns import interleaved

no_bar = functools.partial(bar, disable=True)


class Images:
    """A folder of images: their format and size, and the size and channels to decode them to."""

    def __init__(self, title: str, suffix: str, width: int, height: int, size: int, channels: int):
        self.title, self.suffix, self.width, self.height = title, suffix, width, height
        self.size, self.channels = size, channels

    def write(self, folder: Path, count: int) -> list[Path]:
        """Write `count` files of smooth shapes with a little noise, which compress about as photographs do."""
        random = np.random.RandomState(0)
        paths = []
        for i in range(count):
            few = random.randint(0, 256, (self.height // 20, self.width // 20, self.channels), np.uint8)
            image = Image.fromarray(few.squeeze()).resize((self.width, self.height), Image.Resampling.BICUBIC)
            noise = random.randint(-4, 5, (self.height, self.width, self.channels)).squeeze()
            pixels = np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)
            paths.append(folder / f"{i:05}{self.suffix}")
            Image.fromarray(pixels).save(paths[-1])
        return paths


SETTINGS = {
    "jpeg": Images("JPEG 500x375, colour, to 224x224", ".jpg", 500, 375, 224, 3),  # ImageNet's usual size
    "png": Images("PNG 128x128, grey, as it is", ".png", 128, 128, 128, 1),  # COIL-20
    "photo": Images("JPEG 2048x1536, colour, to 224x224", ".jpg", 2048, 1536, 224, 3),
}


def pillow_alone(paths: list[Path], setting: Images, threads: int) -> None:
    """The obvious code: no checks, no order, and nothing kept but the last array of each thread."""
    mode, size = "RGB" if setting.channels == 3 else "L", (setting.size, setting.size)

    def read(path):
        np.asarray(Image.open(path).convert(mode).resize(size, Image.Resampling.BILINEAR))

    with ThreadPoolExecutor(threads) as executor:
        for _ in executor.map(read, paths):
            pass


def in_memory(paths: list[Path], setting: Images, threads: int) -> None:
    decode(paths, (setting.size, setting.size, setting.channels), setting.size, progress=no_bar, threads=threads)


def into_a_cache(paths: list[Path], setting: Images, threads: int) -> None:
    """Also hash the files, write the array to disk, and compute its checksum."""
    with tempfile.TemporaryDirectory() as cache:
        shape = (setting.size, setting.size, setting.channels)
        decode(paths, shape, setting.size, cache=cache, progress=no_bar, threads=threads)


SIDES: dict[str, Callable] = {
    "Pillow alone": pillow_alone,
    "gluon_classics": in_memory,
    "gluon_classics, --cache": into_a_cache,
}


def measure(setting: Images, images: int, repeats: int, threads: int) -> dict[str, float]:
    """Return the images/s of each side."""
    with tempfile.TemporaryDirectory() as folder:
        paths = setting.write(Path(folder), images)

        def speed(side) -> float:
            start = perf_counter()
            side(paths, setting, threads)
            return images / (perf_counter() - start)

        return interleaved({name: functools.partial(speed, side) for name, side in SIDES.items()}, repeats)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--images", type=int, default=400, help="files per turn, a tenth of it for `photo` (default 400)")
    add("--repeats", type=int, default=7, help="turns of each side (default 7)")
    add("--threads", type=int, default=2, help="threads of each side (default 2)")
    add("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS), help="kinds of images (default all)")


def run(args: argparse.Namespace) -> None:
    print(f"Decoding, {args.threads} threads, median of {args.repeats} turns, with the ratio to Pillow alone")
    for name in args.settings:
        setting = SETTINGS[name]
        images = max(1, args.images // 10) if name == "photo" else args.images
        speeds = measure(setting, images, args.repeats, args.threads)
        print(setting.title)
        for side, speed in speeds.items():
            print(f"  {side:26} {speed:10,.0f} images/s {speed / speeds['Pillow alone']:8.2f}", flush=True)
