"""GoogLeNet (Inception v1), the tutorial's version of Szegedy et al. 2014.

    input                             1 x 224 x 224
    b1 conv 64@7/2, max 3/2          64 x  55 x  55
    b2 conv 64@1, 192@3, max 3/2    192 x  27 x  27
    b3 two Inceptions, max 3/2      480 x  13 x  13
    b4 five Inceptions, max 3/2     832 x   6 x   6
    b5 two Inceptions, average 2   1024 x   3 x   3
    b6 dense 10
    parameters                            6,059,450

Departures from the paper, all of them the tutorial's: no local response normalization, no auxiliary heads, no ReLU on
the two convolutions of b2, pools without padding, an average pool of 2 in place of the global one, no dropout.

The listing as once printed has a kernel of 1 in place of the 3x3 and of the 5x5, against its own text and figure;
that network is ``googlenet_as_printed`` (2,829,754 parameters).
"""

from gluon_classics.models.layers import SequentialNetwork
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
    """Four paths side by side, joined along the channels; ``kernels`` are those of paths 2 and 3."""

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


@register_model("googlenet", input_shape=(1, 224, 224), paper="Szegedy et al. 2014", year=2014)
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
