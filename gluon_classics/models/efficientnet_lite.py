"""EfficientNet-Lite0 (Liu 2020, TensorFlow blog): efficientnet_b0 simplified for mobile devices and quantization.

    input                              3 x 224 x 224
    conv_stem 3x3/2                   32 x 112 x 112
    blocks.0 depthwise 3x3, 1x1       16 x 112 x 112
    blocks.1 MBConv6, 3x3/2, x 2      24 x  56 x  56
    blocks.2 MBConv6, 5x5/2, x 2      40 x  28 x  28
    blocks.3 MBConv6, 3x3/2, x 3      80 x  14 x  14
    blocks.4 MBConv6, 5x5, x 3       112 x  14 x  14
    blocks.5 MBConv6, 5x5/2, x 4     192 x   7 x   7
    blocks.6 MBConv6, 3x3            320 x   7 x   7
    conv_head 1x1                   1280 x   7 x   7
    global average, dropout 0.2, dense 1000
    parameters                             4,652,008

Its author's changes to EfficientNet: no squeeze-and-excite, ReLU6 instead of swish, and one stem and head for all Lite
networks. Stochastic depth is that of efficientnet_b0; weight names are those of timm's tf_efficientnet_lite0.

Batch norm's epsilon and momentum and the padding are TensorFlow's, so weights trained there give the same numbers here:
a convolution with stride 2 pads one pixel more at the bottom and right than at the top and left. This is TensorFlow's
"same" for even sizes, and all sizes are even if the input's is a multiple of 32. Departure: at other input sizes
TensorFlow and timm compute each layer's padding from its size and get other logits; here the padding is fixed, as in
the PyTorch port efficientnet_lite_pytorch.
"""

from gluon_classics.models.layers import Network
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn

# Table 1 of EfficientNet's paper: expansion, kernel, stride, channels, layers
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def relu6(F, x):
    return F.clip(x, 0, 6)


def batch_norm():
    return nn.BatchNorm(epsilon=1e-3, momentum=0.99)


class HalvingConv2D(nn.Conv2D):
    """Convolution with stride 2 and TensorFlow's "same" padding for even sizes: the odd pixel at the bottom right."""

    def __init__(self, channels, kernel, **kwargs):
        super().__init__(channels, kernel, strides=2, use_bias=False, **kwargs)
        before, after = (kernel - 2) // 2, (kernel - 1) // 2
        self.pad_width = (0, 0, 0, 0, before, after, before, after)  # before and after, for N, C, H, W

    def hybrid_forward(self, F, x, weight):
        x = F.pad(x, mode="constant", constant_value=0, pad_width=self.pad_width)
        return super().hybrid_forward(F, x, weight)


def depthwise(channels, kernel, stride):
    if stride == 2:
        return HalvingConv2D(channels, kernel, groups=channels)
    return nn.Conv2D(channels, kernel, padding=kernel // 2, groups=channels, use_bias=False)


class DepthwiseSeparable(nn.HybridBlock):
    """The first block, MBConv without expansion: depthwise, 1x1."""

    def __init__(self, in_channels, kernel, channels, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv_dw = depthwise(in_channels, kernel, stride=1)
            self.bn1 = batch_norm()
            self.conv_pw = nn.Conv2D(channels, kernel_size=1, use_bias=False)
            self.bn2 = batch_norm()

    def hybrid_forward(self, F, x):
        x = relu6(F, self.bn1(self.conv_dw(x)))
        return self.bn2(self.conv_pw(x))


class InvertedResidual(nn.HybridBlock):
    """MBConv6: 1x1 to six times the channels, depthwise, 1x1; a shortcut if the shape is unchanged."""

    def __init__(self, in_channels, expansion, kernel, stride, channels, drop, **kwargs):
        super().__init__(**kwargs)
        expanded = expansion * in_channels
        self.shortcut = stride == 1 and in_channels == channels
        with self.name_scope():
            self.conv_pw = nn.Conv2D(expanded, kernel_size=1, use_bias=False)
            self.bn1 = batch_norm()
            self.conv_dw = depthwise(expanded, kernel, stride)
            self.bn2 = batch_norm()
            self.conv_pwl = nn.Conv2D(channels, kernel_size=1, use_bias=False)
            self.bn3 = batch_norm()
            if self.shortcut:
                self.stochastic_depth = nn.Dropout(drop, axes=(1, 2, 3))

    def hybrid_forward(self, F, x):
        out = relu6(F, self.bn1(self.conv_pw(x)))
        out = relu6(F, self.bn2(self.conv_dw(out)))
        out = self.bn3(self.conv_pwl(out))
        return self.stochastic_depth(out) + x if self.shortcut else out


@register_model("efficientnet_lite0", input_shape=(3, 224, 224), paper="Liu (TensorFlow blog)", year=2020)
class EfficientNetLite0(Network):
    smallest_size = 32

    def __init__(self, num_classes=1000, in_channels=3, **kwargs):
        super().__init__(in_channels, **kwargs)
        total = sum(layers for *_, layers in STAGES)
        index = 0
        before = 32
        with self.name_scope():
            self.conv_stem = HalvingConv2D(before, 3)
            self.bn1 = batch_norm()
            self.blocks = nn.HybridSequential()
            for expansion, kernel, stride, channels, layers in STAGES:
                stage = nn.HybridSequential()
                for _ in range(layers):
                    if expansion == 1:
                        stage.add(DepthwiseSeparable(before, kernel, channels))
                    else:
                        drop = 0.2 * index / total
                        stage.add(InvertedResidual(before, expansion, kernel, stride, channels, drop))
                    before, stride = channels, 1  # only the first layer of a stage changes the shape
                    index += 1
                self.blocks.add(stage)
            self.conv_head = nn.Conv2D(1280, kernel_size=1, use_bias=False)
            self.bn2 = batch_norm()
            self.global_pool = nn.GlobalAvgPool2D()
            self.dropout = nn.Dropout(0.2)
            self.classifier = nn.Dense(num_classes)

    def hybrid_forward(self, F, x):
        x = relu6(F, self.bn1(self.conv_stem(x)))
        x = self.blocks(x)
        x = relu6(F, self.bn2(self.conv_head(x)))
        return self.classifier(self.dropout(self.global_pool(x)))
