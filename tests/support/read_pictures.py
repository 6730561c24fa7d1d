"""Read PNG files and find coloured rectangles in them."""

import numpy as np
from PIL import Image


def rgb(path):
    return np.asarray(Image.open(path).convert("RGB"))


def places(path, colors):
    """The rectangle (top, left, height, width) of each colour's pixels; None if there are no such pixels."""
    picture = rgb(path).astype(np.int32) @ [65536, 256, 1]
    found = []
    for color in colors:
        rows, columns = np.nonzero(picture == np.dot(color, [65536, 256, 1]))
        if rows.size:
            height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
            assert rows.size == height * width, f"the pixels of {color} do not fill a rectangle"
            found.append((int(rows.min()), int(columns.min()), int(height), int(width)))
        else:
            found.append(None)
    return found
