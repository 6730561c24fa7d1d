"""GoogLeNet, also called Inception v1 (Szegedy et al. 2014): the tutorial's, the paper's, and one for COIL-20.

googlenet, the tutorial's network
    input                             1 x 224 x 224
    b1 conv 64@7/2, max 3/2          64 x  55 x  55
    b2 conv 64@1, 192@3, max 3/2    192 x  27 x  27
    b3 two Inceptions, max 3/2      480 x  13 x  13
    b4 five Inceptions, max 3/2     832 x   6 x   6
    b5 two Inceptions, average 2   1024 x   3 x   3
    b6 dense 10
    parameters                            6,059,450

Departures from the paper, all made by the tutorial: no local response normalization, no auxiliary heads, no ReLU after
the two convolutions of b2, pools without padding, an average pool of 2 instead of global pooling, no dropout.

``googlenet_as_printed`` (2,829,754 parameters) is the listing as first printed: kernel 1 instead of 3x3 and 5x5 in the
Inceptions, which contradicts the tutorial's own text and figure.

inception_v1, Table 1 and figure 3 of the paper, ReLU after each convolution
    input                              3 x 224 x 224
    conv 64@7/2                       64 x 112 x 112
    max 3/2, LRN                      64 x  56 x  56
    conv 64@1, 192@3, LRN            192 x  56 x  56
    max 3/2                          192 x  28 x  28
    3a, 3b                           480 x  28 x  28
    max 3/2                          480 x  14 x  14
    4a, 4b, 4c, 4d, 4e               832 x  14 x  14
    max 3/2                          832 x   7 x   7
    5a, 5b                          1024 x   7 x   7
    global average, dropout 0.4, dense 1000
    heads after 4a and 4d: average 5/3, conv 128@1, dense 1024, dropout 0.7, dense 1000
    parameters                             6,998,552
    with aux=True                         13,378,280

Details that the paper omits follow Caffe's bvlc_googlenet: pools round up, and local response normalization (LRN) spans
5 channels with alpha 1e-4, beta 0.75 and k 1. Departures from the paper: the average pool is global, which at 224x224
equals the paper's 7x7 and allows other sizes; the first convolution is a full one, as in figure 3, although the 2.7K
parameters in Table 1 are those of a separable one (3x8 of 7x7, then 64@1).

With aux=True the network returns (logits, aux1, aux2): head aux1 follows 4a, aux2 follows 4d.

coil20_googlenet, from BeiCunNan's Image_Classfiation_Coil20 (2022): inception_v1's sizes from the first pool on
    input                              1 x 128 x 128
    conv 64@17                        64 x 112 x 112    ReLU after each convolution
    max 3/2                           64 x  56 x  56    padding 1 in all pools
    conv 64@1, 192@3                 192 x  56 x  56
    max 3/2                          192 x  28 x  28
    3a, 3b, max 3/2                  480 x  14 x  14
    4a to 4e, max 3/2                832 x   7 x   7
    5a, 5b                          1024 x   7 x   7
    global average, dropout 0.5, dense 20
    parameters                             6,003,140

Departures from the paper: no local response normalization, no heads. Departure from that project: it has no ReLU after
64@1 and 192@3, this network has both. The pools after 3b and 4e are assumed to be like the first two.
"""

from gluon_classics.models.layers import Network, SequentialNetwork
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn

# Table 1 of the paper, the columns that set channels:
# #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj
INCEPTIONS_3 = ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64))
INCEPTIONS_4 = (
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
)
INCEPTIONS_5 = ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128))


