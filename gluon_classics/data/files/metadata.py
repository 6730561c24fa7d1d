"""Image files without their metadata (texts, colour profiles, previews), which never decide about the pixels.

Pillow refuses an image if it cannot or will not read a part of its metadata: a text of more than 1 MiB, a short tag.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

MAX_METADATA = 2**20  # bytes of metadata that may hold the orientation
PNG_PIXELS = (b"tRNS", b"acTL", b"fcTL", b"fdAT")  # ancillary chunks that decide about the pixels
XMP = b"XML:com.adobe.xmp\0\0"  # keyword of a PNG's text, not compressed

Part = tuple[int, int]  # begin and end in the file


def without_metadata(file: BinaryIO, orientation: bool) -> BinaryIO | None:
    """Return the PNG or JPEG `file` without its metadata, or None for other formats, or if it has none.

    `orientation` keeps sound metadata of up to MAX_METADATA bytes that may hold the image's orientation.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(8)
    if start == b"\x89PNG\r\n\x1a\n":
        parts = list(_png_parts(file, size, orientation))
    elif start[:3] == b"\xff\xd8\xff":
        parts = list(_jpeg_parts(file, size, orientation))
    else:
        return None
    merged: list[Part] = []
    for begin, end in parts:
        if merged and merged[-1][1] == begin:
            begin = merged.pop()[0]
        merged.append((begin, end))
    return None if merged == [(0, size)] else io.BufferedReader(_Parts(file, merged))


def _png_parts(file: BinaryIO, size: int, orientation: bool) -> Iterator[Part]:
    yield 0, 8
    begin = 8
    while begin < size:
        file.seek(begin)
        head = file.read(8)
        if len(head) < 8:
            yield begin, size
            return
        length, kind = struct.unpack(">I4s", head)
        end = begin + 12 + length
        if not kind[0] & 0x20 or kind in PNG_PIXELS or (orientation and _may_turn_png(file, kind, length)):
            yield begin, min(end, size)
        if kind == b"IEND":
            return
        begin = end


def _may_turn_png(file: BinaryIO, kind: bytes, length: int) -> bool:
    """Whether the chunk, whose data `file` is at, is intact and may hold the orientation."""
    if kind not in (b"eXIf", b"iTXt") or length > MAX_METADATA:
        return False
    data, checksum = file.read(length), file.read(4)
    return (kind == b"eXIf" or data.startswith(XMP)) and checksum == struct.pack(">I", zlib.crc32(kind + data))


def _jpeg_parts(file: BinaryIO, size: int, orientation: bool) -> Iterator[Part]:
    yield 0, 2
    begin, exif = 2, False
    while True:
        file.seek(begin)
        head = file.read(20)
        if len(head) < 4 or head[0] != 0xFF or head[1] in (0x00, 0xDA, 0xFF):  # 0xDA: the pixels follow
            yield min(begin, size), size
            return
        marker, length = head[1], int.from_bytes(head[2:4], "big")
        end = begin + 2 + length
        first_exif = marker == 0xE1 and head[4:10] == b"Exif\0\0" and not exif
        exif = exif or first_exif
        # JFIF (APP0) and Adobe (APP14) say how the colours are stored; decoders ignore shorter ones
        colours = (marker == 0xE0 and length >= 16) or (marker == 0xEE and length >= 14)
        metadata = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if not metadata or colours or (orientation and first_exif):
            yield begin, min(end, size)
        begin = end


class _Parts(io.RawIOBase):
    """The parts of a file as one file."""

    def __init__(self, file: BinaryIO, parts: list[Part]):
        self._file, self._parts, self._at = file, parts, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = sum(end - begin for begin, end in self._parts)
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        skipped = self._at
        for begin, end in self._parts:
            if skipped < end - begin:
                self._file.seek(begin + skipped)
                data = self._file.read(min(len(buffer), end - begin - skipped))
                buffer[: len(data)] = data
                self._at += len(data)
                return len(data)
            skipped -= end - begin
        return 0
