"""The networks for COIL-20: layers, parameters counted by hand, export, and training on eight images."""

import re

from gluon_classics.insight import summarize
from gluon_classics.models import get_model, model_info

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, init, nd

NETWORKS = [f"coil20_{name}" for name in ("lenet", "alexnet", "googlenet", "vgg16", "resnet50", "efficientnet")]


def layers(name):
    return summarize(get_model(name), model_info(name).input_shape).layers


def rows(name):
    """(description, output shape, parameters) of each layer in a stack, including its batch norm and activation."""
    found = []
    for layer in layers(name):
        if layer.is_main or layer.kind == "dropout":
            found.append((described(layer), layer.output_shape, layer.parameters))
        elif layer.kind != "flatten":
            description, shape, parameters = found[-1]
            found[-1] = (f"{description}, {layer.kind}", shape, parameters + layer.parameters)
    return found


def described(layer):
    if layer.kernel is None:
        return layer.kind
    (k, _), (s, _), (p, _) = layer.kernel, layer.stride, layer.padding
    if layer.kind == "conv":
        return f"conv {layer.output_shape[0]}@{k}" + f"/{s}" * (s > 1) + f" p{p}" * (p > 0)
    return f"{layer.kind} {k}/{s}" + f" p{p}" * (p > 0)


LENET = [
    ("conv 10@10/2, sigmoid", (10, 60, 60), 10 * (10 * 10 * 1 + 1)),
    ("max pool 2/2", (10, 30, 30), 0),
    ("conv 20@5, sigmoid", (20, 26, 26), 20 * (5 * 5 * 10 + 1)),
    ("max pool 2/2", (20, 13, 13), 0),
    ("conv 20@4, sigmoid", (20, 10, 10), 20 * (4 * 4 * 20 + 1)),
    ("max pool 2/2", (20, 5, 5), 0),
    ("conv 20@3 p1, sigmoid", (20, 5, 5), 20 * (3 * 3 * 20 + 1)),
    ("dropout", (500,), 0),
    ("dense, sigmoid", (100,), 100 * (5 * 5 * 20 + 1)),
    ("dense, sigmoid", (60,), 60 * (100 + 1)),
    ("dense", (20,), 20 * (60 + 1)),
]

ALEXNET = [
    ("conv 96@20/2, relu", (96, 55, 55), 96 * (20 * 20 * 1 + 1)),
    ("max pool 3/2", (96, 27, 27), 0),
    ("conv 256@5 p2, relu", (256, 27, 27), 256 * (5 * 5 * 96 + 1)),
    ("max pool 3/2", (256, 13, 13), 0),
    ("conv 384@3 p1, relu", (384, 13, 13), 384 * (3 * 3 * 256 + 1)),
    ("conv 384@3 p1, relu", (384, 13, 13), 384 * (3 * 3 * 384 + 1)),
    ("conv 256@3 p1, relu", (256, 13, 13), 256 * (3 * 3 * 384 + 1)),
    ("max pool 3/2", (256, 6, 6), 0),
    ("dropout", (9216,), 0),
    ("dense, relu", (4096,), 4096 * (6 * 6 * 256 + 1)),
    ("dropout", (4096,), 0),
    ("dense, relu", (4096,), 4096 * (4096 + 1)),
    ("dense", (20,), 20 * (4096 + 1)),
]

# batch norm adds gamma and beta, two parameters per channel
VGG16 = [
    ("conv 64@3 p1, batch norm, relu", (64, 128, 128), 64 * (3 * 3 * 1 + 1) + 2 * 64),
    ("conv 64@3 p1, batch norm, relu", (64, 128, 128), 64 * (3 * 3 * 64 + 1) + 2 * 64),
    ("conv 64@17", (64, 112, 112), 64 * (17 * 17 * 64 + 1)),
    ("conv 128@3 p1, batch norm, relu", (128, 112, 112), 128 * (3 * 3 * 64 + 1) + 2 * 128),
    ("conv 128@3 p1, batch norm, relu", (128, 112, 112), 128 * (3 * 3 * 128 + 1) + 2 * 128),
    ("max pool 2/2", (128, 56, 56), 0),
    ("conv 256@3 p1, batch norm, relu", (256, 56, 56), 256 * (3 * 3 * 128 + 1) + 2 * 256),
    *[("conv 256@3 p1, batch norm, relu", (256, 56, 56), 256 * (3 * 3 * 256 + 1) + 2 * 256)] * 2,
    ("max pool 2/2", (256, 28, 28), 0),
    ("conv 512@3 p1, batch norm, relu", (512, 28, 28), 512 * (3 * 3 * 256 + 1) + 2 * 512),
    *[("conv 512@3 p1, batch norm, relu", (512, 28, 28), 512 * (3 * 3 * 512 + 1) + 2 * 512)] * 2,
    ("max pool 2/2", (512, 14, 14), 0),
    *[("conv 512@3 p1, batch norm, relu", (512, 14, 14), 512 * (3 * 3 * 512 + 1) + 2 * 512)] * 3,
    ("max pool 2/2", (512, 7, 7), 0),
    ("dropout", (25_088,), 0),
    ("dense, relu", (4096,), 4096 * (7 * 7 * 512 + 1)),
    ("dense, relu", (4096,), 4096 * (4096 + 1)),
    ("dense, relu", (1000,), 1000 * (4096 + 1)),
    ("dense", (256,), 256 * (1000 + 1)),
    ("dense", (20,), 20 * (256 + 1)),
]


