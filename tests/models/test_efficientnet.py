"""EfficientNet and EfficientNet-Lite0 compared with their papers' tables and the reference implementations.

Most tests only read the graph; the others compute one block, or a network on a 32x32 image.
"""

import json

from gluon_classics.models import get_model
from gluon_classics.models.efficientnet import MBConv, swish, widened
from gluon_classics.models.efficientnet_lite import HalvingConv2D, InvertedResidual, relu6

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, init, nd

from graphs import built, child, convolutions, nodes, operators, shapes

# Table 1 of EfficientNet's paper: input resolution, channels and layers of each stage
EFFICIENTNET_B0 = {
    "features.0": (224, 32, 1),
    "features.1": (112, 16, 1),
    "features.2": (112, 24, 2),
    "features.3": (56, 40, 2),
    "features.4": (28, 80, 3),
    "features.5": (14, 112, 3),
    "features.6": (14, 192, 4),
    "features.7": (7, 320, 1),
    "features.8": (7, 1280, 1),
}


def test_efficientnets_table_1():
    found = shapes("efficientnet_b0", EFFICIENTNET_B0)
    for stage, (resolution, channels, _) in EFFICIENTNET_B0.items():
        before, after = found[stage]
        assert before[1:] == (resolution, resolution), stage
        assert after[0] == channels, stage
    assert found["features.8"][1] == (1280, 7, 7)
    layers = [len(child(built("efficientnet_b0"), f"features.{i}")) for i in range(1, 8)]
    assert layers == [layers for _, _, layers in EFFICIENTNET_B0.values()][1:8]


def test_lite0_has_the_stages_of_efficientnet_b0():
    stages = {f"blocks.{i}": EFFICIENTNET_B0[f"features.{i + 1}"] for i in range(7)}
    found = shapes("efficientnet_lite0", ["conv_stem", *stages, "conv_head", "classifier"])
    for stage, (resolution, channels, layers) in stages.items():
        before, after = found[stage]
        assert before[1:] == (resolution, resolution), stage
        assert after[0] == channels, stage
        assert len(child(built("efficientnet_lite0"), stage)) == layers, stage
    assert [found[stage][1] for stage in ("conv_stem", "conv_head", "classifier")] == [
        (32, 112, 112),
        (1280, 7, 7),
        (1000,),
    ]


# the operators of Table 1: MBConv1 3x3, MBConv6 3x3/2, MBConv6 5x5/2, ...
@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_lite0"])
def test_depthwise_convolutions(name):
    rows = [row for row in convolutions(name) if row[4] > 1]
    assert [(channels, kernel, stride) for channels, kernel, stride, _, _ in rows] == [
        (32, 3, 1),
        (6 * 16, 3, 2),
        (6 * 24, 3, 1),
        (6 * 24, 5, 2),
        (6 * 40, 5, 1),
        (6 * 40, 3, 2),
        (6 * 80, 3, 1),
        (6 * 80, 3, 1),
        (6 * 80, 5, 1),
        (6 * 112, 5, 1),
        (6 * 112, 5, 1),
        (6 * 112, 5, 2),
        (6 * 192, 5, 1),
        (6 * 192, 5, 1),
        (6 * 192, 5, 1),
        (6 * 192, 3, 1),
    ]
    assert all(groups == channels for channels, _, _, _, groups in rows)
    assert len(operators(name, "elemwise_add")) == 16 - 7  # shortcuts in all blocks except the first of each stage


# channels of torchvision's features.0 to features.8, and numbers of blocks in features.1 to features.7
@pytest.mark.parametrize(
    "name, channels, blocks",
    [
        ("efficientnet_b1", (32, 16, 24, 40, 80, 112, 192, 320, 1280), (2, 3, 3, 4, 4, 5, 2)),
        ("efficientnet_b2", (32, 16, 24, 48, 88, 120, 208, 352, 1408), (2, 3, 3, 4, 4, 5, 2)),
        ("efficientnet_b3", (40, 24, 32, 48, 96, 136, 232, 384, 1536), (2, 3, 3, 5, 5, 6, 2)),
        ("efficientnet_b7", (64, 32, 48, 80, 160, 224, 384, 640, 2560), (4, 7, 7, 10, 10, 13, 4)),
    ],
)
def test_compound_scaling(name, channels, blocks):
    stages = [f"features.{i}" for i in range(9)]
    assert tuple(after[0] for _, after in shapes(name, stages).values()) == channels
    assert tuple(len(child(built(name), stage)) for stage in stages[1:8]) == blocks


