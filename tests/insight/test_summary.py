"""The layer table, compared with hand calculations, torchvision's published GMACs and published receptive fields."""

from gluon_classics.insight import layer_table, stage_table, summarize
from gluon_classics.models import get_model, list_models, model_info

import numpy as np
import pytest
from mxnet import nd
from mxnet.gluon import nn


def summary_of(name, size=None, **kwargs):
    channels, height, width = model_info(name).input_shape
    shape = (channels, size or height, size or width)
    return summarize(get_model(name, **kwargs), shape)


def rows(summary, *columns):
    """The chosen columns of the stages with weights."""
    return [tuple(getattr(stage, column) for column in columns) for stage in summary.stages if stage.parameters]


def field(stage):
    return stage.receptive_field and stage.receptive_field[0]


def test_tutorials_lenet_by_hand():
    summary = summary_of("lenet")
    assert [(s.name, s.kind, s.output_shape, s.parameters, s.macs, field(s)) for s in summary.stages] == [
        ("0", "conv", (20, 24, 24), 20 * (25 + 1), 20 * 25 * 24 * 24, 5),
        ("1", "max pool", (20, 12, 12), 0, 0, 5 + 1),
        ("2", "conv", (50, 10, 10), 50 * (20 * 9 + 1), 50 * 20 * 9 * 10 * 10, 6 + 2 * 2),
        ("3", "max pool", (50, 5, 5), 0, 0, 10 + 2),
        ("5", "dense", (128,), 128 * (1250 + 1), 128 * 1250, None),
        ("6", "dense", (10,), 10 * (128 + 1), 10 * 128, None),
    ]
    assert (summary.parameters, summary.macs) == (170_988, 1_349_280)
    assert [layer.name for layer in summary.layers if layer.name[0] in "45"] == ["4", "5", "5.act"]


def test_lenet5_matches_the_paper():
    summary = summary_of("lenet5")
    assert [stage.parameters for stage in summary.stages] == [156, 0, 2_416, 0, 48_120, 10_164, 850]
    assert [stage.output_shape for stage in summary.stages] == [
        (6, 28, 28),
        (6, 14, 14),
        (16, 10, 10),
        (16, 5, 5),
        (120, 1, 1),
        (84,),
        (10,),
    ]
    # connections without the biases: 25 x 784 x 6, 25 x 6 x 100 x 16, 25 x 16 x 120, 120 x 84, 84 x 10
    assert [stage.macs for stage in summary.stages] == [117_600, 0, 240_000, 0, 48_000, 10_080, 840]
    assert [field(stage) for stage in summary.stages] == [5, 6, 14, 16, 32, None, None]


def test_lenet5_1998_has_the_paper_s_connections_without_biases():
    summary = summary_of("lenet5_1998")
    assert [stage.name for stage in summary.stages] == ["c1", "s2", "c3", "s4", "c5", "f6", "output"]
    assert [stage.parameters for stage in summary.stages] == [156, 12, 1_516, 32, 48_120, 10_164, 0]
    macs = {stage.name: stage.macs for stage in summary.stages}
    # S2 and S4 add their inputs without multiplying them
    assert (macs["c1"], macs["c3"], macs["c5"], macs["f6"], macs["output"]) == (117_600, 150_000, 48_000, 10_080, 840)
    assert [field(stage) for stage in summary.stages] == [5, 6, 14, 16, 32, None, None]


def test_vgg16_matches_the_paper():
    summary = summary_of("vgg16")
    assert [parameters for (parameters,) in rows(summary, "parameters")] == [
        1_792,
        36_928,
        73_856,
        147_584,
        295_168,
        590_080,
        590_080,
        1_180_160,
        2_359_808,
        2_359_808,
        2_359_808,
        2_359_808,
        2_359_808,
        102_764_544,
        16_781_312,
        4_097_000,
    ]
    assert (summary.parameters, summary.macs) == (138_357_544, 15_470_264_320)
    pools = [stage for stage in summary.stages if stage.kind == "max pool"]
    assert [field(stage) for stage in pools] == [6, 16, 44, 100, 212]
    assert [stage.output_shape for stage in pools] == [
        (64, 112, 112),
        (128, 56, 56),
        (256, 28, 28),
        (512, 14, 14),
        (512, 7, 7),
    ]
    first = summary.stages[0]
    assert (first.name, first.kind, first.macs) == ("features.0", "conv", 64 * 27 * 224 * 224)
    assert [(layer.name, layer.kind) for layer in first.layers] == [("features.0", "conv"), ("features.1", "relu")]


def test_batch_norm_is_part_of_its_convolutions_stage():
    first = summary_of("vgg16_bn").stages[0]
    assert [layer.kind for layer in first.layers] == ["conv", "batch norm", "relu"]
    assert first.parameters == 1_792 + 2 * 64  # gamma and beta; the running statistics are not trained