@pytest.mark.parametrize(
    "name, expected, total",
    [
        ("coil20_lenet", LENET, 73_450),
        ("coil20_alexnet", ALEXNET, 58_366_836),
        ("coil20_vgg16", VGG16, 139_810_044),
    ],
)
def test_layer_by_layer(name, expected, total):
    assert rows(name) == expected
    assert sum(parameters for _, _, parameters in expected) == total


def inception(before, n1_1, n2_1, n2_3, n3_1, n3_5, n4_1):
    """The parameters of an Inception as in the paper's figure 2(b), for `before` input channels."""
    return sum(
        [
            n1_1 * (before + 1),
            n2_1 * (before + 1) + n2_3 * (3 * 3 * n2_1 + 1),
            n3_1 * (before + 1) + n3_5 * (5 * 5 * n3_1 + 1),
            n4_1 * (before + 1),
        ]
    )


def test_googlenets_stages_and_parameters_by_hand():
    net = get_model("coil20_googlenet")
    summary = summarize(net, (1, 128, 128))
    stages = [(s.kind, s.output_shape, s.parameters) for s in summary.stages]
    assert stages == [
        ("conv", (64, 112, 112), 64 * (17 * 17 * 1 + 1)),
        ("max pool", (64, 56, 56), 0),
        ("conv", (64, 56, 56), 64 * (64 + 1)),
        ("conv", (192, 56, 56), 192 * (3 * 3 * 64 + 1)),
        ("max pool", (192, 28, 28), 0),
        ("Inception", (256, 28, 28), inception(192, 64, 96, 128, 16, 32, 32)),
        ("Inception", (480, 28, 28), inception(256, 128, 128, 192, 32, 96, 64)),
        ("max pool", (480, 14, 14), 0),
        ("Inception", (512, 14, 14), inception(480, 192, 96, 208, 16, 48, 64)),
        ("Inception", (512, 14, 14), inception(512, 160, 112, 224, 24, 64, 64)),
        ("Inception", (512, 14, 14), inception(512, 128, 128, 256, 24, 64, 64)),
        ("Inception", (528, 14, 14), inception(512, 112, 144, 288, 32, 64, 64)),
        ("Inception", (832, 14, 14), inception(528, 256, 160, 320, 32, 128, 128)),
        ("max pool", (832, 7, 7), 0),
        ("Inception", (832, 7, 7), inception(832, 256, 160, 320, 32, 128, 128)),
        ("Inception", (1024, 7, 7), inception(832, 384, 192, 384, 48, 128, 128)),
        ("global average pool", (1024, 1, 1), 0),
        ("dense", (20,), 20 * (1024 + 1)),
    ]
    assert sum(parameters for _, _, parameters in stages) == 6_003_140
    pools = [layer for layer in summary.layers if layer.kind == "max pool" and layer.stride == (2, 2)]
    assert {(pool.kernel, pool.padding) for pool in pools} == {((3, 3), (1, 1))} and len(pools) == 4
    kinds = [layer.kind for layer in summary.layers]
    assert kinds.count("conv") == kinds.count("relu") == 3 + 9 * 6  # a ReLU after each convolution
    assert kinds[-2:] == ["dropout", "dense"]


def bottlenecks(blocks, before, width):
    """The parameters of a ResNet-50 stage: 1x1, 3x3 and 1x1 without biases, batch norms, and one projection."""
    wide = 4 * width

    def block(before):
        return before * width + 2 * width + 3 * 3 * width * width + 2 * width + width * wide + 2 * wide

    return block(before) + before * wide + 2 * wide + (blocks - 1) * block(wide)


def test_resnet50s_stages_and_parameters_by_hand():
    summary = summarize(get_model("coil20_resnet50"), (1, 128, 128))
    stages = [(s.name, s.kind, s.output_shape, s.parameters) for s in summary.stages]
    assert stages == [
        ("conv1", "conv", (64, 112, 112), 64 * 17 * 17 + 2 * 64),
        ("maxpool", "max pool", (64, 56, 56), 0),
        ("layer1", "3 x Bottleneck", (256, 56, 56), bottlenecks(3, 64, 64)),
        ("layer2", "4 x Bottleneck", (512, 28, 28), bottlenecks(4, 256, 128)),
        ("layer3", "6 x Bottleneck", (1024, 14, 14), bottlenecks(6, 512, 256)),
        ("layer4", "3 x Bottleneck", (2048, 7, 7), bottlenecks(3, 1024, 512)),
        ("avgpool", "global average pool", (2048, 1, 1), 0),
        ("fc1", "dense", (1000,), 1000 * (2048 + 1)),
        ("fc2", "dense", (256,), 256 * (1000 + 1)),
        ("fc3", "dense", (20,), 20 * (256 + 1)),
    ]
    assert sum(parameters for *_, parameters in stages) == 25_827_516
    kinds = [layer.kind for layer in summary.layers]
    assert kinds[:4] == ["conv", "batch norm", "max pool", "conv"]
    assert kinds[-6:] == ["global average pool", "dropout", "dense", "relu", "dense", "dense"]
    assert described(summary.layers[2]) == "max pool 3/2 p1"


