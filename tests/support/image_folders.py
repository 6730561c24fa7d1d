"""Small folders of class folders with images."""

from PIL import Image


def draw(path, size=(8, 6), colour=(200, 100, 50), mode="RGB", **options):
    """Save an image of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path, **options)
    return path


def write(path, data=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
