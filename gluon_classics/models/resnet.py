"""ResNet (He, Zhang, Ren and Sun 2015): the tutorial's, the paper's ImageNet networks, and one for COIL-20.

resnet, the tutorial's network
    input                           1 x 224 x 224
    b1 conv 64@7/2                 64 x 109 x 109
    b2 max 3/2, two Residuals      64 x  54 x  54
    b3 two Residuals, halving     128 x  27 x  27
    b4 two Residuals, halving     256 x  14 x  14
    b5 two Residuals, halving     512 x   7 x   7
    b6 average pool 3, dense 10    10
    parameters                         11,193,610

Departures from the paper, all made by the tutorial: no padding, batch norm or ReLU at the first convolution, biases in
every convolution, no batch norm on the 1x1 projections, an average pool of 3 instead of global pooling (which leaves
the dense layer 2x2 pixels of a 224x224 image).

resnet18 to resnet152, the columns of the paper's Table 1: 3 channels, 1000 classes
                               resnet18, 34       resnet50, 101, 152
    input                         3 x 224 x 224       3 x 224 x 224
    conv1 64@7/2                 64 x 112 x 112      64 x 112 x 112
    max 3/2                      64 x  56 x  56      64 x  56 x  56
    layer1 (conv2_x)             64 x  56 x  56     256 x  56 x  56
    layer2 (conv3_x)            128 x  28 x  28     512 x  28 x  28
    layer3 (conv4_x)            256 x  14 x  14    1024 x  14 x  14
    layer4 (conv5_x)            512 x   7 x   7    2048 x   7 x   7
    global average, dense 1000
    parameters     resnet18      resnet34      resnet50     resnet101     resnet152
                 11,689,512    21,797,672    25,557,032    44,549,160    60,192,808

Weight names are those of torchvision's resnet. Departures from the paper, both made by torchvision: the first
bottleneck of layer2, layer3 and layer4 halves the size in its 3x3 convolution instead of its first 1x1 (known as
version 1.5; the basic blocks of 18 and 34 halve as in the paper); 18 and 34 use projection shortcuts where the shape
changes (option B), while the paper's Table 2 gives results with zero padding (option A).

coil20_resnet50, from BeiCunNan's Image_Classfiation_Coil20 (2022): resnet50's sizes after conv1
    input                         1 x 128 x 128
    conv1 64@17                  64 x 112 x 112    batch norm, no ReLU
    max 3/2, padding 1           64 x  56 x  56
    layer1 to layer4           2048 x   7 x   7    as in resnet50
    global average; dropout 0.5; dense 1000, ReLU; dense 256; dense 20
    parameters                       25,827,516

As in that project, there is no ReLU after conv1 or between the last two dense layers. Departure from it: convolutions
have no biases, because batch norm cancels them; the project's have (25,854,076 parameters).
"""

from gluon_classics.models.layers import Network, SequentialNetwork
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn


def relu(F, x):
    # on a CPU this ReLU reads oneDNN's own layout of a convolution's output; F.relu would convert it and back
    return F.Activation(x, act_type="relu")


