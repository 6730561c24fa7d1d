"""Xception (Chollet 2016, "Xception: Deep Learning with Depthwise Separable Convolutions"), figure 5 of the paper.

    input                                     3 x 299 x 299
    entry flow   conv1 32@3/2                32 x 149 x 149
                 conv2 64@3                  64 x 147 x 147
                 block1                     128 x  74 x  74
                 block2                     256 x  37 x  37
                 block3                     728 x  19 x  19
    middle flow  block4 to block11          728 x  19 x  19
    exit flow    block12                   1024 x  10 x  10
                 conv3 separable 1536@3    1536 x  10 x  10
                 conv4 separable 2048@3    2048 x  10 x  10
                 average pool              2048 x   1 x   1
                 dropout 0.5, dense 1000
    parameters                                   22,855,952

Weight names are those of timm's legacy_xception. Departures from the author's Keras code, both made by timm: batch
norm's epsilon is 1e-5 instead of 1e-3; max pools are padded by one pixel on every side, while Keras pads an even height
or width only at the bottom or right. The paper's optional fully connected layers are left out.
"""

from gluon_classics.models.layers import Network
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn

# Figure 5: the channels of each block's 3x3 separable convolutions, and its stride
ENTRY_FLOW = (((128, 128), 2), ((256, 256), 2), ((728, 728), 2))
MIDDLE_FLOW = (((728, 728, 728), 1),) * 8
EXIT_FLOW = (((728, 1024), 2),)


class SeparableConv(nn.HybridBlock):
    """A depthwise 3x3 convolution directly followed by a 1x1 convolution."""

    def __init__(self, in_channels, channels, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv1 = nn.Conv2D(in_channels, kernel_size=3, padding=1, groups=in_channels, use_bias=False)
            self.pointwise = nn.Conv2D(channels, kernel_size=1, use_bias=False)

    def hybrid_forward(self, F, x):
        return self.pointwise(self.conv1(x))


class Block(nn.HybridBlock):
    """Separable convolutions, each between a ReLU and a batch norm, with a shortcut around all of them.

    A block with a stride ends in a max pool, and its shortcut is a 1x1 convolution. The network's first block omits its
    first ReLU, because its input comes from a ReLU.
    """

    def __init__(self, in_channels, channels, stride, relu_first, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.rep = nn.HybridSequential()
            for i, (before, after) in enumerate(zip((in_channels, *channels), channels)):
                if i > 0 or relu_first:
                    self.rep.add(nn.Activation("relu"))
                self.rep.add(SeparableConv(before, after), nn.BatchNorm(epsilon=1e-5))
            self.skip = None
            if stride > 1:
                self.rep.add(nn.MaxPool2D(pool_size=3, strides=stride, padding=1))
                self.skip = nn.Conv2D(channels[-1], kernel_size=1, strides=stride, use_bias=False)
                self.skipbn = nn.BatchNorm(epsilon=1e-5)

    def hybrid_forward(self, F, x):
        shortcut = self.skipbn(self.skip(x)) if self.skip else x
        return self.rep(x) + shortcut


@register_model("xception", input_shape=(3, 299, 299), paper="Chollet", year=2016)
class Xception(Network):
    smallest_size = 7

    def __init__(self, num_classes=1000, in_channels=3, **kwargs):
        super().__init__(in_channels, **kwargs)
        with self.name_scope():
            self.relu = nn.Activation("relu")
            self.conv1 = nn.Conv2D(32, kernel_size=3, strides=2, use_bias=False)
            self.bn1 = nn.BatchNorm(epsilon=1e-5)
            self.conv2 = nn.Conv2D(64, kernel_size=3, use_bias=False)
            self.bn2 = nn.BatchNorm(epsilon=1e-5)
            self.blocks = []
            before = 64
            for i, (channels, stride) in enumerate(ENTRY_FLOW + MIDDLE_FLOW + EXIT_FLOW):
                self.blocks.append(Block(before, channels, stride, relu_first=i > 0))
                self.register_child(self.blocks[i], f"block{i + 1}")
                before = channels[-1]
            self.conv3 = SeparableConv(1024, 1536)
            self.bn3 = nn.BatchNorm(epsilon=1e-5)
            self.conv4 = SeparableConv(1536, 2048)
            self.bn4 = nn.BatchNorm(epsilon=1e-5)
            self.avgpool = nn.GlobalAvgPool2D()
            self.dropout = nn.Dropout(0.5)
            self.fc = nn.Dense(num_classes)

    def hybrid_forward(self, F, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        for block in self.blocks:
            x = block(x)
        x = self.relu(self.bn3(self.conv3(x)))
        x = self.relu(self.bn4(self.conv4(x)))
        return self.fc(self.dropout(self.avgpool(x)))
