"""Kernels, feature maps and heat maps as uint8 (H, W, 3) and as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Callable

import numpy as np
from PIL import Image

MAPS = 16  # channels shown of a layer
KERNELS = 96  # shown
_SIDE = 256  # approximate pixels of a picture's longer side
_TILE, _GAP, _COLUMNS = 72, 3, 8


def as_png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def enlarged(picture: np.ndarray) -> np.ndarray:
    """Resize uint8 (H, W, 1 or 3), in colour. Pixels of small pictures become squares."""
    height, width = picture.shape[:2]
    scale = _SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    resample = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    return np.asarray(Image.fromarray(np.broadcast_to(picture, (height, width, 3))).resize(size, resample))


def kernels(weights: np.ndarray) -> np.ndarray:
    """Draw the first kernels of (O, I, h, w), grey is 0: three channels in colour, others as the channels' mean."""
    weights = weights[:KERNELS]
    if weights.shape[1] != 3:
        weights = weights.mean(axis=1, keepdims=True)
    scaled = 0.5 + weights / (2 * max(np.abs(weights).max(), 1e-12))
    tiles = (255 * scaled).round().astype(np.uint8).transpose(0, 2, 3, 1)
    return _grid([np.broadcast_to(tile, (*tile.shape[:2], 3)) for tile in tiles], 2 * _COLUMNS, _TILE // 2)


def strongest(maps: np.ndarray) -> list[int]:
    """Return the MAPS channels of (D, h, w) with the highest values."""
    return np.argsort(-maps.max(axis=(1, 2)), kind="stable")[:MAPS].tolist()


def feature_maps(maps: np.ndarray, channels: Sequence[int]) -> np.ndarray:
    """Draw channels of (D, h, w), each from its lowest value (dark) to its highest (bright)."""
    from matplotlib import colormaps

    return _grid([_colours(_from_0_to_1(maps[channel]), colormaps["viridis"]) for channel in channels], _COLUMNS, _TILE)


def heat(picture: np.ndarray, values: np.ndarray, highest: float | None = None) -> np.ndarray:
    """Overlay the picture with values (h, w): transparent at 0 and below, yellow at the highest."""
    from matplotlib import colormaps

    base = enlarged(picture).astype(np.float32)
    highest = max(float(values.max()), 1e-12) if highest is None else highest
    small = Image.fromarray(np.clip(values / highest, 0, 1).astype(np.float32))
    share = np.asarray(small.resize((base.shape[1], base.shape[0]), Image.Resampling.BILINEAR))[..., None]
    colours = _colours(share[..., 0], colormaps["inferno"])
    grey = base.mean(axis=2, keepdims=True)
    return (grey * (1 - 0.75 * share) + colours * 0.75 * share).round().astype(np.uint8)


def _colours(values: np.ndarray, colormap: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return (255 * colormap(values)[..., :3]).round().astype(np.uint8)


def _from_0_to_1(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def _grid(tiles: Sequence[np.ndarray], columns: int, side: int) -> np.ndarray:
    """Place tiles of one size in rows on white. Pixels become squares."""
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    height, width = (max(1, round(side * n / max(tiles[0].shape[:2]))) for n in tiles[0].shape[:2])
    sheet = np.full((rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), 255, np.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + _GAP), i % columns * (width + _GAP)
        resample = Image.Resampling.NEAREST if height >= tile.shape[0] else Image.Resampling.BOX
        sheet[top : top + height, left : left + width] = np.asarray(
            Image.fromarray(tile).resize((width, height), resample)
        )
    return sheet
