import argparse
import importlib

from gluon_classics.data.files.image_files import read_image

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def decode(experiments):
    return importlib.import_module("benchmarks.decode")


def test_both_sides_make_the_same_pixels(decode, tmp_path):
    for name in ("jpeg", "png"):
        setting = decode.SETTINGS[name]
        for path in setting.write(tmp_path, 3):
            image = Image.open(path)
            assert image.size == (setting.width, setting.height)
            bare = np.asarray(image.resize((setting.size, setting.size), Image.Resampling.BILINEAR))
            assert (
                read_image(path, setting.channels, setting.size) == bare.reshape(setting.size, setting.size, -1)
            ).all()


def test_prints_each_side_with_its_ratio(decode, capsys):
    parser = argparse.ArgumentParser()
    decode.add_arguments(parser)
    decode.run(parser.parse_args(["--images", "10", "--repeats", "1", "--settings", "jpeg", "png"]))
    lines = capsys.readouterr().out.splitlines()
    assert "2 threads" in lines[0]
    assert [line.split("  ")[1] for line in lines if line.startswith("  ")] == list(decode.SIDES) * 2
    assert sum(line.endswith(" 1.00") and "Pillow alone" in line for line in lines) == 2
