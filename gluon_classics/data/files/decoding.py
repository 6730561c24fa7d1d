"""Decode many image files once, in threads, into one uint8 array, in memory or in a memory-mapped file.

Threads are enough, because Pillow releases Python's lock while it decodes. The images keep the order of the files.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import math
import os
import re
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, NamedTuple

from gluon_classics.data.files.image_files import BadImage, read_image
from gluon_classics.data.files.mapped import KEPT, release
from gluon_classics.printable import printable
from gluon_classics.runtime.threads import cores
from gluon_classics.whole_file import sha256, whole_file

import numpy as np
import PIL
from tqdm import tqdm

SHARE_OF_MEMORY = 0.5  # of the free memory, for the decoded images; the rest is for training
RULES = 2  # increase when `read_image` returns other pixels: older caches are then ignored
BLOCK = 8  # images for a thread at a time
CHUNK = 2**20  # bytes read at a time

#: no bar unless standard error is a terminal
bar = functools.partial(tqdm, leave=False, unit_scale=True, disable=None)
log = logging.getLogger(__name__)


class Decoded(NamedTuple):
    """`images` (n, H, W, C) uint8 in the order of the files, without `bad`: the index of each bad file, and why."""

    images: np.ndarray
    bad: dict[int, str]


def decode(
    paths: Sequence[str | os.PathLike],
    shape: tuple[int, int, int],
    image_size: int | None = None,
    *,
    cache: str | os.PathLike | None = None,
    progress: Callable | None = None,
    threads: int | None = None,
) -> Decoded:
    """Decode the image files `paths` to arrays of `shape` (H, W, C), resized to `image_size` if given.

    The array is in memory, or, with the folder `cache`, a np.memmap of a file in it, which uses hardly any memory. It
    is reused as long as the files' contents (SHA-256) and the shape are the same, and made again if it is damaged; its
    files can be deleted at any time. `progress` is tqdm, or takes the same total, desc and unit. `threads` defaults to
    the number of cores. Raises ValueError if the array does not fit into memory, or the cache cannot be written.
    """
    whole_shape = (len(paths), *shape)
    size = math.prod(whole_shape)
    fill = functools.partial(_fill, paths=paths, image_size=image_size, progress=progress, threads=threads)
    if cache is None:
        _check_memory(whole_shape)
        return fill(np.zeros(whole_shape, np.uint8))
    folder = Path(cache).expanduser()
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"cache (--cache) is {printable(folder)}, a file: name a folder")
    digests = in_threads(_sha256, paths, "Looking for cached images", progress, threads)
    key = hashlib.sha256(f"{RULES} {PIL.__version__} {shape} {image_size} {digests}".encode()).hexdigest()
    file = folder / f"{'x'.join(map(str, whole_shape))}-{key[:32]}.npy"
    bad = _check_cache(file, progress)
    try:
        if bad is None:
            folder.mkdir(parents=True, exist_ok=True)
            bad = _write_cache(file, whole_shape, fill, progress)
        return Decoded(np.lib.format.open_memmap(file, "r")[: len(paths) - len(bad)], bad)
    except OSError as error:
        words = f"cannot be written: {error.strerror or error}; make room, or name another folder as cache (--cache)"
        raise ValueError(f"the cache {printable(folder)} of {size / 2**30:,.2f} GiB {words}") from error


def in_threads(
    function: Callable, items: Sequence, title: str, progress: Callable | None = None, threads: int | None = None
) -> list:
    """Return `[function(item) for item in items]`, run in threads with a progress bar; arguments as in `decode`."""
    blocks = [items[i : i + BLOCK] for i in range(0, len(items), BLOCK)]
    executor = ThreadPoolExecutor(threads or cores().count)
    results = []
    try:
        with (progress or bar)(total=len(items), desc=title, unit=" images") as shown:
            for block in executor.map(lambda block: [function(item) for item in block], blocks):
                results += block
                shown.update(len(block))
    finally:
        executor.shutdown(cancel_futures=True)  # so that Ctrl-C does not wait for the rest
    return results


def _fill(
    images: np.ndarray,
    paths: Sequence[str | os.PathLike],
    image_size: int | None,
    progress: Callable | None,
    threads: int | None,
) -> Decoded:
    """Decode into `images`, and close the gaps that bad images leave."""
    shape = images.shape[1:]
    kept = max(1, KEPT // math.prod(shape))

    def fill(row: int) -> str | None:
        try:
            image = read_image(paths[row], shape[2], image_size)
            if image.shape != shape:
                raise BadImage(f"has {image.shape[1]}x{image.shape[0]} pixels, expected {shape[1]}x{shape[0]}")
            images[row] = image
            if row % kept == 0 and isinstance(images, np.memmap):
                release(images)
        except BadImage as error:
            return str(error)
        return None

    reasons = in_threads(fill, range(len(paths)), "Decoding", progress, threads)
    bad = {row: reason for row, reason in enumerate(reasons) if reason is not None}
    if bad:
        for to, row in enumerate(row for row in range(len(paths)) if row not in bad):
            images[to] = images[row]
    return Decoded(images[: len(paths) - len(bad)], bad)


def _sha256(path: str | os.PathLike) -> str:
    """Return the hash of a file, or "unreadable"; decoding then says why."""
    try:
        return sha256(Path(path))
    except OSError:
        return "unreadable"


def _write_cache(file: Path, shape: tuple[int, ...], fill: Callable, progress: Callable | None) -> dict[int, str]:
    """Decode into `file`, write the bad images and its checksum to a .json next to it, and return the bad images."""
    with whole_file(file) as part:
        images = np.lib.format.open_memmap(part, "w+", np.uint8, shape)
        if hasattr(os, "posix_fallocate"):
            with open(part, "rb+") as opened:  # a full disk raises here; during decoding it would kill the process
                os.posix_fallocate(opened.fileno(), 0, os.path.getsize(part))
        bad = fill(images).bad
        images.flush()
        facts = {"bad": bad, "crc32": _crc32(part, progress)}
        with whole_file(file.with_suffix(".json")) as facts_part:
            facts_part.write_text(json.dumps(facts), encoding="utf-8")
    return bad


def _check_cache(file: Path, progress: Callable | None) -> dict[int, str] | None:
    """Return the bad images of a valid cache, or None if there is no cache or it is damaged."""
    if not file.exists():
        return None
    try:
        facts = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        bad = {int(row): str(reason) for row, reason in facts["bad"].items()}
        if _crc32(file, progress) != facts["crc32"]:
            raise ValueError("the checksum differs")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("the cached images %s are damaged and are decoded again: %s", printable(file), error)
        return None
    return bad


def _crc32(file: Path, progress: Callable | None) -> int:
    checksum = 0
    shown = (progress or bar)(total=os.path.getsize(file), desc="Checking the cache", unit="B")
    with open(file, "rb") as opened, shown:
        for chunk in iter(lambda: opened.read(CHUNK), b""):
            checksum = zlib.crc32(chunk, checksum)
            shown.update(len(chunk))
    return checksum


def _check_memory(shape: tuple[int, ...]) -> None:
    """Raise ValueError unless a uint8 array of `shape` leaves enough memory for training."""
    size, free = math.prod(shape), _free_memory()
    if free is not None and size > SHARE_OF_MEMORY * free:
        raise ValueError(
            f"{shape[0]:,} images of {shape[2]}x{shape[1]} pixels take {size / 2**30:,.1f} GiB decoded, and "
            f"{free / 2**30:,.1f} GiB of memory are free: keep them on disk with cache (--cache FOLDER), or make them "
            f"smaller with image_size (--image-size)"
        )


def _free_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes that the system and the container leave to this process, or None if unknown (not Linux)."""
    found = []
    for name, pattern, unit in (
        ("proc/meminfo", r"MemAvailable:\s+(\d+) kB", 1024),
        ("sys/fs/cgroup/memory.max", r"(\d+)", 1),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", r"(\d+)", 1),
    ):
        try:
            match = re.search(pattern, (root / name).read_text())
        except OSError:
            continue
        if match:
            found.append(int(match[1]) * unit)
    return min(found, default=None)
