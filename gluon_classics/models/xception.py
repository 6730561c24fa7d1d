"""Xception of Chollet 2016, "Xception: Deep Learning with Depthwise Separable Convolutions", its figure 5.

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

Weights are named as in timm's legacy_xception. Departures, timm's too: batch norm's epsilon is 1e-5, where the author's
own Keras code has 1e-3; the max pools are padded by one pixel on each side, where Keras pads an even height or width
behind only. The paper's optional fully connected layers are left out.
"""

from gluon_classics.models.layers import Network
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn

# Figure 5: the channels of each block's 3x3 separable convolutions, and its stride
ENTRY_FLOW = (((128, 128), 2), ((256, 256), 2), ((728, 728), 2))
MIDDLE_FLOW = (((728, 728, 728), 1),) * 8
EXIT_FLOW = (((728, 1024), 2),)


class SeparableConv(nn.HybridBlock):
    """A 3x3 convolution of each channel on its own, then a 1x1 convolution across them, nothing between."""

    def __init__(self, in_channels, channels, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv1 = nn.Conv2D(in_channels, kernel_size=3, padding=1, groups=in_channels, use_bias=False)
            self.pointwise = nn.Conv2D(channels, kernel_size=1, use_bias=False)

    def hybrid_forward(self, F, x):
        return self.pointwise(self.conv1(x))


class Block(nn.HybridBlock):
    """Separable convolutions, a ReLU in front of each and batch norm behind it, and a shortcut around them all.

    One with a stride ends in a max pool, and its shortcut is a 1x1 convolution. The very first block lacks the first
    ReLU: its input comes from one.
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
