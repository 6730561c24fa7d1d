"""The page that `look` writes."""

import re

from gluon_classics.__main__ import main
from gluon_classics.insight import look_pictures

import numpy as np
import pytest
from headless_chromium import Chromium, find_chromium
from PIL import Image

from run_folders import write_run


@pytest.fixture
def boot(tmp_path):
    pixels = np.random.RandomState(0).randint(
        0, 256, (40, 30, 3), dtype=np.uint8
    )  # of another size and mode than the run's images
    Image.fromarray(pixels).save(tmp_path / "boot.png")
    return str(tmp_path / "boot.png")


@pytest.fixture
def lenet(tmp_path):
    return str(write_run(tmp_path / "lenet-run"))


def test_the_content_of_the_page(lenet, boot, tmp_path, capsys):
    page = tmp_path / "look.html"
    assert main(["look", lenet, boot, "-o", str(page)]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    text = page.read_text()
    for words in ("lenet-run on boot.png", "Katze", "дом", "b/c", "20 kernels of 5x5, 1 channel.", "50x10x10"):
        assert words in text
    assert "No global average pool follows" in text
    # the picture, three Grad-CAMs, the occlusion, the kernels, the maps of two convolutions and two pools
    assert text.count("<img") == 1 + 3 + 1 + 1 + 4
    assert sum(float(share) for share in re.findall(r"([0-9.]+)%</td>", text)) == pytest.approx(100, abs=0.05)


def test_two_runs_next_to_each_other(lenet, boot, tmp_path):
    other = str(write_run(tmp_path / "resnet-run", "resnet18", 64, 3, image_size=64))
    page = tmp_path / "look.html"
    assert main(["look", boot, "--compare", lenet, other, "-o", str(page)]) == 0
    text = page.read_text()
    assert "lenet-run and resnet-run on boot.png" in text
    assert text.count("<h3") >= 10
    assert "A global average pool follows" in text


@pytest.mark.skipif(not find_chromium(), reason="needs chromium (Debian: apt-get install chromium)")
def test_in_a_browser(lenet, boot, tmp_path):
    page = tmp_path / "look.html"
    assert main(["look", lenet, boot, "-o", str(page)]) == 0
    (tmp_path / "profile").mkdir()
    browser = Chromium(tmp_path / "profile")
    try:
        for width, scheme in ((1280, "light"), (390, "dark")):
            browser.open(page.as_uri(), width, scheme)
            assert browser.of("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
            assert browser.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
            assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert browser.evaluate("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size") == (
                browser.evaluate("document.querySelectorAll('[id]').length")
            )
    finally:
        browser.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RUN"], "name a run folder and one picture"),
        (["RUN", "BOOT", "--layer", "6.conv"], "unknown layer '6.conv'"),
        (["RUN", "BOOT", "--layer", "6"], "layer 6 is not a feature map: its output is 3"),
        (["RUN", "nowhere.png"], "nowhere.png cannot be read: No such file or directory"),
        (["RUN", "RUN/config.json"], "config.json is not an image"),
        (["nowhere", "BOOT"], "nowhere is not a run folder of do_exp.py"),
        (["RUN", "BOOT", "-o", "nowhere/look.html"], "nowhere/look.html cannot be written: No such file or directory"),
    ],
)
def test_errors_are_printed(arguments, message, lenet, boot, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["look", *(word.replace("RUN", lenet).replace("BOOT", boot) for word in arguments)]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("**/*.html"))


def test_a_run_without_weights(lenet, boot, tmp_path, capsys):
    (tmp_path / "lenet-run/last.params").unlink()
    assert main(["look", lenet, boot]) == 2
    assert "has no weights last.params" in capsys.readouterr().err


def test_kernels_are_grey_at_zero_and_black_and_white_at_the_ends():
    weights = np.array([[[[0.0, 2.0], [-2.0, 1.0]]]])
    pixels = look_pictures.kernels(weights)
    half = pixels.shape[0] // 2
    assert [pixels[y, x, 0] for y in (0, half + 1) for x in (0, half + 1)] == [128, 255, 0, 191]


def test_the_strongest_channels_come_first():
    maps = np.zeros((20, 2, 2))
    maps[7, 0, 1], maps[3, 1, 1] = 5, 4
    assert look_pictures.strongest(maps)[:2] == [7, 3]
    assert len(look_pictures.strongest(maps)) == look_pictures.MAPS


def test_heat_is_transparent_at_zero():
    picture = np.full((4, 4, 1), 100, np.uint8)
    values = np.zeros((2, 2))
    assert (look_pictures.heat(picture, values) == 100).all()
    values[1, 1] = 3
    pixels = look_pictures.heat(picture, values)
    assert (pixels[0, 0] == 100).all()
    assert pixels[-1, -1, 0] > pixels[-1, -1, 2] > 100  # a bright yellow
