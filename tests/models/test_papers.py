"""Networks without a reference implementation, layer by layer as in their papers; and Inception v1's heads."""

from gluon_classics.models import get_model
from gluon_classics.models.alexnet import LocalResponseNorm as AlexNetLRN
from gluon_classics.models.googlenet import LocalResponseNorm as InceptionLRN

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd
from mxnet.gluon import nn


def described(layer):
    """A layer in the papers' notation."""
    kind, kw = type(layer).__name__, getattr(layer, "_kwargs", {})
    if kind == "Conv2D":
        (k, _), (s, _), (p, _), groups = kw["kernel"], kw["stride"], kw["pad"], kw["num_group"]
        words = [f"conv {kw['num_filter']}@{k}", f"/{s}" * (s > 1), f" p{p}" * (p > 0), " in 2" * (groups == 2)]
        return "".join(words) + (f" {layer.act._act_type}" if layer.act else "")
    if kind in ("MaxPool2D", "AvgPool2D"):
        up = " up" if kw["pooling_convention"] == "full" else ""  # rounds up
        return f"{kw['pool_type']} {kw['kernel'][0]}/{kw['stride'][0]}" + f" p{kw['pad'][0]}" * (kw["pad"][0] > 0) + up
    if kind == "Dense":
        return f"dense {layer._units}" + (f" {layer.act._act_type}" if layer.act else "")
    if kind == "Dropout":
        return f"dropout {layer._rate}"
    return kind


def parameters(block):
    return sum(int(np.prod(p.shape)) for p in block.collect_params().values() if p.grad_req != "null")


def layers(net, size, block=None):
    """(name, description, output shape, parameters) of each child of `block` (default: the network) as it runs.

    Shapes are inferred for one image of `size`; nothing is computed.
    """
    outputs = {}
    for name, layer in (block or net)._children.items():
        layer.register_forward_hook(lambda layer, _, output, name=name: outputs.update({name: (layer, output)}))
    shape = (1, net.in_channels, size, size)
    net.infer_shape(nd.zeros(shape))
    net(mx.sym.var("data"))
    _, shapes, _ = mx.sym.Group([output for _, output in outputs.values()]).infer_shape(data=shape)
    return [
        (name, described(layer), shape[1:], parameters(layer))
        for (name, (layer, _)), shape in zip(outputs.items(), shapes)
    ]


# LeCun et al. 1998, figure 2 and section II.B, with a fully connected C3
LENET5 = [
    ("c1", "conv 6@5 tanh", (6, 28, 28), 156),
    ("s2", "avg 2/2", (6, 14, 14), 0),
    ("c3", "conv 16@5 tanh", (16, 10, 10), 2_416),
    ("s4", "avg 2/2", (16, 5, 5), 0),
    ("c5", "conv 120@5 tanh", (120, 1, 1), 48_120),
    ("f6", "dense 84 tanh", (84,), 10_164),
    ("output", "dense 10", (10,), 850),
]

# Krizhevsky et al. 2012, section 3.5 and figure 2: the second layer has "256 kernels of size 5x5x48", and so on
ALEXNET = [
    ("conv1", "conv 96@11/4 relu", (96, 55, 55), 96 * (11 * 11 * 3 + 1)),
    ("norm1", "LocalResponseNorm", (96, 55, 55), 0),
    ("pool1", "max 3/2", (96, 27, 27), 0),
    ("conv2", "conv 256@5 p2 in 2 relu", (256, 27, 27), 256 * (5 * 5 * 48 + 1)),
    ("norm2", "LocalResponseNorm", (256, 27, 27), 0),
    ("pool2", "max 3/2", (256, 13, 13), 0),
    ("conv3", "conv 384@3 p1 relu", (384, 13, 13), 384 * (3 * 3 * 256 + 1)),
    ("conv4", "conv 384@3 p1 in 2 relu", (384, 13, 13), 384 * (3 * 3 * 192 + 1)),
    ("conv5", "conv 256@3 p1 in 2 relu", (256, 13, 13), 256 * (3 * 3 * 192 + 1)),
    ("pool5", "max 3/2", (256, 6, 6), 0),
    ("fc6", "dense 4096 relu", (4096,), 4096 * (6 * 6 * 256 + 1)),
    ("drop6", "dropout 0.5", (4096,), 0),
    ("fc7", "dense 4096 relu", (4096,), 4096 * (4096 + 1)),
    ("drop7", "dropout 0.5", (4096,), 0),
    ("fc8", "dense 1000", (1000,), 1000 * (4096 + 1)),
]

