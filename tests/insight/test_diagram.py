"""Diagrams as files, and the errors of `draw`."""

import shutil
import sys
import types
from xml.etree import ElementTree

from gluon_classics.__main__ import main
from gluon_classics.insight import diagram, summarize
from gluon_classics.insight.architecture import architecture
from gluon_classics.models import get_model, model_info

import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not installed")


@pytest.mark.parametrize("name", ["lenet", "googlenet", "efficientnet_b0", "inception_v4"])
def test_every_box_is_in_the_graph_and_dot_does_not_complain(name, tmp_path, capfd):
    net = get_model(name)
    parts = architecture(net, summarize(net, model_info(name).input_shape))
    diagram.draw_diagram(parts, name, "", tmp_path / "net.svg")
    groups = [element for element in ElementTree.parse(tmp_path / "net.svg").iter() if element.tag.endswith("}g")]
    titles = [group.find("{*}title").text for group in groups if group.get("class") == "node"]
    for part in parts.parts:
        prefix = part.title or name
        assert {f"{prefix} {node.key}" for node in part.nodes} <= set(titles)
    clusters = [group for group in groups if group.get("class") == "cluster"]
    assert len(clusters) == len(parts.parts)
    assert capfd.readouterr().err == ""


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


def test_the_default_file_name_is_the_networks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["draw", "lenet5"]) == 0
    assert (tmp_path / "lenet5.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet5"], "did you mean resnet50"),
        (["lenet", "-o", "lenet.pdf"], r"lenet.pdf: the file of a diagram ends in .svg or .png"),
        (["lenet", "-o", "nowhere/lenet.svg"], "nowhere/lenet.svg cannot be written: No such file or directory"),
        (["lenet", "--aux"], "lenet has no auxiliary heads"),
        (["resnet", "--size", "20"], "75x75 or larger"),
    ],
)
def test_errors_are_printed(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["draw", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


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
