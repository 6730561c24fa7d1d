"""EfficientNet (Tan and Le 2019): efficientnet_b0, its scaled-up versions b1 to b7, and one for COIL-20.

    efficientnet_b0                    3 x 224 x 224
    features.0 conv 3x3/2             32 x 112 x 112
    features.1 MBConv1, 3x3           16 x 112 x 112
    features.2 MBConv6, 3x3/2, x 2    24 x  56 x  56
    features.3 MBConv6, 5x5/2, x 2    40 x  28 x  28
    features.4 MBConv6, 3x3/2, x 3    80 x  14 x  14
    features.5 MBConv6, 5x5, x 3     112 x  14 x  14
    features.6 MBConv6, 5x5/2, x 4   192 x   7 x   7
    features.7 MBConv6, 3x3          320 x   7 x   7
    features.8 conv 1x1             1280 x   7 x   7
    global average, dropout, dense 1000

          input     parameters
    b0      224      5,288,548
    b1      240      7,794,184
    b2      260      9,109,994
    b3      300     12,233,232
    b4      380     19,341,616
    b5      456     30,389,784
    b6      528     43,040,704
    b7      600     66,347,960

b7 has twice the channels of b0, in multiples of 8, and 3.1 times the layers, rounded up.

During training each image skips residual branches at random (stochastic depth), with probability 0.2 x index of the
block / number of blocks. Stochastic depth and dropout are operators of the graph.

Weight names are those of torchvision's efficientnet. Departures from the paper and its TensorFlow code, all made by
torchvision: padding is symmetric, while TensorFlow's "same" adds the odd pixel at the bottom and right; batch norm in
b0 to b4 has PyTorch's epsilon of 1e-5 and momentum of 0.9 instead of 1e-3 and 0.99, which b5 to b7 keep.

coil20_efficientnet, efficientnet_b0 for 1 channel and 20 classes
    input                              1 x 128 x 128
    features.0 conv 3x3/2             32 x  64 x  64
    features.1                        16 x  64 x  64
    features.2                        24 x  32 x  32
    features.3                        40 x  16 x  16
    features.4, 5                    112 x   8 x   8
    features.6, 7                    320 x   4 x   4
    features.8 conv 1x1             1280 x   4 x   4
    global average, dropout 0.2, dense 20
    parameters                             4,032,592

BeiCunNan's Image_Classfiation_Coil20 (2022) announces this network but leaves it empty, so its reference is
efficientnet_b0. No departures from it. The first convolution keeps its stride of 2: with stride 1, or with the 17x17
convolution that takes that project's other networks from 128x128 to 112x112, a training step takes about four times as
long, and 4x4 pixels are enough for a single object that fills its image.
"""

from math import ceil

from gluon_classics.models.layers import Network
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn

# Table 1 of the paper, stages 2 to 8: MBConv's expansion, kernel, stride, channels, layers.
# The paper gives each stage's input resolution instead of its stride.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)

# Compound scaling as in the authors' code: width, depth, resolution, dropout
SCALING = {
    "b0": (1.0, 1.0, 224, 0.2),
    "b1": (1.0, 1.1, 240, 0.2),
    "b2": (1.1, 1.2, 260, 0.3),
    "b3": (1.2, 1.4, 300, 0.3),
    "b4": (1.4, 1.8, 380, 0.4),
    "b5": (1.6, 2.2, 456, 0.4),
    "b6": (1.8, 2.6, 528, 0.5),
    "b7": (2.0, 3.1, 600, 0.5),
}

BATCH_NORM = {"epsilon": 1e-5, "momentum": 0.9}
BATCH_NORM_B5_TO_B7 = {"epsilon": 1e-3, "momentum": 0.99}


def widened(channels, width):
    """Return channels x width, rounded to a multiple of 8 but never down by more than 10 %."""
    exact = channels * width
    rounded = int(exact + 4) // 8 * 8
    return rounded if rounded >= 0.9 * exact else rounded + 8


def swish(F, x):
    return x * F.Activation(x, act_type="sigmoid")  # on a CPU, oneDNN's, far faster than F.sigmoid


class Swish(nn.HybridBlock):
    def hybrid_forward(self, F, x):
        return swish(F, x)


