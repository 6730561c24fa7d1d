"""Diagrams as files: nothing overlaps, and every mistake is told."""

import shutil
import sys
import types
from itertools import combinations
from xml.etree import ElementTree

from gluon_classics.__main__ import main
from gluon_classics.insight import diagram, summarize
from gluon_classics.insight.architecture import architecture
from gluon_classics.models import get_model, list_models, model_info

import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not installed")


def overlap(a, b):
    return (
        min(a.left + a.width, b.left + b.width) - max(a.left, b.left) > 0.1
        and min(a.bottom + a.height, b.bottom + b.height) - max(a.bottom, b.bottom) > 0.1
    )


@pytest.mark.parametrize("name", list_models())
def test_no_box_overlaps_another_and_its_text_fits(name):
    net = get_model(name)
    for part in architecture(net, summarize(net, model_info(name).input_shape)).parts:
        layout = diagram._laid_out(part)
        assert set(layout.boxes) == {node.key for node in part.nodes}
        assert not [pair for pair in combinations(layout.boxes.values(), 2) if overlap(*pair)]
        for node in part.nodes:
            for line in node.lines:
                assert diagram._text_width(line, 7.5) < layout.boxes[node.key].width
        for key, (x, y) in layout.shapes.items():
            assert not [
                b for b in layout.boxes.values() if b.left < x < b.left + b.width and b.bottom < y < b.bottom + b.height
            ], key
        assert all(box.left >= -0.1 and box.left + box.width <= layout.width + 0.1 for box in layout.boxes.values())


@pytest.mark.parametrize("detail", ["modules", "layers", "shapes"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_svg_has_its_text_as_text(detail, theme, tmp_path, capsys):
    path = tmp_path / "net.svg"
    assert main(["draw", "googlenet", "-o", str(path), "--detail", detail, "--theme", theme]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    texts = [
        "".join(element.itertext()).strip()
        for element in ElementTree.parse(path).iter()
        if element.tag.endswith("}text")
    ]
    assert "conv 7×7/2, 64" in texts
    assert "64×112×112" in texts
    assert "Szegedy et al. 2014; 6,059,450 parameters, 1.35 G MACs, input 1×224×224" in texts
    assert ("×5" in texts) == (detail == "modules")
    assert texts.count("concat") == (1 if detail == "modules" else 9)


def test_equal_networks_are_equal_files(tmp_path):
    for name in ("a.svg", "b.svg"):
        assert main(["draw", "resnet18", "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_png_with_another_input(tmp_path):
    path = tmp_path / "lenet.png"
    assert main(["draw", "lenet", "--size", "64", "--in-channels", "3", "-o", str(path)]) == 0
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) > 300


def test_the_file_is_named_by_the_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["draw", "lenet5"]) == 0
    assert (tmp_path / "lenet5.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet5"], "did you mean resnet50"),
        (["lenet", "-o", "lenet.pdf"], "lenet.pdf: a diagram is an .svg or a .png"),
        (["lenet", "-o", "nowhere/lenet.svg"], "nowhere/lenet.svg cannot be written: No such file or directory"),
        (["lenet", "--aux"], "lenet has no auxiliary heads"),
        (["resnet", "--size", "20"], "75x75 or larger"),
    ],
)
def test_what_is_wrong_is_told(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["draw", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_png_larger_than_matplotlib_draws_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(diagram, "_LONGEST_PNG", 500)
    assert main(["draw", "lenet", "-o", str(tmp_path / "lenet.png")]) == 2
    assert "as a PNG it would have more than 500 pixels; write an .svg" in capsys.readouterr().err


def test_without_graphviz_the_package_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["draw", "lenet", "-o", str(tmp_path / "lenet.svg")]) == 2
    assert "apt install graphviz" in capsys.readouterr().err


def test_netron_gets_the_networks_symbol(monkeypatch):
    seen = []

    def start(path):
        with open(path) as file:
            seen.append(file.read())

    monkeypatch.setitem(sys.modules, "netron", types.SimpleNamespace(start=start, wait=lambda: None))
    assert main(["draw", "lenet", "--netron"]) == 0
    assert seen[0].count('"op": "Convolution"') == 2


def test_without_netron_the_package_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "netron", None)
    assert main(["draw", "lenet", "--netron"]) == 2
    assert "pip install netron" in capsys.readouterr().err
