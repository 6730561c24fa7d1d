"""Many image files decoded once, in threads, into one uint8 array: in memory, or in a file that is mapped into it.

Pillow decodes outside Python's lock, so threads are enough. The order is that of the files, whatever the threads do.
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
from gluon_classics.data.files.mapped import KEPT, is_mapped, release
from gluon_classics.runtime.threads import cores
from gluon_classics.whole_file import whole_file

import numpy as np
import PIL
from tqdm import tqdm

#: Of the array in memory, where nothing else is said: more of what is free is left to the training.
SHARE_OF_MEMORY = 0.5
#: Counts up with every change of what `read_image` makes of a file: older caches are then left aside.
RULES = 1
BLOCK = 8  # images for a thread at a time
CHUNK = 2**20  # bytes read at a time

#: no bar where standard error is not a terminal
bar = functools.partial(tqdm, leave=False, unit_scale=True, disable=None)
log = logging.getLogger(__name__)


class Decoded(NamedTuple):
    """`images` (n, H, W, C) uint8, in the order of the files, without those that are `bad`: their places, and why."""

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
    """The image files `paths` as arrays of `shape` (H, W, C), resized to `image_size` where it is given.

    In memory; or, with the folder `cache`, as a np.memmap of a file in it, which takes hardly any memory. The next
    time it is found there by what the files contain (SHA-256) and the shape; one that is damaged is made again. The
    folder's files can be deleted at any time. `progress` is tqdm, or takes the same total, desc and unit; `threads`
    is by default the number of cores. Raises ValueError if the array does not fit into memory, and if the cache cannot
    be written.
    """
    whole_shape = (len(paths), *shape)
    size = math.prod(whole_shape)
    fill = functools.partial(_fill, paths=paths, image_size=image_size, progress=progress, threads=threads)
    if cache is None:
        _check_memory(whole_shape)
        return fill(np.zeros(whole_shape, np.uint8))
    folder = Path(cache).expanduser()
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--cache {folder} is a file: name a folder")
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
        raise ValueError(
            f"the cache {folder} of {size / 2**30:,.2f} GiB cannot be written: {error.strerror or error}; "
            f"give --cache another folder, or make room"
        ) from error


def in_threads(
    function: Callable, items: Sequence, title: str, progress: Callable | None = None, threads: int | None = None
) -> list:
    """`[function(item) for item in items]`, in threads, with a bar; arguments as `decode`'s."""
    blocks = [items[i : i + BLOCK] for i in range(0, len(items), BLOCK)]
    executor = ThreadPoolExecutor(threads or cores().count)
    results = []
    try:
        with (progress or bar)(total=len(items), desc=title, unit=" images") as shown:
            for block in executor.map(lambda block: [function(item) for item in block], blocks):
                results += block
                shown.update(len(block))
    finally:
        executor.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the rest
    return results


def _fill(images: np.ndarray, paths, image_size, progress, threads) -> Decoded:
    """Decode into `images`, and close the gaps of those that are bad."""
    shape = images.shape[1:]
    kept = max(1, KEPT // math.prod(shape))

    def fill(row: int) -> str | None:
        try:
            image = read_image(paths[row], shape[2], image_size)
            if image.shape != shape:
                raise BadImage(f"has {image.shape[1]}x{image.shape[0]} pixels, and {shape[1]}x{shape[0]} were expected")
            images[row] = image
            if row % kept == 0 and is_mapped(images):
                release(images)
        except BadImage as error:
            return str(error)
        return None

    reasons = in_threads(fill, range(len(paths)), "Decoding", progress, threads)
    bad = {row: reason for row, reason in enumerate(reasons) if reason is not None}
    if bad:
        sound = [row for row in range(len(paths)) if row not in bad]
        for to, row in enumerate(sound):
            images[to] = images[row]
    return Decoded(images[: len(paths) - len(bad)], bad)


def _sha256(path) -> str:
    """The hash of a file's bytes; of one that cannot be read, a word: decoding it will say why."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for chunk in iter(lambda: file.read(CHUNK), b""):
                digest.update(chunk)
    except OSError:
        return "unreadable"
    return digest.hexdigest()


def _write_cache(file: Path, shape: tuple[int, ...], fill: Callable, progress: Callable | None) -> dict[int, str]:
    """Decode into `file`, with a .json beside it that holds the bad images and the file's checksum. The bad images."""
    with whole_file(file) as part:
        images = np.lib.format.open_memmap(part, "w+", np.uint8, shape)
        if hasattr(os, "posix_fallocate"):
            with open(part, "rb+") as opened:  # a full disk is an error here; later it would kill the process
                os.posix_fallocate(opened.fileno(), 0, os.path.getsize(part))
        bad = fill(images).bad
        images.flush()
        facts = {"bad": bad, "crc32": _crc32(part, progress)}
        with whole_file(file.with_suffix(".json")) as facts_part:
            facts_part.write_text(json.dumps(facts), encoding="utf-8")
    return bad


def _check_cache(file: Path, progress: Callable | None) -> dict[int, str] | None:
    """The bad images of a cache that is sound; None where there is none, and where it is damaged."""
    if not file.exists():
        return None
    try:
        facts = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        bad = {int(row): str(reason) for row, reason in facts["bad"].items()}
        if _crc32(file, progress) != facts["crc32"]:
            raise ValueError("its checksum is another one")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("the cached images %s are damaged, and decoded again: %s", file, error)
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
    """ValueError unless an array of bytes of that shape leaves memory to train in."""
    size, free = math.prod(shape), _free_memory()
    if free is not None and size > SHARE_OF_MEMORY * free:
        raise ValueError(
            f"{shape[0]:,} images of {shape[2]}x{shape[1]} pixels take {size / 2**30:,.1f} GiB decoded, and "
            f"{free / 2**30:,.1f} GiB of memory are free: give --cache FOLDER, and they stay on disk; or make them "
            f"smaller with --image-size"
        )


def _free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still have, as far as the system and its container tell (Linux)."""
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