# the authors' Caffe definition; Caffe's pools round up
NIN = [
    ("conv1", "conv 96@11/4 relu", (96, 54, 54), 96 * (11 * 11 * 3 + 1)),
    ("cccp1", "conv 96@1 relu", (96, 54, 54), 96 * (96 + 1)),
    ("cccp2", "conv 96@1 relu", (96, 54, 54), 96 * (96 + 1)),
    ("pool1", "max 3/2 up", (96, 27, 27), 0),
    ("conv2", "conv 256@5 p2 relu", (256, 27, 27), 256 * (5 * 5 * 96 + 1)),
    ("cccp3", "conv 256@1 relu", (256, 27, 27), 256 * (256 + 1)),
    ("cccp4", "conv 256@1 relu", (256, 27, 27), 256 * (256 + 1)),
    ("pool2", "max 3/2 up", (256, 13, 13), 0),
    ("conv3", "conv 384@3 p1 relu", (384, 13, 13), 384 * (3 * 3 * 256 + 1)),
    ("cccp5", "conv 384@1 relu", (384, 13, 13), 384 * (384 + 1)),
    ("cccp6", "conv 384@1 relu", (384, 13, 13), 384 * (384 + 1)),
    ("pool3", "max 3/2 up", (384, 6, 6), 0),
    ("drop", "dropout 0.5", (384, 6, 6), 0),
    ("conv4", "conv 1024@3 p1 relu", (1024, 6, 6), 1024 * (3 * 3 * 384 + 1)),
    ("cccp7", "conv 1024@1 relu", (1024, 6, 6), 1024 * (1024 + 1)),
    ("cccp8", "conv 1000@1 relu", (1000, 6, 6), 1000 * (1024 + 1)),
    ("pool4", "GlobalAvgPool2D", (1000, 1, 1), 0),
    ("flatten", "Flatten", (1000,), 0),
]


@pytest.mark.parametrize(
    "name, size, expected, total",
    [
        ("lenet5", 32, LENET5, 61_706),
        ("alexnet_paper", 227, ALEXNET, 60_965_224),
        ("nin_imagenet", 224, NIN, 7_595_176),
    ],
)
def test_layer_by_layer(name, size, expected, total):
    net = get_model(name)
    assert layers(net, size) == expected
    assert parameters(net) == total


def test_lenet5_has_the_connections_of_the_paper():
    net = get_model("lenet5")
    connections = {name: count * np.prod(shape[1:]) for name, _, shape, count in layers(net, 32)}
    assert connections["c1"] == 122_304
    assert connections["c5"] == 48_120
    # the paper's 60,000 trainable parameters: without a dense output, with Table I's 1,516 in C3, and 12 and 32 in S2
    # and S4
    assert parameters(net) - 850 - (2_416 - 1_516) + 12 + 32 == 60_000


def test_lenet5_takes_larger_images():
    rows = {name: shape for name, _, shape, _ in layers(get_model("lenet5"), 48)}
    assert rows["c5"] == (120, 5, 5)
    assert rows["output"] == (10,)


def test_alexnet_has_the_neurons_of_figure_2():
    neurons = {name: np.prod(shape) for name, _, shape, _ in layers(get_model("alexnet_paper"), 227)}
    assert [neurons[name] for name in ("conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")] == [
        186_624,
        64_896,
        64_896,
        43_264,
        4_096,
        4_096,
        1_000,
    ]


def test_alexnet_of_2014_has_0_2_percent_more_parameters_as_its_paper_says():
    of_2012, of_2014 = get_model("alexnet_paper"), get_model("alexnet_owt")
    of_2012.infer_shape(nd.zeros((1, 3, 227, 227)))
    of_2014.infer_shape(nd.zeros((1, 3, 224, 224)))
    assert parameters(of_2014) / parameters(of_2012) == pytest.approx(1.002, abs=0.0005)


