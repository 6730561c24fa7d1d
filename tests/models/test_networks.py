"""The tutorial's six networks: parameter counts, layers, shapes, training, hybridizing and exporting."""

from gluon_classics.data import load_dataset
from gluon_classics.models import get_model

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, init, nd
from mxnet.gluon import nn

NETWORKS = ["lenet", "alexnet", "vgg", "nin", "googlenet", "googlenet_as_printed", "resnet"]
SMALLEST = {
    "lenet": 12,
    "alexnet": 67,
    "vgg": 32,
    "nin": 67,
    "googlenet": 93,
    "googlenet_as_printed": 93,
    "resnet": 75,
}


def built(name, size, initializer=None, seed=0, **kwargs):
    """The network, initialized for square images of `size`."""
    mx.random.seed(seed)
    net = get_model(name, **kwargs)
    net.initialize(initializer or init.Xavier())
    net(nd.zeros((1, 1, size, size)))
    return net


def trainable(net):
    return [p for p in net.collect_params().values() if p.grad_req != "null"]


def count(net, shape):
    """Trainable parameters for inputs of `shape`, from inferred shapes only."""
    net.infer_shape(nd.zeros(shape))
    return sum(int(np.prod(p.shape)) for p in trainable(net))


@pytest.mark.parametrize(
    "name, size, expected",
    [
        ("lenet", 28, 170_988),
        ("lenet", 224, 18_673_388),
        ("alexnet", 224, 46_764_746),
        ("vgg", 224, 128_990_666),
        ("nin", 224, 1_992_166),
        ("googlenet", 224, 6_059_450),
        ("googlenet_as_printed", 224, 2_829_754),
        ("resnet", 224, 11_193_610),
    ],
)
def test_exact_parameter_count(name, size, expected):
    assert count(get_model(name), (1, 1, size, size)) == expected


VGG_11 = ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))  # configuration A of Table 1


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ({}, 132_863_336),  # 132.9 M in the paper; torchvision's vgg11
        ({"batch_norm": True}, 132_868_840),  # torchvision's vgg11_bn
        # vgg11's dense layers, 25,088 x 4096, 4096 x 4096 and 4096 x 1000 with biases, have 123,642,856
        ({"hidden": 512}, 132_863_336 - 123_642_856 + 25_089 * 512 + 513 * 512 + 513 * 1000),
    ],
)
def test_vgg11_of_the_paper_by_hand(arguments, expected):
    net = get_model("vgg", architecture=VGG_11, num_classes=1000, **arguments)
    assert count(net, (1, 3, 224, 224)) == expected


def test_batch_norm_is_between_each_convolution_of_vgg_and_its_relu():
    net = get_model("vgg", architecture=((2, 8), (1, 16)), batch_norm=True)
    block = ["Conv2D", "BatchNorm", "Activation"]
    assert [[type(c).__name__ for c in b] for b in net[0]] == [[*block, *block, "MaxPool2D"], [*block, "MaxPool2D"]]


def leaves(block):
    """The layers in order, described as in LAYERS."""
    children = [c for c in block._children.values() if not isinstance(c, nn.Activation)]
    if children:
        return [line for child in children for line in leaves(child)]
    kw = getattr(block, "_kwargs", {})
    kind = type(block).__name__
    if kind == "Conv2D":
        (k, _), (s, _), (p, _) = kw["kernel"], kw["stride"], kw["pad"]
        activation = f" {block.act._act_type}" if block.act else ""
        return [f"conv {kw['num_filter']}@{k}/{s} p{p}{activation}"]
    if kind in ("MaxPool2D", "AvgPool2D"):
        return [f"{kw['pool_type']} {kw['kernel'][0]}/{kw['stride'][0]} p{kw['pad'][0]} {kw['pooling_convention']}"]
    if kind == "Dense":
        return [f"dense {block._units}" + (f" {block.act._act_type}" if block.act else "")]
    if kind == "Dropout":
        return [f"dropout {block._rate}"]
    return [kind]


MAX_3_2 = "max 3/2 p0 valid"
CLASSIFIER_4096 = ["Flatten", "dense 4096 relu", "dropout 0.5", "dense 4096 relu", "dropout 0.5", "dense 10"]


def mlpconv(channels, kernel, padding, stride=1):
    first = f"conv {channels}@{kernel}/{stride} p{padding} relu"
    return [first, f"conv {channels}@1/1 p0 relu", f"conv {channels}@1/1 p0 relu"]


def inception(n1_1, n2_1, n2_3, n3_1, n3_5, n4_1):
    return [
        f"conv {n1_1}@1/1 p0 relu",
        f"conv {n2_1}@1/1 p0 relu",
        f"conv {n2_3}@3/1 p1 relu",
        f"conv {n3_1}@1/1 p0 relu",
        f"conv {n3_5}@5/1 p2 relu",
        "max 3/1 p1 valid",
        f"conv {n4_1}@1/1 p0 relu",
    ]