def test_alexnet_of_the_paper():
    summary = summary_of("alexnet_paper")
    # conv 2, 4 and 5 have two groups; the receptive fields are those of TF-Slim's alexnet_v2
    assert rows(summary, "output_shape", "parameters", "macs", "receptive_field") == [
        ((96, 55, 55), 34_944, 105_415_200, (11, 11)),
        ((256, 27, 27), 307_456, 223_948_800, (51, 51)),
        ((384, 13, 13), 885_120, 149_520_384, (99, 99)),
        ((384, 13, 13), 663_936, 112_140_288, (131, 131)),
        ((256, 13, 13), 442_624, 74_760_192, (163, 163)),
        ((4096,), 37_752_832, 37_748_736, None),
        ((4096,), 16_781_312, 16_777_216, None),
        ((1000,), 4_097_000, 4_096_000, None),
    ]
    assert [field(stage) for stage in summary.stages if stage.kind == "max pool"] == [19, 67, 195]
    convolutions = [layer for layer in summary.layers if layer.kind == "conv"]
    assert [layer.groups for layer in convolutions] == [1, 2, 1, 2, 2]
    assert (convolutions[0].kernel, convolutions[0].stride, convolutions[1].padding) == ((11, 11), (4, 4), (2, 2))


def test_resnet50_matches_the_paper():
    summary = summary_of("resnet50")
    assert [(s.name, s.kind, s.output_shape) for s in summary.stages] == [
        ("conv1", "conv", (64, 112, 112)),
        ("maxpool", "max pool", (64, 56, 56)),
        ("layer1", "3 x Bottleneck", (256, 56, 56)),
        ("layer2", "4 x Bottleneck", (512, 28, 28)),
        ("layer3", "6 x Bottleneck", (1024, 14, 14)),
        ("layer4", "3 x Bottleneck", (2048, 7, 7)),
        ("avgpool", "global average pool", (2048, 1, 1)),
        ("fc", "dense", (1000,)),
    ]
    # with the stride in the 3x3: 11 + 3 x 8, + 8 + 3 x 16, + 16 + 5 x 32, + 32 + 2 x 64
    assert [field(stage) for stage in summary.stages] == [7, 11, 35, 91, 267, 427, None, None]
    names = [layer.name for layer in summary.layers]
    assert "layer1.0.conv1" in names and "layer4.2.bn3" in names


# Last feature map, from google-research/receptive_field, whose ResNets place the strides differently
@pytest.mark.parametrize(
    "name, published",
    [
        ("alexnet_paper", 195),
        ("vgg16", 212),
        ("inception_v3", 1311),
        ("inception_v4", 2071),
        ("inception_resnet_v2", 3039),
    ],
)
def test_published_receptive_field(name, published):
    last = [layer.receptive_field for layer in summary_of(name).layers if layer.receptive_field][-1]
    assert last == (published, published)


def test_receptive_field_of_a_kernel_that_is_not_square():
    layers = {layer.name: layer for layer in summary_of("inception_v3").layers}
    before, wide = layers["Mixed_6b.branch7x7_1.conv"], layers["Mixed_6b.branch7x7_2.conv"]
    assert (wide.kernel, wide.padding) == ((1, 7), (0, 3))
    assert wide.receptive_field == (159, 159 + 6 * 16) and before.receptive_field == (159, 159)


def test_dilation_and_strides_by_hand():
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3, strides=2), nn.Conv2D(4, 3, dilation=3), nn.AvgPool2D(2), nn.Conv2D(8, 1, groups=2))
    summary = summarize(net, (3, 33, 33))
    assert [layer.output_shape for layer in summary.layers] == [(4, 16, 16), (4, 10, 10), (4, 5, 5), (8, 5, 5)]
    assert [layer.receptive_field for layer in summary.layers] == [(3, 3), (15, 15), (17, 17), (17, 17)]
    assert [layer.macs for layer in summary.layers] == [4 * 27 * 256, 4 * 36 * 100, 0, 8 * 2 * 25]
    assert "3x3 dilation 3" in stage_table(summary)
    assert "1x1 groups 2" in stage_table(summary)


def test_squeeze_and_excitation_does_not_change_the_receptive_field():
    stages = {stage.name: stage for stage in summary_of("efficientnet_b0").stages}
    # 3x3/2, then one depthwise kernel a block: 3 at jump 2; 3 at 2, 3 at 4; 5 at 4, 5 at 8
    assert [field(stages[f"features.{i}"]) for i in range(4)] == [3, 7, 7 + 4 + 8, 19 + 16 + 32]
    assert stages["features.2"].kind == "2 x MBConv"


