"""VGG (Simonyan and Zisserman 2014): the tutorial's, the paper's networks, and one for COIL-20.

vgg, the tutorial's network
    input            1 x 224 x 224
    2 conv  64@3    64 x 112 x 112    ReLU after each convolution, max pool 2/2 after each block
    2 conv 128@3   128 x  56 x  56
    2 conv 256@3   256 x  28 x  28
    2 conv 512@3   512 x  14 x  14
    2 conv 512@3   512 x   7 x   7
    dense 4096, ReLU, dropout 0.5, twice; dense 10
    parameters         128,990,666

This is configuration B of the paper's Table 1 (VGG-13) for 1 channel and 10 classes, without other departures.
``VGGNet(architecture)`` builds any other; the book that grew out of the tutorial trains configuration A (VGG-11) at a
quarter of its width. Options: batch norm after each convolution, and the width `hidden` of the first two dense layers.

vgg11 to vgg19, columns A, B, D and E of the paper's Table 1: 3 channels, 1000 classes
    parameters          vgg11          vgg13          vgg16          vgg19
              132,863,336    133,047,848    138,357,544    143,667,240
    with _bn  132,868,840    133,053,736    138,365,992    143,678,248

Weight names are those of torchvision's vgg. Departures from the paper, both made by torchvision: an adaptive average
pool to 7x7 before the dense layers, which allows other input sizes and does nothing at 224x224; batch norm in the _bn
networks, which is more recent than the paper.

coil20_vgg16, from BeiCunNan's Image_Classfiation_Coil20 (2022): column D with batch norm
    input              1 x 128 x 128
    2 conv  64@3      64 x 128 x 128    batch norm and ReLU after each 3x3 convolution
    conv    64@17     64 x 112 x 112    instead of the first pool; no batch norm, no ReLU
    2 conv 128@3     128 x  56 x  56    max pool 2/2 after this block and the next three
    3 conv 256@3     256 x  28 x  28
    3 conv 512@3     512 x  14 x  14
    3 conv 512@3     512 x   7 x   7
    dropout 0.5; dense 4096, 4096, 1000, ReLU after each; dense 256; dense 20
    parameters           139,810,044

The 17x17 convolution, half of all multiply-accumulates, takes 128x128 to the paper's 112x112. No departures from that
project, which has no ReLU between the last two dense layers: together they equal one layer of rank at most 256.
"""

from gluon_classics.models.layers import Network, SequentialNetwork
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn

# (convolutions, channels) of each block
VGG_13 = ((2, 64), (2, 128), (2, 256), (2, 512), (2, 512))
VGG_11_QUARTER_WIDTH = ((1, 16), (1, 32), (2, 64), (2, 128), (2, 128))


def vgg_block(num_convs, channels, batch_norm=False):
    block = nn.HybridSequential()
    for _ in range(num_convs):
        if batch_norm:
            block.add(*convolutions([channels], batch_norm=True))
        else:
            block.add(nn.Conv2D(channels=channels, kernel_size=3, padding=1, activation="relu"))
    block.add(nn.MaxPool2D(pool_size=2, strides=2))
    return block


def vgg_stack(architecture, batch_norm=False):
    stack = nn.HybridSequential()
    for num_convs, channels in architecture:
        stack.add(vgg_block(num_convs, channels, batch_norm))
    return stack


@register_model("vgg", input_shape=(1, 224, 224), paper="Simonyan and Zisserman", year=2014)
class VGGNet(SequentialNetwork):
    def __init__(self, architecture=VGG_13, num_classes=10, batch_norm=False, hidden=4096, **kwargs):
        super().__init__(**kwargs)
        self.smallest_size = 2 ** len(architecture)  # each block's pool halves
        with self.name_scope():
            self.add(
                vgg_stack(architecture, batch_norm),
                nn.Flatten(),
                nn.Dense(hidden, activation="relu"),
                nn.Dropout(0.5),
                nn.Dense(hidden, activation="relu"),
                nn.Dropout(0.5),
                nn.Dense(num_classes),
            )