# Szegedy et al. 2014, Table 1: output size; parameters in K (1024) and operations in M, both without biases. None if
# the printed number does not follow from the table's own columns: 2.7K and 34M of the first convolution (those of a
# separable one), 364K, 463K, 580K, 840K, 1072K and 1388K of 4a, 4c, 4d, 4e, 5a and 5b, and 5a's 54M.
TABLE_1 = [
    (["conv1"], (64, 112, 112), None, None),
    (["pool1"], (64, 56, 56), None, None),
    (["conv2", "conv3"], (192, 56, 56), 112, 360),
    (["pool2"], (192, 28, 28), None, None),
    (["inception3a"], (256, 28, 28), 159, 128),
    (["inception3b"], (480, 28, 28), 380, 304),
    (["pool3"], (480, 14, 14), None, None),
    (["inception4a"], (512, 14, 14), None, 73),
    (["inception4b"], (512, 14, 14), 437, 88),
    (["inception4c"], (512, 14, 14), None, 100),
    (["inception4d"], (528, 14, 14), None, 119),
    (["inception4e"], (832, 14, 14), None, 170),
    (["pool4"], (832, 7, 7), None, None),
    (["inception5a"], (832, 7, 7), None, None),
    (["inception5b"], (1024, 7, 7), None, 71),
    (["avgpool"], (1024, 1, 1), None, None),
    (["dropout"], (1024, 1, 1), None, None),
    (["fc"], (1000,), 1000, 1),
]

# figure 3, with the kernels and strides of Table 1
INCEPTION_V1 = [
    ("conv1", "conv 64@7/2 p3 relu"),
    ("pool1", "max 3/2 up"),
    ("norm1", "LocalResponseNorm"),
    ("conv2", "conv 64@1 relu"),
    ("conv3", "conv 192@3 p1 relu"),
    ("norm2", "LocalResponseNorm"),
    ("pool2", "max 3/2 up"),
    ("inception3a", "Inception"),
    ("inception3b", "Inception"),
    ("pool3", "max 3/2 up"),
    ("inception4a", "Inception"),
    ("inception4b", "Inception"),
    ("inception4c", "Inception"),
    ("inception4d", "Inception"),
    ("inception4e", "Inception"),
    ("pool4", "max 3/2 up"),
    ("inception5a", "Inception"),
    ("inception5b", "Inception"),
    ("avgpool", "GlobalAvgPool2D"),
    ("dropout", "dropout 0.4"),
    ("fc", "dense 1000"),
]


def test_inception_v1_is_figure_3():
    net = get_model("inception_v1")
    assert [(name, what) for name, what, _, _ in layers(net, 224)] == INCEPTION_V1
    # 9 x 6 in the Inceptions and 3 before them, all with a bias and a ReLU
    convolutions = []
    net.apply(lambda layer: convolutions.append(layer) if isinstance(layer, nn.Conv2D) else None)
    assert len(convolutions) == 57
    assert all(layer.act._act_type == "relu" and layer.bias is not None for layer in convolutions)


def test_inception_v1_is_table_1():
    net = get_model("inception_v1")
    shapes = {name: shape for name, _, shape, _ in layers(net, 224)}
    for parts, output, kilo, mega in TABLE_1:
        weights = sum(
            int(np.prod(p.shape))
            for part in parts
            for name, p in getattr(net, part).collect_params().items()
            if name.endswith("weight")
        )
        assert shapes[parts[-1]] == output, parts
        assert kilo is None or abs(weights / 1024 - kilo) <= 1, parts
        assert mega is None or abs(weights * np.prod(output[1:]) / 1e6 - mega) <= 1, parts
    assert parameters(net) == 6_998_552