# GMACs ("_ops") of torchvision 0.28's weights, at the size of the weights
TORCHVISION = {
    "alexnet_owt": 0.714,
    "vgg11": 7.609,
    "vgg11_bn": 7.609,
    "vgg13": 11.308,
    "vgg13_bn": 11.308,
    "vgg16": 15.47,
    "vgg16_bn": 15.47,
    "vgg19": 19.632,
    "vgg19_bn": 19.632,
    "inception_v1_bn": 1.498,
    "inception_v3": 5.713,
    "resnet18": 1.814,
    "resnet34": 3.664,
    "resnet50": 4.089,
    "resnet101": 7.801,
    "resnet152": 11.514,
    "resnext50_32x4d": 4.23,
    "efficientnet_b0": 0.386,
    "efficientnet_b1": 0.687,
    "efficientnet_b2": 1.088,
    "efficientnet_b3": 1.827,
    "efficientnet_b4": 4.394,
    "efficientnet_b5": 10.266,
    "efficientnet_b6": 19.068,
    "efficientnet_b7": 37.746,
}
SIZES = {"efficientnet_b2": 288}  # weights for another size than the paper's


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_published_gmacs(name):
    assert round(summary_of(name, SIZES.get(name)).macs / 1e9, 3) == TORCHVISION[name]


@pytest.mark.parametrize("name", list_models())
def test_every_network(name):
    summary = summary_of(name)
    net = get_model(name)
    net.infer_shape(nd.zeros((1, *summary.input_shape)))
    trainable = [p for p in net.collect_params().values() if p.grad_req != "null"]
    assert summary.parameters == sum(int(np.prod(p.shape)) for p in trainable)
    assert sum(stage.parameters for stage in summary.stages) == summary.parameters
    assert sum(stage.macs for stage in summary.stages) == summary.macs
    assert sum(len(stage.layers) for stage in summary.stages) == len(summary.layers)


@pytest.mark.parametrize("name, parameters", [("inception_v1_bn", 13_004_888), ("inception_v3", 27_161_264)])
def test_auxiliary_heads_count(name, parameters):
    plain, aux = summary_of(name), summary_of(name, aux=True)
    assert aux.parameters == parameters
    assert aux.macs > plain.macs
    assert aux.stages[: len(plain.stages)] == plain.stages
    assert aux.stages[-1].output_shape == (1000,)


def test_shared_weights_are_counted_once():
    first = nn.Dense(4, flatten=False)
    second = nn.Dense(4, flatten=False, params=first.params)
    net = nn.HybridSequential()
    net.add(first, second)
    summary = summarize(net, (1, 2, 4))
    assert [layer.parameters for layer in summary.layers] == [20, 0]
    assert [layer.macs for layer in summary.layers] == [2 * 4 * 4, 2 * 4 * 4]


def test_the_network_is_not_changed():
    net = get_model("resnet18")
    before = {name: p.shape for name, p in net.collect_params().items()}
    first = summarize(net, (3, 224, 224))
    assert {name: p.shape for name, p in net.collect_params().items()} == before
    assert all(p._data is None and not p._deferred_init for p in net.collect_params().values())
    net.initialize()
    assert net(nd.zeros((1, 3, 64, 64))).shape == (1, 1000)
    net.hybridize()
    assert net(nd.zeros((1, 3, 64, 64))).shape == (1, 1000)
    assert summarize(net, (3, 224, 224)) == first == summary_of("resnet18")


def test_images_of_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match="VGG takes images of 32x32 or larger, not 31x31"):
        summarize(get_model("vgg16"), (3, 31, 31))
    with pytest.raises(ValueError, match="channels"):
        summarize(get_model("vgg16"), (1, 64, 64))
    with pytest.raises(ValueError, match=r"Conv2D does not take images of shape \(3, 4, 4\): .*kernel size exceed"):
        summarize(nn.Conv2D(8, 5), (3, 4, 4))


def test_tables():
    summary = summary_of("lenet")
    assert stage_table(summary).splitlines() == [
        "name  kind        output  kernel/stride  parameters     MACs  receptive field",
        "0     conv      20x24x24  5x5                   520  288,000              5x5",
        "1     max pool  20x12x12  2x2/2                   0        0              6x6",
        "2     conv      50x10x10  3x3                 9,050  900,000            10x10",
        "3     max pool    50x5x5  2x2/2                   0        0            12x12",
        "5     dense          128                    160,128  160,000      whole image",
        "6     dense           10                      1,290    1,280      whole image",
        "Total: 170,988 trainable parameters, 1,349,280 MACs "
        "(of convolutions and dense layers; FLOPs are twice as many)",
    ]
    assert len(layer_table(summary).splitlines()) == 1 + len(summary.layers) + 1
