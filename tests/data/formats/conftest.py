import pytest

from image_folders import draw


@pytest.fixture
def photos(tmp_path):
    """Two classes, three images: boots/a.png, boots/b.png, shoes/c.png."""
    root = tmp_path / "photos"
    for i, name in enumerate(("boots/a.png", "boots/b.png", "shoes/c.png")):
        draw(root / name, colour=(i, 10 + i, 20 + i))
    return root
