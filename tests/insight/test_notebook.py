"""The notebooks' figures."""

import shutil

from gluon_classics.insight import notebook
from gluon_classics.models import get_model

import mxnet as mx
import numpy as np
import pytest
from matplotlib.figure import Figure
from mxnet import nd


@pytest.fixture(scope="module")
def net():
    mx.random.seed(0)
    net = get_model("lenet")
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, 28, 28)))
    return net


def image():
    return nd.random.uniform(shape=(1, 1, 28, 28))


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not installed")
def test_a_diagram_for_a_cell():
    pytest.importorskip("IPython")
    assert "conv 5×5, 20" in notebook.diagram("lenet").data


def test_shapes_are_printed(net, capsys):
    notebook.print_shapes(net, image())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:4] == [["input", "1x28x28"], ["0", "conv", "20x24x24"], ["1", "max", "pool", "20x12x12"]]


def test_figures_have_titles(net):
    pictures = np.zeros((10, 28, 28, 1), np.uint8)
    figure = notebook.images_figure(pictures, list("abcdefghij"), "letters")
    assert titles(figure) == list("abcdefghij")
    assert figure.get_suptitle() == "letters"
    assert "5x5 pixels" in titles(notebook.kernels_figure(net))[0]
    figure = notebook.cam_figure(net, image(), pictures[0], "abcdefghij")
    assert titles(figure)[0] == "the picture"
    assert len(titles(figure)) == 4
    assert isinstance(figure, Figure)


def test_maps_of_named_stages(net):
    figures = notebook.maps_figure(net, image(), ["2"])
    assert titles(figures[0]) == ["After stage 2 (conv): the strongest of 50 maps, 10x10 pixels"]
    with pytest.raises(ValueError, match="unknown stage '9': .*0, 1, 2"):
        notebook.maps_figure(net, image(), ["9"])
