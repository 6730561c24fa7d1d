"""Inception v4 (Szegedy et al. 2016, "Inception-v4, Inception-ResNet and the Impact of Residual Connections").

    input                      3 x 299 x 299
    features 0 conv 32@3/2    32 x 149 x 149    figure 3, the stem
             1 conv 32@3      32 x 147 x 147
             2 conv 64@3      64 x 147 x 147
             3 pool, conv    160 x  73 x  73
             4 two paths     192 x  71 x  71
             5 conv, pool    384 x  35 x  35
      6 to   9 Inception-A   384 x  35 x  35    figure 4
            10 Reduction-A  1024 x  17 x  17    figure 7
     11 to  17 Inception-B  1024 x  17 x  17    figure 5
            18 Reduction-B  1536 x   8 x   8    figure 8
     19 to  21 Inception-C  1536 x   8 x   8    figure 6
    average pool            1536 x   1 x   1
    dropout (keep 0.8), dense 1000
    parameters                    42,679,816

This is the network that the authors released; weight names are those of timm's inception_v4.

Departures from the paper, all in the released network: 1x7 precedes 7x1 in the stem, 7x1 precedes 1x7 in Inception-B's
longest path, and 3x1 precedes 1x3 in Inception-C's; figures 3, 5 and 6 show the opposite order. Batch norm's epsilon is
1e-3 (the paper gives none), and average pools do not count the padding.
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
    """Parallel paths, concatenated along the channels; each argument's name becomes the child's name."""

    def __init__(self, **paths):
        super().__init__()
        for name, block in paths.items():
            self.register_child(block, name)

    def hybrid_forward(self, F, x):
        return F.concat(*[block(x) for block in self._children.values()], dim=1)


def stem():
    """Return the six stages of figure 3."""
    return (
        Conv(32, 3, 2, V),
        Conv(32, 3, 1, V),
        Conv(64, 3),
        FilterConcat(maxpool=max_pool(), conv=Conv(96, 3, 2, V)),
        FilterConcat(
            branch0=path((64, 1), (96, 3, 1, V)),
            branch1=path((64, 1), (64, (1, 7)), (64, (7, 1)), (96, 3, 1, V)),
        ),
        FilterConcat(conv=Conv(192, 3, 2, V), maxpool=max_pool()),
    )


class InceptionA(FilterConcat):
    """Figure 4."""

    def __init__(self):
        super().__init__(
            branch0=path((96, 1)),
            branch1=path((64, 1), (96, 3)),
            branch2=path((64, 1), (96, 3), (96, 3)),
            branch3=average_path(96),
        )


class ReductionA(FilterConcat):
    """Figure 7 with k, l, m, n = 192, 224, 256, 384 (Table 1)."""

    def __init__(self):
        super().__init__(
            branch0=path((384, 3, 2, V)),
            branch1=path((192, 1), (224, 3), (256, 3, 2, V)),
            branch2=max_pool(),
        )


class InceptionB(FilterConcat):
    """Figure 5."""

    def __init__(self):
        super().__init__(
            branch0=path((384, 1)),
            branch1=path((192, 1), (224, (1, 7)), (256, (7, 1))),
            branch2=path((192, 1), (192, (7, 1)), (224, (1, 7)), (224, (7, 1)), (256, (1, 7))),
            branch3=average_path(128),
        )


class ReductionB(FilterConcat):
    """Figure 8."""

    def __init__(self):
        super().__init__(
            branch0=path((192, 1), (192, 3, 2, V)),
            branch1=path((256, 1), (256, (1, 7)), (320, (7, 1)), (320, 3, 2, V)),
            branch2=max_pool(),
        )


class InceptionC(nn.HybridBlock):
    """Figure 6: two of the paths end in parallel 1x3 and 3x1 convolutions."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.branch0 = Conv(256, 1)
            self.branch1_0 = Conv(384, 1)
            self.branch1_1a = Conv(256, (1, 3))
            self.branch1_1b = Conv(256, (3, 1))
            self.branch2_0 = Conv(384, 1)
            self.branch2_1 = Conv(448, (3, 1))
            self.branch2_2 = Conv(512, (1, 3))
            self.branch2_3a = Conv(256, (1, 3))
            self.branch2_3b = Conv(256, (3, 1))
            self.branch3 = average_path(256)

    def hybrid_forward(self, F, x):
        p0 = self.branch0(x)
        p1 = self.branch1_0(x)
        p1a, p1b = self.branch1_1a(p1), self.branch1_1b(p1)
        p2 = self.branch2_2(self.branch2_1(self.branch2_0(x)))
        p2a, p2b = self.branch2_3a(p2), self.branch2_3b(p2)
        p3 = self.branch3(x)
        return F.concat(p0, p1a, p1b, p2a, p2b, p3, dim=1)


@register_model("inception_v4", input_shape=(3, 299, 299), paper="Szegedy et al.", year=2016)
class InceptionV4(Network):
    smallest_size = 75

    def __init__(self, num_classes=1000, in_channels=3, **kwargs):
        super().__init__(in_channels, **kwargs)
        with self.name_scope():
            self.features = chain(  # figure 9
                *stem(),
                *[InceptionA() for _ in range(4)],
                ReductionA(),
                *[InceptionB() for _ in range(7)],
                ReductionB(),
                *[InceptionC() for _ in range(3)],
            )
            self.avgpool = nn.GlobalAvgPool2D()
            self.dropout = nn.Dropout(0.2)
            self.last_linear = nn.Dense(num_classes)

    def hybrid_forward(self, F, x):
        x = self.features(x)
        return self.last_linear(self.dropout(self.avgpool(x)))
