"""Decoding a folder of images, beside Pillow itself in a bare function: the part ``decode`` of benchmark.py.

Both sides decode the same files over the same number of threads, in turns, and the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

from gluon_classics.data.files.decoding import bar, decode

import numpy as np
from PIL import Image

no_bar = functools.partial(bar, disable=True)


class Setting:
    """One kind of folder: files of one format and size, and the size and channels that they are decoded to."""

    def __init__(self, title: str, suffix: str, width: int, height: int, size: int, channels: int):
        self.title, self.suffix, self.width, self.height = title, suffix, width, height
        self.size, self.channels = size, channels

    def write(self, folder: Path, count: int) -> list[Path]:
        """`count` files of smooth shapes with a little noise, which compress about as photographs do."""
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
    "jpeg": Setting("JPEG 500x375, colour, to 224x224", ".jpg", 500, 375, 224, 3),  # ImageNet's usual size
    "png": Setting("PNG 128x128, grey, as it is", ".png", 128, 128, 128, 1),  # COIL-20
    "photo": Setting("JPEG 2048x1536, colour, to 224x224", ".jpg", 2048, 1536, 224, 3),
}


def pillow_alone(paths: list[Path], setting: Setting, threads: int) -> None:
    """What anybody would write: no check, no order, nothing kept but the last array of each thread."""
    mode, size = "RGB" if setting.channels == 3 else "L", (setting.size, setting.size)

    def read(path):
        np.asarray(Image.open(path).convert(mode).resize(size, Image.Resampling.BILINEAR))

    with ThreadPoolExecutor(threads) as executor:
        for _ in executor.map(read, paths):
            pass


def in_memory(paths: list[Path], setting: Setting, threads: int) -> None:
    decode(paths, (setting.size, setting.size, setting.channels), setting.size, progress=no_bar, threads=threads)


def into_a_cache(paths: list[Path], setting: Setting, threads: int) -> None:
    """With hashing the files, writing the array to the disk, and its checksum."""
    with tempfile.TemporaryDirectory() as cache:
        shape = (setting.size, setting.size, setting.channels)
        decode(paths, shape, setting.size, cache=cache, progress=no_bar, threads=threads)


SIDES: dict[str, Callable] = {
    "Pillow alone": pillow_alone,
    "gluon_classics": in_memory,
    "gluon_classics, --cache": into_a_cache,
}


def measure(setting: Setting, images: int, repeats: int, threads: int) -> dict[str, float]:
    """Images/s of each side: medians of interleaved turns, after one that is not counted."""
    seconds = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        paths = setting.write(Path(folder), images)
        for turn in range(repeats + 1):
            for name, side in SIDES.items():
                start = perf_counter()
                side(paths, setting, threads)
                if turn:
                    seconds[name].append(perf_counter() - start)
    return {name: images / statistics.median(values) for name, values in seconds.items()}


def add_decode_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--images", type=int, default=400, help="files in a turn (default 400; of the large photographs a tenth)")
    add("--repeats", type=int, default=7, help="turns of each side (default 7)")
    add("--threads", type=int, default=2, help="of both sides (default 2)")
    add("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS), help="default all")


def benchmark_decode(args) -> None:
    print(f"Decoding, {args.threads} threads, median of {args.repeats} turns, and the ratio to Pillow alone")
    for name in args.settings:
        setting = SETTINGS[name]
        images = max(1, args.images // 10) if name == "photo" else args.images
        speeds = measure(setting, images, args.repeats, args.threads)
        print(setting.title)
        for side, speed in speeds.items():
            print(f"  {side:26} {speed:10,.0f} images/s {speed / speeds['Pillow alone']:8.2f}", flush=True)