@pytest.mark.parametrize(
    "name, paper, body",
    [
        ("coil20_resnet50", "resnet50", "layer[1-4]"),
        ("coil20_efficientnet", "efficientnet_b0", "features.[1-8]"),
    ],
)
def test_body_is_the_papers_network(name, paper, body):
    # which other tests compare with torchvision's
    def what_it_is(name):
        inner = [layer for layer in layers(name) if re.match(body, layer.name)]
        fields = ("name", "kind", "parameters", "kernel", "stride", "padding", "groups")
        return [tuple(getattr(layer, field) for field in fields) for layer in inner]

    assert len(what_it_is(name)) > 100
    assert what_it_is(name) == what_it_is(paper)


def test_efficientnet_is_b0_for_one_channel_and_20_classes():
    # B0's first convolution has 32 x 3 x 3 x 3 weights and no bias, its last layer 1000 x (1280 + 1) parameters
    assert 5_288_548 - 32 * 3 * 3 * (3 - 1) - (1000 - 20) * (1280 + 1) == 4_032_592
    summary = summarize(get_model("coil20_efficientnet"), (1, 128, 128))
    assert summary.parameters == 4_032_592
    assert [s.output_shape for s in summary.stages][:9] == [
        (32, 64, 64),
        (16, 64, 64),
        (24, 32, 32),
        (40, 16, 16),
        (80, 8, 8),
        (112, 8, 8),
        (192, 4, 4),
        (320, 4, 4),
        (1280, 4, 4),
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_takes_the_images_of_coil20(name):
    assert model_info(name).input_shape == (1, 128, 128)
    net = get_model(name)
    _, (shape,), _ = net(mx.sym.var("data")).infer_shape(data=(32, 1, 128, 128))
    assert shape == (32, 20)
    with pytest.raises(ValueError, match="in_channels=1.* have 3: .*in_channels=3"):
        net(nd.zeros((1, 3, 128, 128)))


@pytest.mark.parametrize("name", NETWORKS)
def test_exported_equals_imperative(name, tmp_path):
    mx.random.seed(0)
    net = get_model(name)
    size = max(net.smallest_size, 32)
    images = nd.random.uniform(shape=(3, 1, size, size))
    net.initialize(init.Xavier("gaussian", "in", 2))
    imperative = net(images).asnumpy()
    net.hybridize(static_alloc=True, static_shape=True)
    net(images)
    net.export(str(tmp_path / name))
    served = gluon.SymbolBlock.imports(
        str(tmp_path / f"{name}-symbol.json"), ["data"], str(tmp_path / f"{name}-0000.params")
    )
    assert np.abs(served(images).asnumpy() - imperative).max() < 1e-5 * imperative.std()


def eight_images(size):
    """White squares on black, each with its own position and size."""
    images = np.zeros((8, 1, size, size), dtype="float32")
    for i, image in enumerate(images):
        corner, width = size // 16 * i, size // 4 + i
        image[0, corner : corner + width, size // 2 - corner // 2 :][:, :width] = 1
    return nd.array(images)


@pytest.mark.parametrize(
    "name, size, learning_rate, steps, wanted",
    [
        pytest.param("coil20_lenet", 64, 3e-3, 1200, 1.2, marks=pytest.mark.slow),
        pytest.param("coil20_alexnet", 48, 3e-4, 60, 0.7, marks=pytest.mark.slow),
        pytest.param("coil20_googlenet", 32, 1e-3, 100, 0.7, marks=pytest.mark.slow),
        pytest.param("coil20_vgg16", 32, 3e-4, 60, 0.7, marks=pytest.mark.slow),
        pytest.param("coil20_resnet50", 32, 1e-3, 60, 0.7, marks=pytest.mark.slow),
        ("coil20_efficientnet", 32, 3e-3, 60, 0.7),
    ],
)
def test_learns_eight_images(name, size, learning_rate, steps, wanted):
    # at chance the loss is log(8) = 2.08
    mx.random.seed(1)
    net = get_model(name)
    images, labels = eight_images(size), nd.arange(8)
    # He initialization is for ReLUs
    net.initialize(init.Xavier() if name == "coil20_lenet" else init.Xavier("gaussian", "in", 2))
    net.hybridize(static_alloc=True)
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": learning_rate})
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    for step in range(steps):
        with autograd.record():
            each = loss(net(images), labels)
        each.backward()
        trainer.step(8)
        if step % 5 == 4 and each.mean().asscalar() < wanted:
            return
    pytest.fail(f"{name} did not learn 8 images in {steps} steps; loss {each.mean().asscalar():.3f}")