class Residual(nn.HybridBlock):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution if the block halves the size."""

    def __init__(self, channels, same_shape=True, **kwargs):
        super().__init__(**kwargs)
        strides = 1 if same_shape else 2
        self.same_shape = same_shape
        with self.name_scope():
            self.conv1 = nn.Conv2D(channels, kernel_size=3, padding=1, strides=strides)
            self.bn1 = nn.BatchNorm()
            self.conv2 = nn.Conv2D(channels, kernel_size=3, padding=1)
            self.bn2 = nn.BatchNorm()
            if not same_shape:
                self.conv3 = nn.Conv2D(channels, kernel_size=1, strides=strides)

    def hybrid_forward(self, F, x):
        out = relu(F, self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if not self.same_shape:
            x = self.conv3(x)
        return relu(F, out + x)


@register_model("resnet", input_shape=(1, 224, 224), paper="He et al.", year=2015)
class ResNet(SequentialNetwork):
    smallest_size = 75

    def __init__(self, num_classes=10, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.add_block(nn.Conv2D(64, kernel_size=7, strides=2))
            self.add_block(nn.MaxPool2D(pool_size=3, strides=2), Residual(64), Residual(64))
            self.add_block(Residual(128, same_shape=False), Residual(128))
            self.add_block(Residual(256, same_shape=False), Residual(256))
            self.add_block(Residual(512, same_shape=False), Residual(512))
            self.add_block(nn.AvgPool2D(pool_size=3), nn.Dense(num_classes))


# Table 1 of the paper: the number of blocks in conv2_x, conv3_x, conv4_x and conv5_x
BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


def projection(channels, stride):
    """Return the shortcut for a block that changes the shape: 1x1 convolution, batch norm."""
    layers = nn.HybridSequential()
    layers.add(nn.Conv2D(channels, kernel_size=1, strides=stride, use_bias=False), nn.BatchNorm())
    return layers


class BasicBlock(nn.HybridBlock):
    """The block of resnet18 and resnet34 (figure 5, left): 3x3, 3x3, shortcut."""

    expansion = 1

    def __init__(self, channels, stride=1, project=False, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv1 = nn.Conv2D(channels, kernel_size=3, strides=stride, padding=1, use_bias=False)
            self.bn1 = nn.BatchNorm()
            self.conv2 = nn.Conv2D(channels, kernel_size=3, padding=1, use_bias=False)
            self.bn2 = nn.BatchNorm()
            self.downsample = projection(channels, stride) if project else None

    def hybrid_forward(self, F, x):
        out = relu(F, self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = self.downsample(x) if self.downsample else x
        return relu(F, out + shortcut)


class Bottleneck(nn.HybridBlock):
    """The block of resnet50 and deeper (figure 5, right): 1x1, 3x3, 1x1 to four times the channels, shortcut."""

    expansion = 4

    def __init__(self, channels, stride=1, project=False, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv1 = nn.Conv2D(channels, kernel_size=1, use_bias=False)
            self.bn1 = nn.BatchNorm()
            self.conv2 = nn.Conv2D(channels, kernel_size=3, strides=stride, padding=1, use_bias=False)
            self.bn2 = nn.BatchNorm()
            self.conv3 = nn.Conv2D(4 * channels, kernel_size=1, use_bias=False)
            self.bn3 = nn.BatchNorm()
            self.downsample = projection(4 * channels, stride) if project else None

    def hybrid_forward(self, F, x):
        out = relu(F, self.bn1(self.conv1(x)))
        out = relu(F, self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        shortcut = self.downsample(x) if self.downsample else x
        return relu(F, out + shortcut)


def stage(block, count, channels, stride):
    # only the first block changes the shape; in layer1 only bottlenecks do, from 64 channels to 256
    layers = nn.HybridSequential()
    layers.add(block(channels, stride, project=stride == 2 or block.expansion > 1))
    for _ in range(count - 1):
        layers.add(block(channels))
    return layers


class ImageNetResNet(Network):
    """A column of the paper's Table 1: `block` is BasicBlock or Bottleneck, `blocks` their number in each stage."""

    def __init__(self, block, blocks, num_classes=1000, in_channels=3, **kwargs):
        super().__init__(in_channels, **kwargs)
        with self.name_scope():
            self.conv1 = nn.Conv2D(64, kernel_size=7, strides=2, padding=3, use_bias=False)
            self.bn1 = nn.BatchNorm()
            self.maxpool = nn.MaxPool2D(pool_size=3, strides=2, padding=1)
            self.layer1 = stage(block, blocks[0], 64, stride=1)
            self.layer2 = stage(block, blocks[1], 128, stride=2)
            self.layer3 = stage(block, blocks[2], 256, stride=2)
            self.layer4 = stage(block, blocks[3], 512, stride=2)
            self.avgpool = nn.GlobalAvgPool2D()
            self.fc = nn.Dense(num_classes)

    def hybrid_forward(self, F, x):
        x = self.maxpool(relu(F, self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x))


PAPER = {"paper": "He et al.", "year": 2015, "input_shape": (3, 224, 224)}


@register_model("resnet18", **PAPER)
def resnet18(**kwargs):
    return ImageNetResNet(BasicBlock, BLOCKS[18], **kwargs)


@register_model("resnet34", **PAPER)
def resnet34(**kwargs):
    return ImageNetResNet(BasicBlock, BLOCKS[34], **kwargs)


@register_model("resnet50", **PAPER)
def resnet50(**kwargs):
    return ImageNetResNet(Bottleneck, BLOCKS[50], **kwargs)


@register_model("resnet101", **PAPER)
def resnet101(**kwargs):
    return ImageNetResNet(Bottleneck, BLOCKS[101], **kwargs)


@register_model("resnet152", **PAPER)
def resnet152(**kwargs):
    return ImageNetResNet(Bottleneck, BLOCKS[152], **kwargs)


@register_model("coil20_resnet50", input_shape=(1, 128, 128), paper="COIL-20 project", year=2022)
class Coil20ResNet50(Network):
    smallest_size = 17

    def __init__(self, num_classes=20, in_channels=1, **kwargs):
        super().__init__(in_channels, **kwargs)
        blocks = BLOCKS[50]
        with self.name_scope():
            self.conv1 = nn.Conv2D(64, kernel_size=17, use_bias=False)
            self.bn1 = nn.BatchNorm()
            self.maxpool = nn.MaxPool2D(pool_size=3, strides=2, padding=1)
            self.layer1 = stage(Bottleneck, blocks[0], 64, stride=1)
            self.layer2 = stage(Bottleneck, blocks[1], 128, stride=2)
            self.layer3 = stage(Bottleneck, blocks[2], 256, stride=2)
            self.layer4 = stage(Bottleneck, blocks[3], 512, stride=2)
            self.avgpool = nn.GlobalAvgPool2D()
            self.dropout = nn.Dropout(0.5)
            self.fc1 = nn.Dense(1000, activation="relu")
            self.fc2 = nn.Dense(256)
            self.fc3 = nn.Dense(num_classes)

    def hybrid_forward(self, F, x):
        x = self.maxpool(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = self.dropout(self.avgpool(x))
        return self.fc3(self.fc2(self.fc1(x)))