def residual(channels, halving=False):
    stride = 2 if halving else 1
    lines = [f"conv {channels}@3/{stride} p1", "BatchNorm", f"conv {channels}@3/1 p1", "BatchNorm"]
    return lines + ([f"conv {channels}@1/2 p0"] if halving else [])


def vgg_blocks(*rows):
    return [line for convs, ch in rows for line in [f"conv {ch}@3/1 p1 relu"] * convs + ["max 2/2 p0 valid"]]


LAYERS = {
    "lenet": [
        "conv 20@5/1 p0 relu",
        "max 2/2 p0 valid",
        "conv 50@3/1 p0 relu",
        "max 2/2 p0 valid",
        "Flatten",
        "dense 128 relu",
        "dense 10",
    ],
    "alexnet": [
        "conv 96@11/4 p0 relu",
        MAX_3_2,
        "conv 256@5/1 p2 relu",
        MAX_3_2,
        "conv 384@3/1 p1 relu",
        "conv 384@3/1 p1 relu",
        "conv 256@3/1 p1 relu",
        MAX_3_2,
        *CLASSIFIER_4096,
    ],
    "vgg": [*vgg_blocks((2, 64), (2, 128), (2, 256), (2, 512), (2, 512)), *CLASSIFIER_4096],
    "nin": [
        *mlpconv(96, 11, 0, stride=4),
        MAX_3_2,
        *mlpconv(256, 5, 2),
        MAX_3_2,
        *mlpconv(384, 3, 1),
        MAX_3_2,
        "dropout 0.5",
        *mlpconv(10, 3, 1),
        "GlobalAvgPool2D",
        "Flatten",
    ],
    "googlenet": [
        "conv 64@7/2 p3 relu",
        MAX_3_2,
        "conv 64@1/1 p0",
        "conv 192@3/1 p1",
        MAX_3_2,
        *inception(64, 96, 128, 16, 32, 32),
        *inception(128, 128, 192, 32, 96, 64),
        MAX_3_2,
        *inception(192, 96, 208, 16, 48, 64),
        *inception(160, 112, 224, 24, 64, 64),
        *inception(128, 128, 256, 24, 64, 64),
        *inception(112, 144, 288, 32, 64, 64),
        *inception(256, 160, 320, 32, 128, 128),
        MAX_3_2,
        *inception(256, 160, 320, 32, 128, 128),
        *inception(384, 192, 384, 48, 128, 128),
        "avg 2/2 p0 valid",
        "Flatten",
        "dense 10",
    ],
    "resnet": [
        "conv 64@7/2 p0",
        MAX_3_2,
        *residual(64),
        *residual(64),
        *residual(128, halving=True),
        *residual(128),
        *residual(256, halving=True),
        *residual(256),
        *residual(512, halving=True),
        *residual(512),
        "avg 3/3 p0 valid",
        "dense 10",
    ],
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer_by_layer(name):
    assert leaves(get_model(name)) == LAYERS[name]


def test_as_printed_has_kernel_1_in_every_path():
    lines = leaves(get_model("googlenet_as_printed"))
    assert [line for line in lines if "@3" in line or "@5" in line] == ["conv 192@3/1 p1"]
    assert len(lines) == len(LAYERS["googlenet"])


@pytest.mark.parametrize(
    "name, shapes",
    [
        ("lenet", [(20, 220, 220), (20, 110, 110), (50, 108, 108), (50, 54, 54), (145_800,), (128,), (10,)]),
        ("vgg", [(512, 7, 7), (25_088,), (4096,), (4096,), (4096,), (4096,), (10,)]),
        ("nin", [(96, 26, 26), (256, 12, 12), (384, 5, 5), (384, 5, 5), (10, 5, 5), (10, 1, 1), (10,)]),
        ("googlenet", [(64, 55, 55), (192, 27, 27), (480, 13, 13), (832, 6, 6), (1024, 3, 3), (10,)]),
        ("resnet", [(64, 109, 109), (64, 54, 54), (128, 27, 27), (256, 14, 14), (512, 7, 7), (10,)]),
    ],
)
def test_verbose_prints_the_shape_after_each_block(name, shapes, capsys):
    net = built(name, 224, init.Zero())
    net.verbose = True
    net(nd.zeros((1, 1, 224, 224)))
    printed = capsys.readouterr().out.splitlines()
    assert printed == [f"Block {i + 1} output: {(1, *shape)}" for i, shape in enumerate(shapes)]


def test_alexnet_shapes_after_each_pool():
    net, x, pooled = built("alexnet", 224, init.Zero()), nd.zeros((1, 1, 224, 224)), []
    for layer in net:
        x = layer(x)
        if isinstance(layer, nn.MaxPool2D):
            pooled.append(x.shape[1:])
    assert pooled == [(96, 26, 26), (256, 12, 12), (256, 5, 5)]


@pytest.mark.parametrize("name", NETWORKS)
def test_smallest_size_is_the_smallest_that_mxnet_takes(name):
    smallest = SMALLEST[name]
    net = get_model(name)
    assert net.smallest_size == smallest
    net.initialize()
    assert net(nd.zeros((1, 1, smallest, smallest))).shape == (1, 10)
    unchecked = get_model(name)
    unchecked.check_input = lambda shape: None
    unchecked.initialize()
    with pytest.raises(mx.MXNetError):
        unchecked(nd.zeros((1, 1, smallest - 1, smallest - 1))).asnumpy()


@pytest.mark.parametrize("hybridize", [False, True])
def test_too_small_an_image_is_refused_by_name(hybridize):
    net = get_model("alexnet")
    net.initialize()
    if hybridize:
        net.hybridize()
    with pytest.raises(ValueError, match="AlexNet takes images of 67x67 or larger, not 28x28"):
        net(nd.zeros((1, 1, 28, 28)))
    with pytest.raises(ValueError, match=r"these look like \(N, H, W, C\)"):
        net(nd.zeros((2, 28, 28, 1)))
    with pytest.raises(ValueError, match=r"\(N, C, H, W\), not an array of shape \(28, 28\)"):
        net(nd.zeros((28, 28)))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_gets_a_finite_nonzero_gradient(name):
    net = built(name, SMALLEST[name])
    x = nd.random.uniform(shape=(8, 1, SMALLEST[name], SMALLEST[name]))
    with autograd.record():
        loss = gluon.loss.SoftmaxCrossEntropyLoss()(net(x), nd.arange(8))
    loss.backward()
    for parameter in trainable(net):
        gradient = parameter.grad().asnumpy()
        assert np.isfinite(gradient).all(), parameter.name
        assert gradient.any() or bias_before_batch_norm(name, parameter), parameter.name


def bias_before_batch_norm(name, parameter):
    # batch norm subtracts the mean, so this gradient is zero up to rounding and may be exactly zero
    return name == "resnet" and parameter.name.endswith("bias")


@pytest.mark.parametrize("name", NETWORKS)
def test_hybrid_equals_imperative_and_exported(name, tmp_path):
    size = SMALLEST[name]
    net = built(name, size)
    x = nd.random.uniform(shape=(3, 1, size, size))
    imperative = net(x).asnumpy()
    spread = imperative.std()
    net.hybridize(static_alloc=True, static_shape=True)
    assert np.abs(net(x).asnumpy() - imperative).max() < 1e-5 * spread
    net.export(str(tmp_path / name))
    loaded = gluon.SymbolBlock.imports(
        str(tmp_path / f"{name}-symbol.json"), ["data"], str(tmp_path / f"{name}-0000.params")
    )
    assert np.abs(loaded(x).asnumpy() - imperative).max() < 1e-5 * spread


@pytest.mark.parametrize("name", NETWORKS)
def test_num_classes(name):
    size = SMALLEST[name]
    assert built(name, size, init.Zero(), num_classes=3)(nd.zeros((2, 1, size, size))).shape == (2, 3)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "googlenet_as_printed" else ()) for name in NETWORKS]
)
def test_memorizes_32_images(name):
    # NiN has a ReLU after its last convolution: a class whose channel is always zero there cannot be learned
    wanted = 28 if name == "nin" else 32
    size = max(28, SMALLEST[name])
    train, _ = load_dataset("fashion-mnist-sample")
    x = nd.image.resize(nd.array(train.images[:32], dtype="uint8"), size=size)
    x = x.transpose((0, 3, 1, 2)).astype("float32") / 255
    y = nd.array(train.labels[:32])
    net = built(name, size, init.Xavier("gaussian", "in", 2), seed=1)
    net.hybridize(static_alloc=True)
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 3e-4})
    for step in range(300):
        with autograd.record():
            each = loss(net(x), y)
        each.backward()
        trainer.step(32)
        if step % 5 == 4 and (net(x).argmax(axis=1) == y).sum().asscalar() >= wanted:
            return
    pytest.fail(f"{name} did not learn 32 images in {step + 1} steps; loss {each.mean().asscalar():.3f}")


def test_net_can_be_sliced():
    net = built("lenet", 28)
    assert net[:4](nd.zeros((1, 1, 28, 28))).shape == (1, 50, 5, 5)
    assert isinstance(net[0], nn.Conv2D)
    assert count(net[:4], (1, 1, 28, 28)) == (20 * 5 * 5 + 20) + (50 * 20 * 3 * 3 + 50)