def conv_bn(batch_norm, channels, kernel=1, stride=1, groups=1):
    layers = nn.HybridSequential()
    layers.add(
        nn.Conv2D(channels, kernel, strides=stride, padding=kernel // 2, groups=groups, use_bias=False),
        nn.BatchNorm(**batch_norm),
    )
    return layers


def conv_bn_swish(*args, **kwargs):
    layers = conv_bn(*args, **kwargs)
    layers.add(Swish())
    return layers


class SqueezeExcite(nn.HybridBlock):
    """Scale each channel by a factor between 0 and 1, which two dense layers compute from all channel means."""

    def __init__(self, channels, squeezed, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.avgpool = nn.GlobalAvgPool2D()
            self.fc1 = nn.Conv2D(squeezed, kernel_size=1)
            self.fc2 = nn.Conv2D(channels, kernel_size=1)

    def hybrid_forward(self, F, x):
        scale = swish(F, self.fc1(self.avgpool(x)))
        scale = F.Activation(self.fc2(scale), act_type="sigmoid")
        return F.broadcast_mul(x, scale)


class MBConv(nn.HybridBlock):
    """Inverted residual: 1x1 expansion, depthwise, squeeze-and-excite, 1x1; a shortcut if the shape is unchanged."""

    def __init__(self, in_channels, expansion, kernel, stride, channels, drop, batch_norm, **kwargs):
        super().__init__(**kwargs)
        expanded = expansion * in_channels
        self.shortcut = stride == 1 and in_channels == channels
        with self.name_scope():
            self.block = nn.HybridSequential()
            if expansion > 1:
                self.block.add(conv_bn_swish(batch_norm, expanded))
            self.block.add(
                conv_bn_swish(batch_norm, expanded, kernel, stride, groups=expanded),
                SqueezeExcite(expanded, in_channels // 4),
                conv_bn(batch_norm, channels),
            )
            if self.shortcut:
                self.stochastic_depth = nn.Dropout(drop, axes=(1, 2, 3))

    def hybrid_forward(self, F, x):
        out = self.block(x)
        return self.stochastic_depth(out) + x if self.shortcut else out


class EfficientNet(Network):
    """The network of one row of SCALING."""

    def __init__(self, scaling, batch_norm=BATCH_NORM, num_classes=1000, in_channels=3, **kwargs):
        super().__init__(in_channels, **kwargs)
        width, depth, _, dropout = scaling
        total = sum(ceil(depth * layers) for *_, layers in STAGES)
        index = 0
        before = widened(32, width)
        with self.name_scope():
            self.features = nn.HybridSequential()
            self.features.add(conv_bn_swish(batch_norm, before, kernel=3, stride=2))
            for expansion, kernel, stride, channels, layers in STAGES:
                channels = widened(channels, width)
                stage = nn.HybridSequential()
                for _ in range(ceil(depth * layers)):
                    drop = 0.2 * index / total
                    stage.add(MBConv(before, expansion, kernel, stride, channels, drop, batch_norm))
                    before, stride = channels, 1  # only the first layer of a stage changes the shape
                    index += 1
                self.features.add(stage)
            self.features.add(conv_bn_swish(batch_norm, widened(1280, width)))
            self.avgpool = nn.GlobalAvgPool2D()
            self.classifier = nn.HybridSequential()
            self.classifier.add(nn.Dropout(dropout), nn.Dense(num_classes))

    def hybrid_forward(self, F, x):
        return self.classifier(self.avgpool(self.features(x)))


PAPER = {"paper": "Tan and Le", "year": 2019}


@register_model("efficientnet_b0", **PAPER, input_shape=(3, 224, 224))
def efficientnet_b0(**kwargs):
    return EfficientNet(SCALING["b0"], **kwargs)


@register_model("efficientnet_b1", **PAPER, input_shape=(3, 240, 240))
def efficientnet_b1(**kwargs):
    return EfficientNet(SCALING["b1"], **kwargs)


@register_model("efficientnet_b2", **PAPER, input_shape=(3, 260, 260))
def efficientnet_b2(**kwargs):
    return EfficientNet(SCALING["b2"], **kwargs)


@register_model("efficientnet_b3", **PAPER, input_shape=(3, 300, 300))
def efficientnet_b3(**kwargs):
    return EfficientNet(SCALING["b3"], **kwargs)


@register_model("efficientnet_b4", **PAPER, input_shape=(3, 380, 380))
def efficientnet_b4(**kwargs):
    return EfficientNet(SCALING["b4"], **kwargs)


@register_model("efficientnet_b5", **PAPER, input_shape=(3, 456, 456))
def efficientnet_b5(**kwargs):
    return EfficientNet(SCALING["b5"], BATCH_NORM_B5_TO_B7, **kwargs)


@register_model("efficientnet_b6", **PAPER, input_shape=(3, 528, 528))
def efficientnet_b6(**kwargs):
    return EfficientNet(SCALING["b6"], BATCH_NORM_B5_TO_B7, **kwargs)


@register_model("efficientnet_b7", **PAPER, input_shape=(3, 600, 600))
def efficientnet_b7(**kwargs):
    return EfficientNet(SCALING["b7"], BATCH_NORM_B5_TO_B7, **kwargs)


@register_model("coil20_efficientnet", input_shape=(1, 128, 128), paper="COIL-20 project", year=2022)
def coil20_efficientnet(num_classes=20, in_channels=1, **kwargs):
    return EfficientNet(SCALING["b0"], num_classes=num_classes, in_channels=in_channels, **kwargs)
