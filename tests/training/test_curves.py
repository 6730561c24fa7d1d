"""The curves' colours are found in the picture."""

from gluon_classics.training import EpochRecord
from gluon_classics.training.curves import draw_curves

import pytest
from read_pictures import rgb

# matplotlib's first three
COLORS = {"train": (31, 119, 180), "val": (255, 127, 14), "test": (44, 160, 44)}


def record(epoch, parts):
    values = {
        f"{part}_{what}": 1 / (epoch + 2) if part in parts else None for part in COLORS for what in ("loss", "acc")
    }
    others = dict.fromkeys(EpochRecord.__dataclass_fields__, 1.0)
    return EpochRecord(**{**others, **values, "epoch": epoch})


@pytest.mark.parametrize("epochs", [1, 200])
@pytest.mark.parametrize("parts", [("train", "test"), ("train", "val", "test")])
def test_each_part_has_a_colour_of_its_own_whichever_parts_there_are(tmp_path, epochs, parts):
    draw_curves([record(epoch, parts) for epoch in range(epochs)], tmp_path / "curves.png")
    picture = rgb(tmp_path / "curves.png")
    assert {part for part, color in COLORS.items() if (picture == color).all(axis=2).any()} == set(parts)