def test_widening_rounds_to_8_but_never_down_by_more_than_10_percent():
    assert [widened(*row) for row in ((32, 1.0), (32, 1.4), (16, 1.1), (80, 1.1), (16, 1.2))] == [32, 48, 16, 88, 24]


def dropouts(graph):
    """(p, axes, preceding operator, following operator) of each Dropout."""
    rows = []
    for i, node in enumerate(graph):
        if node["op"] == "Dropout":
            before = graph[node["inputs"][0][0]]["op"]
            after = [other["op"] for other in graph if i in [source[0] for source in other["inputs"]]]
            rows.append((float(node["attrs"]["p"]), node["attrs"]["axes"], before, *after))
    return rows


# 0.2 x index / 16 for blocks 2; 4; 6, 7; 9, 10; 12, 13, 14, which have a shortcut
OF_16_BLOCKS = [0.025, 0.05, 0.075, 0.0875, 0.1125, 0.125, 0.15, 0.1625, 0.175]


@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_lite0"])
def test_stochastic_depth_in_the_exported_graph(name, tmp_path):
    net = get_model(name)
    net.initialize(init.Zero())
    net.hybridize()
    net(nd.zeros((1, 3, 32, 32)))
    net.export(str(tmp_path / name))
    *depths, last = dropouts(json.loads((tmp_path / f"{name}-symbol.json").read_text())["nodes"])
    assert [p for p, *_ in depths] == pytest.approx(OF_16_BLOCKS)
    assert {tuple(rest) for _, *rest in depths} == {("(1, 2, 3)", "BatchNorm", "elemwise_add")}
    assert last[:2] == (0.2, "()")


@pytest.mark.parametrize(
    "name, blocks, dropout",
    [
        ("efficientnet_b1", (2, 3, 3, 4, 4, 5, 2), 0.2),
        ("efficientnet_b2", (2, 3, 3, 4, 4, 5, 2), 0.3),
        ("efficientnet_b3", (2, 3, 3, 5, 5, 6, 2), 0.3),
        ("efficientnet_b4", (2, 4, 4, 6, 6, 8, 2), 0.4),
        ("efficientnet_b5", (3, 5, 5, 7, 7, 9, 3), 0.4),
        ("efficientnet_b6", (3, 6, 6, 8, 8, 11, 3), 0.5),
        ("efficientnet_b7", (4, 7, 7, 10, 10, 13, 4), 0.5),
    ],
)
def test_stochastic_depth_and_dropout_of_b1_to_b7(name, blocks, dropout):
    *depths, last = dropouts(nodes(name))
    first_of_stage = np.cumsum((0, *blocks))
    expected = [0.2 * i / sum(blocks) for i in range(sum(blocks)) if i not in first_of_stage]
    assert [p for p, *_ in depths] == pytest.approx(expected)
    assert {tuple(rest) for _, *rest in depths} == {("(1, 2, 3)", "BatchNorm", "elemwise_add")}
    assert last[:2] == (dropout, "()")


BLOCKS = {
    "efficientnet": lambda: MBConv(4, 6, 3, 1, 4, 0.2, {"epsilon": 1e-5}),
    "efficientnet_lite": lambda: InvertedResidual(4, 6, 3, 1, 4, 0.2),
}


