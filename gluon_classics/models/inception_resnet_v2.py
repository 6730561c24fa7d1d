"""Inception-ResNet-v2 (Szegedy et al. 2016, in the same paper as Inception v4).

    input                         3 x 299 x 299
    conv 32@3/2                  32 x 149 x 149
    conv 32@3                    32 x 147 x 147
    conv padded 64@3             64 x 147 x 147
    max pool 3/2                 64 x  73 x  73
    conv 80@1                    80 x  73 x  73
    conv 192@3                  192 x  71 x  71
    max pool 3/2                192 x  35 x  35
    mixed_5b, an Inception      320 x  35 x  35
    10 Inception-ResNet-A       320 x  35 x  35    figure 16
    Reduction-A                1088 x  17 x  17    figure 7
    20 Inception-ResNet-B      1088 x  17 x  17    figure 17
    Reduction-B                2080 x   8 x   8    figure 18
    10 Inception-ResNet-C      2080 x   8 x   8    figure 19
    conv 1536@1                1536 x   8 x   8
    average pool               1536 x   1 x   1
    dropout (keep 0.8), dense 1000
    parameters                       55,843,464

This is the network that the authors released; weight names are those of timm's inception_resnet_v2.

Departures from the paper, all in the released network:
- The stem is Inception v3's plus one Inception instead of figure 3, which makes 320, 1088 and 2080 channels instead of
  384, 1152 and 2144 (figures 17 and 19 print 1154 and 2048, which do not match the inputs that they are added to).
- There are 10, 20 and 10 residual modules instead of figure 15's 5, 10 and 5.
- The last module is not scaled and has no ReLU; a convolution with 1536 channels follows it.
- Residuals are scaled by 0.17, 0.10 and 0.20; the paper says "between 0.1 and 0.3".
Batch norm's epsilon is 1e-3 (the paper gives none), and the average pool does not count the padding.
"""

from gluon_classics.models.layers import Network
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn

V = True  # the figures' mark for a convolution without padding; all others keep the size


class Conv(nn.HybridBlock):
    """Convolution, batch norm, ReLU."""

    def __init__(self, channels, kernel, strides=1, valid=False, **kwargs):
        super().__init__(**kwargs)
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (0, 0) if valid else (height // 2, width // 2)
        with self.name_scope():
            self.conv = nn.Conv2D(channels, (height, width), strides, padding, use_bias=False)
            self.bn = nn.BatchNorm(epsilon=1e-3)
            self.relu = nn.Activation("relu")

    def hybrid_forward(self, F, x):
        return self.relu(self.bn(self.conv(x)))


def chain(*layers):
    block = nn.HybridSequential()
    block.add(*layers)
    return block


def path(*rows):
    """Chain convolutions, each given as (channels, kernel) or (channels, kernel, strides, V)."""
    convolutions = [Conv(*row) for row in rows]
    return convolutions[0] if len(rows) == 1 else chain(*convolutions)


def average_path(channels):
    return chain(nn.AvgPool2D(pool_size=3, strides=1, padding=1, count_include_pad=False), Conv(channels, 1))


def max_pool():
    return nn.MaxPool2D(pool_size=3, strides=2)


class FilterConcat(nn.HybridBlock):
    """Parallel paths, concatenated along the channels; the children are named branch0, branch1 and so on."""

    def __init__(self, *paths):
        super().__init__()
        self.paths = paths
        for i, block in enumerate(paths):
            self.register_child(block, f"branch{i}")

    def hybrid_forward(self, F, x):
        return F.concat(*[block(x) for block in self.paths], dim=1)


class Residual(FilterConcat):
    """Concatenated paths, projected to `channels` by a linear 1x1 convolution, scaled, and added to the input."""

    def __init__(self, *paths, channels, scale, relu=True):
        super().__init__(*paths)
        self.scale = scale
        self.conv2d = nn.Conv2D(channels, kernel_size=1)
        self.relu = nn.Activation("relu") if relu else None

    def hybrid_forward(self, F, x):
        joined = super().hybrid_forward(F, x)
        x = x + self.scale * self.conv2d(joined)
        return self.relu(x) if self.relu else x


class InceptionA(FilterConcat):
    """Inception v3's first module, with more channels."""

    def __init__(self):
        super().__init__(
            path((96, 1)),
            path((48, 1), (64, 5)),
            path((64, 1), (96, 3), (96, 3)),
            average_path(64),
        )


class InceptionResNetA(Residual):
    """Figure 16."""

    def __init__(self):
        super().__init__(
            path((32, 1)),
            path((32, 1), (32, 3)),
            path((32, 1), (48, 3), (64, 3)),
            channels=320,
            scale=0.17,
        )


class ReductionA(FilterConcat):
    """Figure 7 with k, l, m, n = 256, 256, 384, 384 (Table 1)."""

    def __init__(self):
        super().__init__(
            path((384, 3, 2, V)),
            path((256, 1), (256, 3), (384, 3, 2, V)),
            max_pool(),
        )


class InceptionResNetB(Residual):
    """Figure 17."""

    def __init__(self):
        super().__init__(
            path((192, 1)),
            path((128, 1), (160, (1, 7)), (192, (7, 1))),
            channels=1088,
            scale=0.10,
        )


class ReductionB(FilterConcat):
    """Figure 18."""

    def __init__(self):
        super().__init__(
            path((256, 1), (384, 3, 2, V)),
            path((256, 1), (288, 3, 2, V)),
            path((256, 1), (288, 3), (320, 3, 2, V)),
            max_pool(),
        )


class InceptionResNetC(Residual):
    """Figure 19."""

    def __init__(self, scale=0.20, relu=True):
        super().__init__(
            path((192, 1)),
            path((192, 1), (224, (1, 3)), (256, (3, 1))),
            channels=2080,
            scale=scale,
            relu=relu,
        )


@register_model("inception_resnet_v2", input_shape=(3, 299, 299), paper="Szegedy et al.", year=2016)
class InceptionResNetV2(Network):
    smallest_size = 75

    def __init__(self, num_classes=1000, in_channels=3, **kwargs):
        super().__init__(in_channels, **kwargs)
        with self.name_scope():
            self.conv2d_1a = Conv(32, 3, 2, V)
            self.conv2d_2a = Conv(32, 3, 1, V)
            self.conv2d_2b = Conv(64, 3)
            self.maxpool_3a = max_pool()
            self.conv2d_3b = Conv(80, 1)
            self.conv2d_4a = Conv(192, 3, 1, V)
            self.maxpool_5a = max_pool()
            self.mixed_5b = InceptionA()
            self.repeat = chain(*[InceptionResNetA() for _ in range(10)])
            self.mixed_6a = ReductionA()
            self.repeat_1 = chain(*[InceptionResNetB() for _ in range(20)])
            self.mixed_7a = ReductionB()
            self.repeat_2 = chain(*[InceptionResNetC() for _ in range(9)])
            self.block8 = InceptionResNetC(scale=1.0, relu=False)
            self.conv2d_7b = Conv(1536, 1)
            self.avgpool = nn.GlobalAvgPool2D()
            self.dropout = nn.Dropout(0.2)
            self.classif = nn.Dense(num_classes)

    def hybrid_forward(self, F, x):
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x)))
        x = self.maxpool_3a(x)
        x = self.conv2d_4a(self.conv2d_3b(x))
        x = self.maxpool_5a(x)
        x = self.repeat(self.mixed_5b(x))
        x = self.repeat_1(self.mixed_6a(x))
        x = self.block8(self.repeat_2(self.mixed_7a(x)))
        x = self.conv2d_7b(x)
        return self.classif(self.dropout(self.avgpool(x)))
