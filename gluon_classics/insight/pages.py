"""HTML pages from templates/: single files without scripts or requests, light or dark like the reader's system."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any, NamedTuple

PAGE_WIDTH = 1118  # pixels of a picture on the widest page: 75rem without margins


class Png(NamedTuple):
    """A PNG for the macro `picture`."""

    base64: str
    width: int
    height: int

    @property
    def fits(self) -> bool:
        return self.width <= PAGE_WIDTH


def png(data: bytes, name: str = "the picture") -> Png:
    """Read the size from the header. Raises ValueError if `data` is not a PNG."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or len(data) < 33:
        raise ValueError(f"{name} is not a PNG")
    return Png(base64.b64encode(data).decode(), *struct.unpack(">II", data[16:24]))


def render(template: str, **values: Any) -> str:
    """Fill a template. All values are escaped."""
    import jinja2  # here: the command line starts without it

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)