@pytest.mark.parametrize("family", BLOCKS)
@pytest.mark.parametrize("hybridize", [False, True])
def test_stochastic_depth_drops_entire_images_only_in_training(family, hybridize):
    mx.random.seed(0)
    block = BLOCKS[family]()
    block.initialize(init.Xavier())
    x = nd.random.normal(shape=(1000, 4, 2, 2))

    def branch():
        """The input of stochastic depth."""
        block.hybridize(False)
        seen = []
        hook = block.stochastic_depth.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].asnumpy()))
        block(x)
        hook.detach()
        return seen[0]

    evaluated = branch()
    block.hybridize(hybridize)
    assert block(x).asnumpy() == pytest.approx(x.asnumpy() + evaluated, abs=1e-5)  # evaluation comes first
    with autograd.train_mode():
        added, again = ((block(x) - x).asnumpy() for _ in range(2))
        trained = branch()
    dropped = (added == 0).all(axis=(1, 2, 3))
    assert 0.15 < dropped.mean() < 0.25
    assert added[~dropped] == pytest.approx(trained[~dropped] / 0.8, abs=1e-4)
    assert (dropped != (again == 0).all(axis=(1, 2, 3))).any()


def test_swish_by_hand():
    x = nd.array([-1000, -1, 0, 1, 1000])
    x.attach_grad()
    with autograd.record():
        y = swish(nd, x)
    y.backward()
    assert y.asnumpy() == pytest.approx([0, -0.2689414, 0, 0.7310586, 1000], abs=1e-6)
    assert x.grad.asnumpy() == pytest.approx([0, 0.0723295, 0.5, 0.9276705, 1], abs=1e-6)


def test_lite0_has_relu6_and_no_squeeze_and_excite():
    assert relu6(nd, nd.array([-1, 0, 3, 6, 7])).asnumpy().tolist() == [0, 0, 3, 6, 6]
    clips = operators("efficientnet_lite0", "clip")
    assert {(float(attrs["a_min"]), float(attrs["a_max"])) for attrs in clips} == {(0, 6)}
    assert len(clips) == 1 + 1 + 15 * 2 + 1  # stem, first block, two in each other block, head
    assert not operators("efficientnet_lite0", "Activation")
    assert not operators("efficientnet_lite0", "broadcast_mul")
    # only the global average pool
    assert len(operators("efficientnet_lite0", "Pooling")) == 1


def test_lite0_pads_like_tensorflows_same_at_even_sizes():
    # TensorFlow pads a size n to kernel + stride x (ceil(n / stride) - 1), with the odd pixel at the end
    graph = nodes("efficientnet_lite0")
    found = []
    for node in graph:
        if node["op"] == "Convolution":
            source = graph[node["inputs"][0][0]]
            padded = source["attrs"]["pad_width"] if source["op"] == "Pad" else None
            found.append((node["attrs"]["kernel"], node["attrs"]["stride"], node["attrs"]["pad"], padded))
    three, five = "(0, 0, 0, 0, 0, 1, 0, 1)", "(0, 0, 0, 0, 1, 2, 1, 2)"
    assert [row for row in found if row[1] == "(2, 2)"] == [
        ("(3, 3)", "(2, 2)", "(0, 0)", three),
        ("(3, 3)", "(2, 2)", "(0, 0)", three),
        ("(5, 5)", "(2, 2)", "(0, 0)", five),
        ("(3, 3)", "(2, 2)", "(0, 0)", three),
        ("(5, 5)", "(2, 2)", "(0, 0)", five),
    ]
    symmetric = {row for row in found if row[1] == "(1, 1)"}
    assert {(kernel, pad, padded) for kernel, _, pad, padded in symmetric} == {
        ("(1, 1)", "(0, 0)", None),
        ("(3, 3)", "(1, 1)", None),
        ("(5, 5)", "(2, 2)", None),
    }
    assert {(p["mode"], float(p["constant_value"])) for p in operators("efficientnet_lite0", "Pad")} == {
        ("constant", 0)
    }


@pytest.mark.parametrize(
    "kernel, expected",
    [
        # 0 to 15 in four rows: sums over rows 0-2 or 2-3 and columns 0-2 or 2-3
        (3, [[45, 39], [66, 50]]),
        # sums over rows 0-3 or 1-3 and columns 0-3 or 1-3
        (5, [[120, 96], [114, 90]]),
    ],
)
def test_asymmetric_padding_by_hand(kernel, expected):
    conv = HalvingConv2D(1, kernel)
    conv.initialize(init.One())
    conv.hybridize()
    assert conv(nd.arange(16).reshape((1, 1, 4, 4))).asnumpy()[0, 0].tolist() == expected