def test_an_inception_is_figure_2b_with_the_widths_of_table_1():
    net = get_model("inception_v1")
    assert layers(net, 224, net.inception4d) == [  # its row: 112, 144, 288, 32, 64, 64; 512 channels come in
        ("p1_conv_1", "conv 112@1 relu", (112, 14, 14), 112 * (512 + 1)),
        ("p2_conv_1", "conv 144@1 relu", (144, 14, 14), 144 * (512 + 1)),
        ("p2_conv_3", "conv 288@3 p1 relu", (288, 14, 14), 288 * (3 * 3 * 144 + 1)),
        ("p3_conv_1", "conv 32@1 relu", (32, 14, 14), 32 * (512 + 1)),
        ("p3_conv_5", "conv 64@5 p2 relu", (64, 14, 14), 64 * (5 * 5 * 32 + 1)),
        ("p4_pool_3", "max 3/1 p1", (512, 14, 14), 0),
        ("p4_conv_1", "conv 64@1 relu", (64, 14, 14), 64 * (512 + 1)),
    ]


@pytest.mark.parametrize("head, channels", [("aux1", 512), ("aux2", 528)])
def test_heads_of_inception_v1(head, channels):
    # section 5: "a 4x4x512 output for the (4a), and 4x4x528 for the (4d) stage"
    net = get_model("inception_v1", aux=True)
    assert layers(net, 224, getattr(net, head)) == [
        ("pool", "avg 5/3", (channels, 4, 4), 0),
        ("conv", "conv 128@1 relu", (128, 4, 4), 128 * (channels + 1)),
        ("fc1", "dense 1024 relu", (1024,), 1024 * (4 * 4 * 128 + 1)),
        ("dropout", "dropout 0.7", (1024,), 0),
        ("fc2", "dense 1000", (1000,), 1000 * (1024 + 1)),
    ]


@pytest.mark.parametrize(
    "name, without, with_heads", [("inception_v1", 6_998_552, 13_378_280), ("inception_v1_bn", 6_624_904, 13_004_888)]
)
def test_heads_are_returned_in_order_of_depth(name, without, with_heads):
    net = get_model(name, aux=True)
    net.infer_shape(nd.zeros((1, 3, 224, 224)))
    assert parameters(net) == with_heads
    assert net.aux_weights == (0.3, 0.3)
    logits, aux1, aux2 = net(mx.sym.var("data"))

    def needs(output, layer):
        names = {p.name for p in layer.collect_params().values()}
        return names <= {*output.list_arguments(), *output.list_auxiliary_states()}

    assert needs(logits, net.fc) and not needs(logits, net.aux1) and not needs(logits, net.aux2)
    assert needs(aux1, net.aux1) and needs(aux1, net.inception4a) and not needs(aux1, net.inception4b)
    assert needs(aux2, net.aux2) and needs(aux2, net.inception4d) and not needs(aux2, net.inception4e)

    net = get_model(name)
    net.infer_shape(nd.zeros((1, 3, 224, 224)))
    assert parameters(net) == without
    assert isinstance(net(mx.sym.var("data")), mx.sym.Symbol)


@pytest.mark.parametrize(
    "lrn, over_all_100",
    [
        # the paper's k + alpha x sum of squares: 2 + 1e-4 x 100^2 for each of 3, 4 or 5 neighbours
        (AlexNetLRN, [5, 6, 7, 7, 6, 5]),
        # Caffe's k + alpha x sum of squares / 5: 1 + 0.2 for each neighbour
        (InceptionLRN, [1.6, 1.8, 2, 2, 1.8, 1.6]),
    ],
)
def test_local_response_normalization_by_hand(lrn, over_all_100):
    output = lrn()(nd.full((1, 6, 1, 1), 100)).asnumpy().ravel()
    assert output == pytest.approx(100 / np.array(over_all_100) ** 0.75, rel=1e-5)


@pytest.mark.parametrize("lrn, k, alpha", [(AlexNetLRN, 2, 1e-4), (InceptionLRN, 1, 1e-4 / 5)])
def test_local_response_normalization_is_the_formula_of_section_3_3(lrn, k, alpha):
    a = np.random.RandomState(0).normal(0, 100, (2, 16, 3, 4))
    expected = np.empty_like(a)
    for i in range(16):
        neighbours = a[:, max(0, i - 2) : min(15, i + 2) + 1]
        expected[:, i] = a[:, i] / (k + alpha * (neighbours**2).sum(axis=1)) ** 0.75
    assert lrn()(nd.array(a)).asnumpy() == pytest.approx(expected, rel=1e-4)
