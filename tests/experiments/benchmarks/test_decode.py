import argparse
import importlib
from pathlib import Path

from gluon_classics.data.files.image_files import read_image

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "experiments")
    return importlib.import_module("benchmark_decode")


def test_both_sides_make_the_same_pixels(benchmark, tmp_path):
    for name in ("jpeg", "png"):
        setting = benchmark.SETTINGS[name]
        for path in setting.write(tmp_path, 3):
            image = Image.open(path)
            assert image.size == (setting.width, setting.height)
            bare = np.asarray(image.resize((setting.size, setting.size), Image.Resampling.BILINEAR))
            assert (
                read_image(path, setting.channels, setting.size) == bare.reshape(setting.size, setting.size, -1)
            ).all()


def test_prints_each_side_with_its_ratio(benchmark, capsys):
    parser = argparse.ArgumentParser()
    benchmark.add_decode_arguments(parser)
    benchmark.benchmark_decode(parser.parse_args(["--images", "10", "--repeats", "1", "--settings", "jpeg", "png"]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Decoding, 2 threads, median of 1 turns")
    assert [line.split("  ")[1] for line in lines if line.startswith("  ")] == list(benchmark.SIDES) * 2
    assert sum(line.endswith(" 1.00") and "Pillow alone" in line for line in lines) == 2
