"""What can be seen in a PNG."""

import numpy as np
from PIL import Image


def rgb(path):
    return np.asarray(Image.open(path).convert("RGB"))


def places(path, colors):
    """Of each colour (top, left, height, width) of its pixels, which fill a rectangle; None where there are none."""
    picture = rgb(path).astype(np.int32) @ [65536, 256, 1]
    found = []
    for color in colors:
        rows, columns = np.nonzero(picture == np.dot(color, [65536, 256, 1]))
        if rows.size:
            height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
            assert rows.size == height * width, f"{color} is no rectangle"
            found.append((int(rows.min()), int(columns.min()), int(height), int(width)))
        else:
            found.append(None)
    return found