# Table 1 of the paper, columns A, B, D and E: channels of each block's 3x3 convolutions; each block ends in a max pool
CONFIGURATIONS = {
    "A": ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    "B": ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    "D": ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
    "E": ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512)),
}


def convolutions(block, batch_norm):
    layers = []
    for channels in block:
        layers.append(nn.Conv2D(channels, kernel_size=3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm())
        layers.append(nn.Activation("relu"))
    return layers


class VGG(Network):
    """A configuration of the paper's Table 1, optionally with batch norm after each convolution."""

    smallest_size = 32

    def __init__(self, configuration, batch_norm=False, num_classes=1000, in_channels=3, **kwargs):
        super().__init__(in_channels, **kwargs)
        with self.name_scope():
            self.features = nn.HybridSequential()
            for block in CONFIGURATIONS[configuration]:
                self.features.add(*convolutions(block, batch_norm), nn.MaxPool2D(pool_size=2, strides=2))
            self.classifier = nn.HybridSequential()
            self.classifier.add(
                nn.Dense(4096),
                nn.Activation("relu"),
                nn.Dropout(0.5),
                nn.Dense(4096),
                nn.Activation("relu"),
                nn.Dropout(0.5),
                nn.Dense(num_classes),
            )

    def hybrid_forward(self, F, x):
        x = self.features(x)
        x = F.contrib.AdaptiveAvgPooling2D(x, output_size=(7, 7))
        return self.classifier(x)


PAPER = {"paper": "Simonyan and Zisserman", "year": 2014, "input_shape": (3, 224, 224)}


@register_model("vgg11", **PAPER)
def vgg11(**kwargs):
    return VGG("A", **kwargs)


@register_model("vgg13", **PAPER)
def vgg13(**kwargs):
    return VGG("B", **kwargs)


@register_model("vgg16", **PAPER)
def vgg16(**kwargs):
    return VGG("D", **kwargs)


@register_model("vgg19", **PAPER)
def vgg19(**kwargs):
    return VGG("E", **kwargs)


@register_model("vgg11_bn", **PAPER)
def vgg11_bn(**kwargs):
    return VGG("A", batch_norm=True, **kwargs)


@register_model("vgg13_bn", **PAPER)
def vgg13_bn(**kwargs):
    return VGG("B", batch_norm=True, **kwargs)


@register_model("vgg16_bn", **PAPER)
def vgg16_bn(**kwargs):
    return VGG("D", batch_norm=True, **kwargs)


@register_model("vgg19_bn", **PAPER)
def vgg19_bn(**kwargs):
    return VGG("E", batch_norm=True, **kwargs)


@register_model("coil20_vgg16", input_shape=(1, 128, 128), paper="COIL-20 project", year=2022)
class Coil20VGG16(Network):
    smallest_size = 32

    def __init__(self, num_classes=20, in_channels=1, **kwargs):
        super().__init__(in_channels, **kwargs)
        first_block, *blocks = CONFIGURATIONS["D"]
        with self.name_scope():
            self.features = nn.HybridSequential()
            self.features.add(*convolutions(first_block, batch_norm=True), nn.Conv2D(64, kernel_size=17))
            for block in blocks:
                self.features.add(*convolutions(block, batch_norm=True), nn.MaxPool2D(pool_size=2, strides=2))
            self.classifier = nn.HybridSequential()
            self.classifier.add(
                nn.Flatten(),
                nn.Dropout(0.5),
                nn.Dense(4096, activation="relu"),
                nn.Dense(4096, activation="relu"),
                nn.Dense(1000, activation="relu"),
                nn.Dense(256),
                nn.Dense(num_classes),
            )

    def hybrid_forward(self, F, x):
        return self.classifier(self.features(x))
