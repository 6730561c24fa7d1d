"""Image files of every kind. The expected pixels are written here, or decoded by Pillow in another way."""

import io
import os
import struct
import subprocess
import sys
import zlib

from gluon_classics.data.files.image_files import MAX_PIXELS, BadImage, read_header, read_image

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6  # PNG's colour types


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, bits, colour_type, rows=(), before=b""):
    """Return a PNG file: `rows` are the bytes of each line, `before` the chunks before the pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + before + pixels + chunk(b"IEND", b"")


def stored(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read(data, *args):
    return read_image(io.BytesIO(data), *args)


def row(data, channels):
    """Return the pixels of a file that is one pixel high."""
    pixels = read(data, channels)
    assert pixels.dtype == np.uint8 and pixels.shape[0] == 1 and pixels.shape[2] == channels
    return pixels[0, :, 0].tolist() if channels == 1 else pixels[0].tolist()


def picture(height=40, width=60, seed=0):
    """Return an image with smooth colours, which JPEG keeps."""
    few = np.random.RandomState(seed).randint(0, 256, (4, 5, 3), np.uint8)
    return Image.fromarray(few).resize((width, height), Image.Resampling.BICUBIC)


def why(data, channels=3):
    with pytest.raises(BadImage) as refused:
        read(data, channels)
    return str(refused.value)


# Kinds of pixels


def test_grey_of_8_bits_is_what_is_stored():
    data = png(4, 1, 8, GREY, [bytes([0, 1, 200, 255])])
    assert row(data, 1) == [0, 1, 200, 255]
    assert row(data, 3) == [[value] * 3 for value in (0, 1, 200, 255)]


def test_grey_of_1_2_and_4_bits_spans_black_to_white():
    assert row(png(8, 1, 1, GREY, [b"\xa5"]), 1) == [255, 0, 255, 0, 0, 255, 0, 255]
    assert row(png(4, 1, 2, GREY, [b"\x1b"]), 1) == [0, 85, 170, 255]
    assert row(png(2, 1, 4, GREY, [b"\x3f"]), 1) == [51, 255]


def test_grey_of_16_bits_is_scaled_and_rounded():
    values = [0, 128, 129, 257, 385, 386, 32768, 65407, 65535]
    data = png(len(values), 1, 16, GREY, [struct.pack(">9H", *values)])
    assert row(data, 1) == [round(value * 255 / 65535) for value in values] == [0, 0, 1, 1, 1, 2, 128, 255, 255]


def test_colours_of_16_bits_keep_the_upper_8():
    data = png(2, 1, 16, COLOUR, [struct.pack(">6H", 0, 0x1200, 0xFFFF, 0x80FF, 0x0100, 0xABCD)])
    assert row(data, 3) == [[0, 0x12, 255], [0x80, 1, 0xAB]]


def test_a_palette_is_replaced_by_its_colours():
    palette = chunk(b"PLTE", bytes([10, 20, 30, 200, 100, 50]))
    assert row(png(3, 1, 8, PALETTE, [bytes([0, 1, 0])], palette), 3) == [[10, 20, 30], [200, 100, 50], [10, 20, 30]]


def test_transparent_pixels_are_white_and_half_transparent_ones_lighter():
    palette = chunk(b"PLTE", bytes([10, 20, 30, 200, 100, 50])) + chunk(b"tRNS", bytes([0, 128]))
    assert row(png(2, 1, 8, PALETTE, [bytes([0, 1])], palette), 3)[0] == [255, 255, 255]
    half = np.array([200, 100, 50]) * 128 / 255 + 255 * 127 / 255
    assert np.abs(row(png(2, 1, 8, PALETTE, [bytes([0, 1])], palette), 3)[1] - half).max() <= 1

    assert row(png(2, 1, 8, COLOUR_ALPHA, [bytes([9, 8, 7, 255, 9, 8, 7, 0])]), 3) == [[9, 8, 7], [255, 255, 255]]
    assert row(png(2, 1, 8, GREY_ALPHA, [bytes([9, 255, 9, 0])]), 1) == [9, 255]
    assert row(png(2, 1, 8, GREY_ALPHA, [bytes([9, 255, 9, 0])]), 3) == [[9, 9, 9], [255, 255, 255]]
    assert row(png(2, 1, 8, COLOUR_ALPHA, [bytes([9, 9, 9, 255, 9, 8, 7, 0])]), 1) == [9, 255]


def test_a_key_colour_is_transparent():
    assert row(png(3, 1, 8, GREY, [bytes([4, 5, 6])], chunk(b"tRNS", struct.pack(">H", 5))), 1) == [4, 255, 6]
    key = chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))
    assert row(png(2, 1, 8, COLOUR, [bytes([1, 2, 3, 1, 2, 4])], key), 3) == [[255, 255, 255], [1, 2, 4]]
    wide = png(2, 1, 16, GREY, [struct.pack(">2H", 257, 256)], chunk(b"tRNS", struct.pack(">H", 257)))
    assert row(wide, 1) == [255, 1]
    assert row(png(8, 1, 1, GREY, [b"\xa5"], chunk(b"tRNS", struct.pack(">H", 0))), 1) == [255] * 8


def test_a_resize_averages_transparent_pixels_as_white():
    # hidden black must not darken the edge: half of the pixels opaque red, half transparent
    rows = [bytes([255, 0, 0, 255] * 4 + [0, 0, 0, 0] * 4)] * 8
    assert np.abs(read(png(8, 8, 8, COLOUR_ALPHA, rows), 3, 1)[0, 0].astype(int) - [255, 127, 127]).max() <= 1


def test_cmyk_and_its_inks():
    # full ink in one of the 4 channels gives the complementary colour
    inks = {
        (255, 0, 0, 0): (0, 255, 255),
        (0, 255, 0, 0): (255, 0, 255),
        (0, 0, 0, 255): (0, 0, 0),
        (0,) * 4: (255,) * 3,
    }
    for ink, colour in inks.items():
        data = stored(Image.new("CMYK", (16, 16), ink), "JPEG", quality=95)
        assert np.abs(read(data, 3).astype(int) - colour).max() <= 4, ink
    assert read_header(io.BytesIO(data)).colour


def test_grey_is_luma():
    red, green, blue = (row(png(1, 1, 8, COLOUR, [bytes(c)]), 1)[0] for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
    assert (red, green, blue) == (76, 150, 29)  # 0.299, 0.587, 0.114


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_every_format_is_read(kind):
    image = picture()
    difference = np.abs(read(stored(image, kind), 3).astype(int) - np.asarray(image))
    assert difference.mean() < {"PNG": 0.01, "BMP": 0.01}.get(kind, 6)


def test_of_a_cameras_jpeg_with_a_preview_the_first_image_is_read():
    data = stored(picture(), "MPO", save_all=True, append_images=[picture(seed=1)])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert np.abs(read(data, 3).astype(int) - np.asarray(picture())).mean() < 4


# Orientation and size


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = stored(picture(), kind, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert (read(data, 3) == upright).all()
    assert read_header(io.BytesIO(data))[:2] == upright.shape[:2]
    small = np.asarray(Image.fromarray(upright).resize((20, 20), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(read(data, 3, 20) - small).max() <= 2  # rounded once more, in another order


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_data_is_ignored():
    data = stored(picture(), "JPEG", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff broken")
    assert read(data, 3).shape == (40, 60, 3)
    assert read_header(io.BytesIO(data)) == (40, 60, True)


def test_resizing_is_pillows_and_averages():
    image = picture()
    resized = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR))
    assert (read(stored(image, "PNG"), 3, 16) == resized).all()
    checks = np.indices((64, 64)).sum(0) % 2 * 255  # without averaging it would be black or white
    data = stored(Image.fromarray(checks.astype(np.uint8)), "PNG")
    assert np.abs(read(data, 1, 8).astype(int) - 127).max() <= 1
    assert read(data, 1, 200).shape == (200, 200, 1)


@pytest.mark.parametrize("kind", ["JPEG", "MPO"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_large_jpeg_is_decoded_at_a_smaller_scale(kind, channels):
    image = picture(1200, 1600)
    whole = image.convert("RGB" if channels == 3 else "L").resize((64, 64), Image.Resampling.BILINEAR)
    difference = read(stored(image, kind), channels, 64).astype(int) - np.asarray(whole).reshape(64, 64, channels)
    assert np.abs(difference).mean() < 1 and np.abs(difference).max() < 8


@pytest.mark.parametrize(("channels", "size", "words"), [(2, None, "channels is 2"), (3, 0, "size is 0")])
def test_refuses_other_channels_and_sizes(channels, size, words):
    with pytest.raises(ValueError, match=words) as error:
        read(stored(picture(), "PNG"), channels, size)
    assert not isinstance(error.value, BadImage)


# Colours by the header


def test_the_header_has_height_width_and_colour(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(stored(picture(), "PNG"))
    assert read_header(path) == read_header(str(path)) == (40, 60, True)
    assert (read_image(path, 3) == np.asarray(picture())).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_grey_files_have_no_colour(mode):
    image = Image.new(mode, (3, 2))
    assert read_header(io.BytesIO(stored(image, "PNG"))) == (2, 3, False)


def test_a_palette_has_colour_if_one_of_its_entries_does():
    for last, colour in ((9, False), (8, True)):
        data = png(1, 1, 8, PALETTE, [b"\0"], chunk(b"PLTE", bytes([7, 7, 7, 9, 9, last])))
        assert read_header(io.BytesIO(data)).colour == colour
    assert not read_header(io.BytesIO(stored(picture().convert("L"), "GIF"))).colour
    assert read_header(io.BytesIO(stored(picture(), "GIF"))).colour


# Bad files


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty (0 bytes)"),
        (b"just text", "is not an image: found unknown data beginning with b'just tex'"),
        (b"<html>not found", "is not an image: found an HTML or XML page"),
        (b"PK\x03\x04....", "is not an image: found a zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is not an image: found a Git LFS pointer"),
        (stored(picture(), "TIFF"), "is a TIFF image"),  # not from an upload
        (stored(picture(), "TGA"), "is not an image"),  # a format of Pillow that is not allowed
        (b"\x89PNG\r\n\x1a\n", "is a damaged PNG: its header cannot be read"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "is damaged: Truncated File Read"),
        (b"GIF89a", "is a damaged GIF"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "is damaged: could not create decoder object"),
        (png(0, 0, 8, GREY), "is a damaged PNG"),
    ],
)
def test_a_file_that_is_not_an_image_is_described(data, words):
    assert words in why(data)
    with pytest.raises(BadImage):
        read_header(io.BytesIO(data))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_a_truncated_file_is_damaged_wherever_it_ends(kind):
    data = stored(picture(), kind)
    for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.97):
        assert "damaged" in why(data[: int(share * len(data))]), share
        with pytest.raises(BadImage, match="damaged"):
            read(data[: int(share * len(data))], 1, 8)


def test_changed_bits_of_a_png_are_detected():
    data = stored(picture(), "PNG")
    for place in range(data.index(b"IDAT") + 8, len(data) - 20, len(data) // 40):
        changed = bytearray(data)
        changed[place] ^= 0x10
        assert "damaged" in why(bytes(changed))


def test_any_damage_raises_bad_image():
    random = np.random.RandomState(0)
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF"):
        data = stored(picture(), kind)
        for _ in range(60):
            changed = bytearray(data)
            for place in random.randint(0, min(len(data), 200), 3):
                changed[place] = random.randint(256)
            try:
                assert read(bytes(changed), 3, 8).shape == (8, 8, 3)
            except BadImage as error:
                assert str(error).startswith(("is ", "cannot be read"))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animations_are_refused(kind):
    data = stored(picture(), kind, save_all=True, append_images=[picture(seed=1)])
    assert why(data).startswith(f"is an animated {kind}")
    with pytest.raises(BadImage, match="animated"):
        read_header(io.BytesIO(data))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [8193, 10_000, 60_000, 2**31 - 1])
def test_a_decompression_bomb_is_refused_by_its_header(side):
    # 100 bytes that announce up to 4 exabytes; decoding them would say "damaged" instead
    bomb = png(side, side, 8, COLOUR)
    assert "is too large" in why(bomb) and f"{MAX_PIXELS:,}" in why(bomb)
    with pytest.raises(BadImage, match="is too large"):
        read_header(io.BytesIO(bomb))


def test_a_webp_bomb_is_refused_by_its_header():
    size = struct.pack("<I", 16383 | 16383 << 14)  # width - 1 and height - 1, in 14 bits each
    frame = b"VP8L" + struct.pack("<I", 20) + b"\x2f" + size + bytes(15)
    assert "is too large" in why(b"RIFF" + struct.pack("<I", 4 + len(frame)) + b"WEBP" + frame)


def test_the_largest_allowed_image_is_not_too_large():
    assert MAX_PIXELS == 8192 * 8192
    assert read_header(io.BytesIO(png(8192, 8192, 8, COLOUR))) == (8192, 8192, True)
    assert "damaged" in why(png(8192, 8192, 8, GREY))  # it has no pixels


# Metadata


TEXTS = {
    "a text that expands without end": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000))),
    "a large text": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(os.urandom(2_000_000))),
    "a large international text": chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(2_000_000))),
    "a large profile": chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(4_000_000))),
    "a short resolution": chunk(b"pHYs", b"\0"),
    "a short gamma": chunk(b"gAMA", b""),
    "a text whose checksum is wrong": chunk(b"tEXt", b"Comment\0text")[:-1] + b"?",
    "EXIF data whose checksum is wrong": chunk(b"eXIf", b"MM\0*")[:-1] + b"?",
    "many texts": chunk(b"tEXt", b"Comment\0" + bytes(900_000)) * 80,
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("after", [False, True])
def test_metadata_of_a_png_never_decides(text, after, tmp_path):
    assert max(map(len, TEXTS.values())) < 80_000_000
    end = chunk(b"IEND", b"")
    data = png(3, 1, 8, GREY, [bytes([1, 2, 3])], b"" if after else TEXTS[text])
    data = data[: -len(end)] + TEXTS[text] + end if after else data
    assert row(data, 1) == [1, 2, 3] and read_header(io.BytesIO(data)) == (1, 3, False)
    (tmp_path / "a.png").write_bytes(data)
    assert read_image(tmp_path / "a.png", 1)[0, :, 0].tolist() == [1, 2, 3]
    assert "damaged" in why(data.replace(b"IDAT", b"IDAX"))


def test_the_orientation_is_kept_where_other_metadata_is_left_out():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = chunk(b"eXIf", exif.tobytes()[6:]) + TEXTS["a large profile"]
    assert read(png(3, 1, 8, GREY, [bytes([1, 2, 3])], turned), 1)[:, 0, 0].tolist() == [1, 2, 3]
    jpeg = stored(picture(), "JPEG", exif=exif)
    spoiled = jpeg[:2] + segment(0xED, b"Photoshop 3.0\08BIM\0\1") + jpeg[2:]
    assert (read(spoiled, 3) == read(jpeg, 3)).all() and read_header(io.BytesIO(spoiled))[:2] == (60, 40)


def segment(marker, data):
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


@pytest.mark.filterwarnings("ignore:.*(EXIF|Metadata|malformed)")
def test_metadata_of_a_jpeg_never_decides():
    random = np.random.RandomState(0)
    jpeg = stored(picture(), "JPEG")
    pixels = read(jpeg, 3)
    names = (
        b"", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08", b"Exif\0\0II*\0\x08\0\0\0",
        b"ICC_PROFILE\0", b"MPF\0", b"MPF\0MM\0*\0\0\0\x08",
        b"Photoshop 3.0\0", b"Photoshop 3.0\0" b"8BIM\x03\xed", b"JFXX\0", b"FPXR\0", b"http://ns.adobe.com/xap/1.0/\0",
    )  # fmt: skip
    for marker in (*range(0xE0, 0xF0), 0xFE):
        for name in names:
            spoiled = jpeg[:2] + segment(marker, name + random.bytes(random.randint(60))) + jpeg[2:]
            assert (read(spoiled, 3) == pixels).all(), (marker, name)
    for short in (segment(0xE0, b"JFIF"), segment(0xEE, b"Adobe"), segment(0xE2, b"ICC_PROFILE\0")):
        assert (read(jpeg[:2] + short + jpeg[2:], 3) == pixels).all(), short


def test_pillows_warnings_of_metadata_are_not_shown(tmp_path):
    pictures = {
        "a.jpg": stored(picture(), "JPEG", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff broken"),
        "b.jpg": stored(picture(), "JPEG", exif=b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x05\x01\x12\0\x03\0\0\xff\xff"),
        "c.tif": stored(picture(), "TIFF").replace(struct.pack("<HH", 0x0118, 3), struct.pack("<HH", 0x0118, 5)),
        "d.png": stored(picture().quantize(8), "PNG", transparency=bytes([0, 9])),
        "e.png": png(1, 1, 8, GREY, [b"\0"], chunk(b"acTL", bytes(8))),
    }
    for name, data in pictures.items():
        (tmp_path / name).write_bytes(data)
    code = "import sys; from gluon_classics.data import read_image; [read_image(p, 3) for p in sys.argv[1:]]"
    paths = [str(tmp_path / name) for name in pictures]
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)
    assert done.stderr == ""


# PPM and TIFF, from the disk only


def test_ppm_pgm_and_tiff_are_read_from_the_disk(tmp_path):
    for name in ("a.ppm", "a.tif", "lzw.tiff"):
        picture().save(tmp_path / name, **({"compression": "tiff_lzw"} if "lzw" in name else {}))
        assert (read_image(tmp_path / name, 3) == np.asarray(picture())).all()
        assert read_header(tmp_path / name) == (40, 60, True)
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
        with pytest.raises(BadImage, match="damaged"):
            read_image(tmp_path / name, 3)
    (tmp_path / "wide.pgm").write_bytes(b"P5 3 1 1023\n" + struct.pack(">3H", 0, 512, 1023))
    assert read_image(tmp_path / "wide.pgm", 1)[0, :, 0].tolist() == [0, 128, 255]
    assert not read_header(tmp_path / "wide.pgm").colour
    (tmp_path / "text.pbm").write_bytes(b"P1 3 1\n1 0 1\n")
    assert read_image(tmp_path / "text.pbm", 1)[0, :, 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_upright_once(orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture().save(tmp_path / "a.tif", exif=exif)
    picture().save(tmp_path / "a.png", exif=exif)
    assert (read_image(tmp_path / "a.tif", 3) == read_image(tmp_path / "a.png", 3)).all()
    assert read_header(tmp_path / "a.tif") == read_header(tmp_path / "a.png")


def test_tiffs_of_many_bits(tmp_path):
    path = tmp_path / "a.tif"
    values = np.array([[0, 385, 386, 65535]], np.uint16)
    Image.fromarray(values).save(path)
    assert read_image(path, 1)[0, :, 0].tolist() == [0, 1, 2, 255]
    Image.fromarray(values).save(path, tiffinfo={262: 0})  # white is zero
    assert read_image(path, 1)[0, :, 0].tolist() == [255, 254, 253, 0]
    Image.fromarray(np.array([[0, 70_000]], np.int32)).save(path)
    with pytest.raises(BadImage, match="values from 0 to 70,000"):
        read_image(path, 1)
    Image.fromarray(np.array([[0, 0.5]], np.float32)).save(path)
    for read_it in (read_header, lambda path: read_image(path, 3)):
        with pytest.raises(BadImage, match="floating-point"):
            read_it(path)
    picture().save(path, save_all=True, append_images=[picture(seed=1)])
    with pytest.raises(BadImage, match="several pages"):
        read_header(path)


def test_files_that_cannot_be_opened(tmp_path):
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(BadImage, match="cannot be read: (No such file|Is a directory)"):
            read_image(path, 3)
    path = tmp_path / "locked.png"
    path.write_bytes(stored(picture(), "PNG"))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root can read every file")
    with pytest.raises(BadImage, match="cannot be read: Permission denied"):
        read_image(path, 3)


def test_truncated_files_are_refused_even_if_another_library_allows_them(tmp_path, monkeypatch):
    # importing gluoncv does this, for the whole process
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    file = tmp_path / "half.png"
    Image.fromarray(np.random.RandomState(0).randint(0, 256, (40, 40), dtype="uint8")).save(file)
    file.write_bytes(file.read_bytes()[:900])
    with pytest.raises(BadImage, match="damaged"):
        read_image(file, 1)
    assert ImageFile.LOAD_TRUNCATED_IMAGES
    with Image.open(file) as image:  # which the other library still may
        assert np.asarray(image).shape == (40, 40)


def test_a_jpeg_of_thousands_of_scans_is_refused():
    # 100 kB, and seconds to minutes in libjpeg, depending on the size of the image
    data = stored(Image.new("L", (64, 64)), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    many = scan * 4000
    assert "more than 100 scans" in why(data[:-2] + many + b"\xff\xd9")
    # the marker of the end inside a comment is no end, and TEM has no length
    assert "more than 100 scans" in why(data[:-2] + segment(0xFE, b"\xff\xd9") + many + b"\xff\xd9")
    assert "more than 100 scans" in why(data[:-2] + (b"\xff\x01" + scan) * 4000 + b"\xff\xd9")
    read_header(io.BytesIO(data[:-2] + many + b"\xff\xd9"))  # as cheap as any


def test_scans_outside_the_image_do_not_count():
    data = stored(Image.new("L", (64, 64)), "JPEG", progressive=True)
    text = segment(0xFE, b"\xff\xda" * 30_000)
    expected = read(data, 1)
    assert np.array_equal(read(data[:2] + text + data[2:], 1), expected)
    assert np.array_equal(read(data + b"\xff\xda" * 30_000, 1), expected)  # such as a phone's film after the photograph
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert np.array_equal(read(data[:-2] + scan * 20 + data[-2:], 1), expected)


def gif_with(before=b"", after=b""):
    data = stored(Image.new("L", (28, 28)), "GIF")
    start = 13 + 3 * (2 << (data[10] & 7))
    return data[:start] + before + data[start:-1] + after + data[-1:]


MANY = 100_000
PARTS = {
    "EXIF segments": lambda: jpeg_with(segment(0xE1, b"Exif\0\0") * MANY),
    "XMP segments": lambda: jpeg_with(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0") * MANY),
    "ICC segments": lambda: jpeg_with(segment(0xE2, b"ICC_PROFILE\0\1\1") * MANY),
    "comments": lambda: jpeg_with(segment(0xFE, b"") * MANY),
    "fill bytes": lambda: jpeg_with(b"\xff" * MANY),
    "PNG texts": lambda: png(1, 1, 8, GREY, [b"\0\0"], chunk(b"tEXt", b"a\0b") * MANY),
    "PNG chunks after the pixels": lambda: png(1, 1, 8, GREY, [b"\0\0"])[:-12] + chunk(b"teSt", b"") * MANY,
    "empty pixel chunks": lambda: png(1, 1, 8, GREY, [b"\0\0"], chunk(b"IDAT", b"") * MANY),
    "GIF comments": lambda: gif_with(b"!\xfe\x01a\0" * MANY),
    "GIF blocks after the image": lambda: gif_with(after=b"!\xfe\x01a\0" * MANY),
}


def jpeg_with(before):
    data = stored(Image.new("L", (28, 28)), "JPEG")
    return data[:2] + before + data[2:]


@pytest.mark.parametrize("name", PARTS)
def test_a_file_of_very_many_tiny_parts_is_refused(name):
    assert "too many parts" in why(PARTS[name]())


def test_many_parts_of_usual_sizes_are_read():
    # 255 parts are the most of an ICC profile; a long XMP text takes one for each 64 kB; libpng writes pixels in 8 kB
    icc = b"".join(segment(0xE2, b"ICC_PROFILE\0" + bytes([i, 255]) + bytes(1000)) for i in range(1, 256))
    assert read(jpeg_with(icc + segment(0xE1, b"x" * 60_000) * 200), 1).shape == (28, 28, 1)
    noise = np.random.RandomState(0).randint(0, 256, (2000, 2000), np.uint8)
    assert read(stored(Image.fromarray(noise), "GIF"), 1).shape == (2000, 2000, 1)
    assert read(stored(Image.fromarray(noise), "PNG"), 1).shape == (2000, 2000, 1)
