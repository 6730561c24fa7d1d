"""ResNeXt (Xie, Girshick, Dollar, Tu and He 2016): ResNet's bottleneck with a 3x3 convolution in 32 groups.

    input                         3 x 224 x 224
    conv1 64@7/2                 64 x 112 x 112
    max 3/2                      64 x  56 x  56
    layer1 (conv2)              256 x  56 x  56
    layer2 (conv3)              512 x  28 x  28
    layer3 (conv4)             1024 x  14 x  14
    layer4 (conv5)             2048 x   7 x   7
    global average, dense 1000
    parameters                       25,028,904

This is the paper's ResNeXt-50 (32x4d), in the form of figure 3(c): cardinality 32, and 4 channels per group in conv2.
As in the paper, the 3x3 convolution has the stride of 2. Weight names are those of torchvision's resnext50_32x4d. No
departures.
"""

from gluon_classics.models.layers import Network
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn

CARDINALITY = 32

# Table 1 of the paper, right: channels of the 1x1 and of the grouped 3x3, channels of the last 1x1, blocks
STAGES = (
    (128, 256, 3),
    (256, 512, 4),
    (512, 1024, 6),
    (1024, 2048, 3),
)


def relu(F, x):
    # on a CPU this ReLU reads oneDNN's own layout of a convolution's output; F.relu would convert it and back
    return F.Activation(x, act_type="relu")


class Bottleneck(nn.HybridBlock):
    """1x1, grouped 3x3, 1x1, and a shortcut, which is a 1x1 convolution if the shape changes."""

    def __init__(self, width, channels, stride=1, project=False, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv1 = nn.Conv2D(width, kernel_size=1, use_bias=False)
            self.bn1 = nn.BatchNorm()
            self.conv2 = nn.Conv2D(width, kernel_size=3, strides=stride, padding=1, groups=CARDINALITY, use_bias=False)
            self.bn2 = nn.BatchNorm()
            self.conv3 = nn.Conv2D(channels, kernel_size=1, use_bias=False)
            self.bn3 = nn.BatchNorm()
            self.downsample = None
            if project:
                self.downsample = nn.HybridSequential()
                self.downsample.add(nn.Conv2D(channels, kernel_size=1, strides=stride, use_bias=False), nn.BatchNorm())

    def hybrid_forward(self, F, x):
        out = relu(F, self.bn1(self.conv1(x)))
        out = relu(F, self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        shortcut = x if self.downsample is None else self.downsample(x)
        return relu(F, out + shortcut)


def stage(width, channels, blocks, stride):
    layers = nn.HybridSequential()
    layers.add(Bottleneck(width, channels, stride, project=True))
    for _ in range(blocks - 1):
        layers.add(Bottleneck(width, channels))
    return layers


@register_model("resnext50_32x4d", input_shape=(3, 224, 224), paper="Xie et al.", year=2016)
class ResNeXt(Network):
    def __init__(self, num_classes=1000, in_channels=3, **kwargs):
        super().__init__(in_channels, **kwargs)
        with self.name_scope():
            self.conv1 = nn.Conv2D(64, kernel_size=7, strides=2, padding=3, use_bias=False)
            self.bn1 = nn.BatchNorm()
            self.maxpool = nn.MaxPool2D(pool_size=3, strides=2, padding=1)
            self.layer1 = stage(*STAGES[0], stride=1)
            self.layer2 = stage(*STAGES[1], stride=2)
            self.layer3 = stage(*STAGES[2], stride=2)
            self.layer4 = stage(*STAGES[3], stride=2)
            self.avgpool = nn.GlobalAvgPool2D()
            self.fc = nn.Dense(num_classes)

    def hybrid_forward(self, F, x):
        x = self.maxpool(relu(F, self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x))
