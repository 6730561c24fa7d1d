"""The content of diagrams, compared with the papers' tables and figures."""

from gluon_classics.insight import summarize
from gluon_classics.insight.architecture import IMAGE, architecture
from gluon_classics.models import get_model, list_models, model_info

import pytest
from mxnet.gluon import nn


def architecture_of(name, detail="modules", **kwargs):
    net = get_model(name, **kwargs)
    return architecture(net, summarize(net, model_info(name).input_shape), detail)


def trunk(name):
    return [(node.lines[0], node.repeats) for node in architecture_of(name).parts[0].nodes[1:]]


def test_layers_have_their_inputs():
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3), nn.Activation("relu"), nn.Dense(2))
    assert [layer.inputs for layer in summarize(net, (1, 8, 8)).layers] == [(-1,), (0,), (1,)]
    layers = summarize(get_model("resnet50"), (3, 224, 224)).layers
    adds = [layer for layer in layers if layer.kind == "add"]
    assert len(adds) == 16
    assert all(len(set(layer.inputs)) == 2 for layer in adds)


def test_resnet50_has_3_4_6_3_blocks_and_the_first_of_each_projects():
    assert trunk("resnet50") == [
        ("conv 7x7/2, 64", 1),
        ("max pool 3x3/2", 1),
        ("Bottleneck A", 1),
        ("Bottleneck B", 2),
        ("Bottleneck A", 1),
        ("Bottleneck B", 3),
        ("Bottleneck A", 1),
        ("Bottleneck B", 5),
        ("Bottleneck A", 1),
        ("Bottleneck B", 2),
        ("global average pool", 1),
        ("dense 1000", 1),
    ]
    projecting, plain = architecture_of("resnet50").parts[1:]
    assert [node.lines[0] for node in plain.nodes[1:]] == ["conv 1x1", "conv 3x3", "conv 1x1", "add"]
    assert IMAGE in plain.nodes[-1].inputs
    assert sorted(node.lines[0] for node in projecting.nodes[1:]) == [
        "add",
        "conv 1x1",
        "conv 1x1",
        "conv 1x1/s",  # the projection's stride is 1 in the first stage and 2 in the others
        "conv 3x3/s",
    ]


def test_inception_v3_has_the_modules_of_its_table():
    modules = [row for row in trunk("inception_v3") if row[0].startswith("Inception")]
    assert modules == [
        ("InceptionA", 3),
        ("InceptionB", 1),
        ("InceptionC", 4),
        ("InceptionD", 1),
        ("InceptionE", 2),
    ]


def test_inception_v4_has_the_modules_of_figure_9():
    modules = [row for row in trunk("inception_v4") if row[0].startswith(("Inception", "Reduction"))]
    assert modules == [
        ("InceptionA", 4),
        ("ReductionA", 1),
        ("InceptionB", 7),
        ("ReductionB", 1),
        ("InceptionC", 3),
    ]


def test_googlenets_inception_has_four_paths_side_by_side():
    network, inside = architecture_of("googlenet").parts
    assert [(node.repeats, node.shape) for node in network.nodes if node.kind == "module"] == [
        (2, "480x27x27"),
        (5, "832x13x13"),
        (2, "1024x6x6"),
    ]
    first = [node.lines[0] for node in inside.nodes if node.inputs == (IMAGE,)]
    assert sorted(first) == ["conv 1x1", "conv 1x1", "conv 1x1", "max pool 3x3"]
    assert [len(node.inputs) for node in inside.nodes if node.lines[:1] == ("concat",)] == [4]


def test_vgg16s_stacks_are_repeated_layers():
    assert [row for row in trunk("vgg16") if row[0].startswith("conv")] == [
        ("conv 3x3, 64", 2),
        ("conv 3x3, 128", 2),
        ("conv 3x3, 256", 3),
        ("conv 3x3, 512", 3),
        ("conv 3x3, 512", 3),
    ]


def test_x_times_its_sigmoid_is_silu_but_squeeze_and_excitation_is_not():
    mbconv = architecture_of("efficientnet_b0").parts[-1]
    assert [node.lines for node in mbconv.nodes[1:]] == [
        ("conv 1x1", "BN, SiLU"),
        ("depthwise kxk", "BN, SiLU"),
        ("global average pool",),
        ("conv 1x1", "SiLU"),
        ("conv 1x1", "sigmoid"),
        ("multiply",),
        ("conv 1x1", "BN, stochastic depth"),
        ("add",),
    ]


def test_a_scaled_tanh_is_in_its_layers_box_and_one_output_per_group_is_not_depthwise():
    network, subsampling, table, rbf = architecture_of("lenet5_1998").parts
    assert [node.lines for node in network.nodes[1:]] == [
        ("conv 5x5, 6", "scaled tanh"),
        ("Subsampling", "2x2/2, 1x1 depthwise"),
        ("TableConvolution", "5x5 groups 6, 5x5 groups 9, 5x5"),
        ("scaled tanh",),
        ("Subsampling", "2x2/2, 1x1 depthwise"),
        ("conv 5x5, 120", "scaled tanh"),
        ("dense 84", "scaled tanh"),
        ("RBF",),
    ]
    assert subsampling.nodes[-1].lines == ("depthwise 1x1", "scaled tanh")
    assert [node.lines[0] for node in table.nodes[1:]].count("grouped conv 5x5, 6 in 6 groups") == 1
    assert rbf.nodes[1].lines == ("dense 10",)


def test_auxiliary_heads_branch_off_the_trunk():
    nodes = architecture_of("inception_v1", aux=True).parts[0].nodes
    taken = {source for node in nodes for source in node.inputs}
    assert sorted(node.lines[0] for node in nodes if node.key not in taken) == [
        "AuxiliaryHead",
        "AuxiliaryHead",
        "dense 1000",
    ]


@pytest.mark.parametrize("detail", ["layers", "shapes"])
@pytest.mark.parametrize("name", list_models())
def test_every_convolution_and_dense_layer_has_a_box(name, detail):
    net = get_model(name)
    summary = summarize(net, model_info(name).input_shape)
    (part,) = architecture(net, summary, detail).parts
    kinds = ("conv", "dense", "depthwise conv", "grouped conv")
    assert sum(node.kind in kinds for node in part.nodes) == sum(layer.kind in kinds for layer in summary.layers)
    keys = {node.key for node in part.nodes}
    assert len(keys) == len(part.nodes)
    assert all(set(node.inputs) <= keys for node in part.nodes)


def test_shapes_has_each_layers_numbers():
    node = architecture_of("lenet", "shapes").parts[0].nodes[1]
    # 20 kernels of 5x5 and their biases; 20 x 25 products for each of 24x24 pixels
    assert node.lines == ("conv 5x5, 20", "ReLU", "520 parameters", "288,000 MACs")
    assert node.shape == "20x24x24"