class Inception(nn.HybridBlock):
    """Four parallel paths, concatenated along the channels; `kernels` are the kernel sizes of paths 2 and 3."""

    def __init__(self, n1_1, n2_1, n2_3, n3_1, n3_5, n4_1, kernels=(3, 5), **kwargs):
        super().__init__(**kwargs)
        k2, k3 = kernels
        with self.name_scope():
            self.p1_conv_1 = nn.Conv2D(n1_1, kernel_size=1, activation="relu")
            self.p2_conv_1 = nn.Conv2D(n2_1, kernel_size=1, activation="relu")
            self.p2_conv_3 = nn.Conv2D(n2_3, kernel_size=k2, padding=k2 // 2, activation="relu")
            self.p3_conv_1 = nn.Conv2D(n3_1, kernel_size=1, activation="relu")
            self.p3_conv_5 = nn.Conv2D(n3_5, kernel_size=k3, padding=k3 // 2, activation="relu")
            self.p4_pool_3 = nn.MaxPool2D(pool_size=3, padding=1, strides=1)
            self.p4_conv_1 = nn.Conv2D(n4_1, kernel_size=1, activation="relu")

    def hybrid_forward(self, F, x):
        p1 = self.p1_conv_1(x)
        p2 = self.p2_conv_3(self.p2_conv_1(x))
        p3 = self.p3_conv_5(self.p3_conv_1(x))
        p4 = self.p4_conv_1(self.p4_pool_3(x))
        return F.concat(p1, p2, p3, p4, dim=1)


@register_model("googlenet", input_shape=(1, 224, 224), paper="Szegedy et al.", year=2014)
class GoogLeNet(SequentialNetwork):
    smallest_size = 93

    def __init__(self, num_classes=10, kernels=(3, 5), **kwargs):
        super().__init__(**kwargs)

        def inceptions(rows):
            return [Inception(*row, kernels=kernels) for row in rows]

        with self.name_scope():
            self.add_block(
                nn.Conv2D(64, kernel_size=7, strides=2, padding=3, activation="relu"),
                nn.MaxPool2D(pool_size=3, strides=2),
            )
            self.add_block(
                nn.Conv2D(64, kernel_size=1),
                nn.Conv2D(192, kernel_size=3, padding=1),
                nn.MaxPool2D(pool_size=3, strides=2),
            )
            self.add_block(*inceptions(INCEPTIONS_3), nn.MaxPool2D(pool_size=3, strides=2))
            self.add_block(*inceptions(INCEPTIONS_4), nn.MaxPool2D(pool_size=3, strides=2))
            self.add_block(*inceptions(INCEPTIONS_5), nn.AvgPool2D(pool_size=2))
            self.add_block(nn.Flatten(), nn.Dense(num_classes))


@register_model("googlenet_as_printed", input_shape=(1, 224, 224), paper="the tutorial's listing", year=2014)
def googlenet_as_printed(num_classes=10, verbose=False, **kwargs):
    return GoogLeNet(num_classes, kernels=(1, 1), verbose=verbose, **kwargs)


class LocalResponseNorm(nn.HybridBlock):
    def hybrid_forward(self, F, x):
        return F.LRN(x, nsize=5, knorm=1, alpha=1e-4, beta=0.75)  # alpha x mean of squares, as in Caffe


class AuxiliaryHead(nn.HybridBlock):
    def __init__(self, num_classes, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.pool = nn.AvgPool2D(pool_size=5, strides=3)
            self.conv = nn.Conv2D(128, kernel_size=1, activation="relu")
            self.fc1 = nn.Dense(1024, activation="relu")
            self.dropout = nn.Dropout(0.7)
            self.fc2 = nn.Dense(num_classes)

    def hybrid_forward(self, F, x):
        x = self.conv(self.pool(x))
        return self.fc2(self.dropout(self.fc1(x)))


@register_model("inception_v1", input_shape=(3, 224, 224), paper="Szegedy et al.", year=2014)
class InceptionV1(Network):
    smallest_size = 47
    aux_weights = (0.3, 0.3)

    def __init__(self, num_classes=1000, in_channels=3, aux=False, **kwargs):
        super().__init__(in_channels, **kwargs)
        self.aux = aux
        if aux:
            self.smallest_size = 79  # the heads' 5x5 average pool needs five pixels
        with self.name_scope():
            self.conv1 = nn.Conv2D(64, kernel_size=7, strides=2, padding=3, activation="relu")
            self.pool1 = nn.MaxPool2D(pool_size=3, strides=2, ceil_mode=True)
            self.norm1 = LocalResponseNorm()
            self.conv2 = nn.Conv2D(64, kernel_size=1, activation="relu")
            self.conv3 = nn.Conv2D(192, kernel_size=3, padding=1, activation="relu")
            self.norm2 = LocalResponseNorm()
            self.pool2 = nn.MaxPool2D(pool_size=3, strides=2, ceil_mode=True)
            self.inception3a, self.inception3b = (Inception(*row) for row in INCEPTIONS_3)
            self.pool3 = nn.MaxPool2D(pool_size=3, strides=2, ceil_mode=True)
            stage_4 = [Inception(*row) for row in INCEPTIONS_4]
            self.inception4a, self.inception4b, self.inception4c, self.inception4d, self.inception4e = stage_4
            self.pool4 = nn.MaxPool2D(pool_size=3, strides=2, ceil_mode=True)
            self.inception5a, self.inception5b = (Inception(*row) for row in INCEPTIONS_5)
            self.avgpool = nn.GlobalAvgPool2D()
            self.dropout = nn.Dropout(0.4)
            self.fc = nn.Dense(num_classes)
            if aux:
                self.aux1 = AuxiliaryHead(num_classes)
                self.aux2 = AuxiliaryHead(num_classes)

    def hybrid_forward(self, F, x):
        x = self.norm1(self.pool1(self.conv1(x)))
        x = self.pool2(self.norm2(self.conv3(self.conv2(x))))
        x = self.pool3(self.inception3b(self.inception3a(x)))
        x = x_4a = self.inception4a(x)
        x = x_4d = self.inception4d(self.inception4c(self.inception4b(x)))
        x = self.pool4(self.inception4e(x))
        x = self.avgpool(self.inception5b(self.inception5a(x)))
        x = self.fc(self.dropout(x))
        return (x, self.aux1(x_4a), self.aux2(x_4d)) if self.aux else x


@register_model("coil20_googlenet", input_shape=(1, 128, 128), paper="COIL-20 project", year=2022)
class Coil20GoogLeNet(SequentialNetwork):
    smallest_size = 17

    def __init__(self, num_classes=20, in_channels=1, **kwargs):
        super().__init__(in_channels=in_channels, **kwargs)

        def inceptions(rows):
            return [Inception(*row) for row in rows]

        def max_pool():
            return nn.MaxPool2D(pool_size=3, strides=2, padding=1)

        with self.name_scope():
            self.add_block(nn.Conv2D(64, kernel_size=17, activation="relu"), max_pool())
            self.add_block(
                nn.Conv2D(64, kernel_size=1, activation="relu"),
                nn.Conv2D(192, kernel_size=3, padding=1, activation="relu"),
                max_pool(),
            )
            self.add_block(*inceptions(INCEPTIONS_3), max_pool())
            self.add_block(*inceptions(INCEPTIONS_4), max_pool())
            self.add_block(*inceptions(INCEPTIONS_5), nn.GlobalAvgPool2D())
            self.add_block(nn.Flatten(), nn.Dropout(0.5), nn.Dense(num_classes))
