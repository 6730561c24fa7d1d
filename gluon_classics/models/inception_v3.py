"""Inception v3 (Szegedy et al. 2015, "Rethinking the Inception Architecture for Computer Vision").

    input                        3 x 299 x 299
    conv 32@3/2                 32 x 149 x 149
    conv 32@3                   32 x 147 x 147
    conv padded 64@3            64 x 147 x 147
    max pool 3/2                64 x  73 x  73
    conv 80@1                   80 x  73 x  73
    conv 192@3                 192 x  71 x  71
    max pool 3/2               192 x  35 x  35
    3 InceptionA               288 x  35 x  35
    InceptionB, 4 InceptionC   768 x  17 x  17    the auxiliary head starts here
    InceptionD                1280 x   8 x   8
    2 InceptionE              2048 x   8 x   8
    average pool              2048 x   1 x   1
    dropout 0.5, dense 1000
    parameters        23,834,568; 27,161,264 with the auxiliary head

This is the authors' released network as torchvision builds it, with the weight names of torchvision's inception_v3.
Images must be at least 75x75; with the auxiliary head, whose 5x5 convolution needs a 5x5 map, at least 299x299.

Departures from the paper's Table 1, all in the released network (the paper itself omits the modules' inner channels):
- There is a 1x1 convolution with 80 channels instead of a 3x3, then a 3x3 and a max pool instead of a 3x3 with stride 2
  and a 3x3 with 288 channels.
- InceptionA keeps a 5x5 convolution in one path, as in figure 4; the table refers to figure 5.
- The reduction InceptionB has no row in the table, and InceptionD is the fifth of its five 17x17 modules.
Departures from the released network, both made by torchvision: dropout is 0.5, the authors' is 0.2 (keep 0.8; the paper
gives none); average pools count the padding. Batch norm's epsilon is the authors' 1e-3.
"""

from gluon_classics.models.layers import Network
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn


class Conv(nn.HybridBlock):
    """Convolution, batch norm, ReLU."""

    def __init__(self, channels, kernel, strides=1, padding=0, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv = nn.Conv2D(channels, kernel, strides, padding, use_bias=False)
            self.bn = nn.BatchNorm(epsilon=1e-3)
            self.relu = nn.Activation("relu")

    def hybrid_forward(self, F, x):
        return self.relu(self.bn(self.conv(x)))


def average_pool():
    return nn.AvgPool2D(pool_size=3, strides=1, padding=1, count_include_pad=True)


class InceptionA(nn.HybridBlock):
    """Figure 5, with a 5x5 convolution in the second path."""

    def __init__(self, pool_channels, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.branch1x1 = Conv(64, 1)
            self.branch5x5_1 = Conv(48, 1)
            self.branch5x5_2 = Conv(64, 5, padding=2)
            self.branch3x3dbl_1 = Conv(64, 1)
            self.branch3x3dbl_2 = Conv(96, 3, padding=1)
            self.branch3x3dbl_3 = Conv(96, 3, padding=1)
            self.pool = average_pool()
            self.branch_pool = Conv(pool_channels, 1)

    def hybrid_forward(self, F, x):
        p1 = self.branch1x1(x)
        p2 = self.branch5x5_2(self.branch5x5_1(x))
        p3 = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        p4 = self.branch_pool(self.pool(x))
        return F.concat(p1, p2, p3, p4, dim=1)


class InceptionB(nn.HybridBlock):
    """Figure 10: from 35x35 to 17x17."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.branch3x3 = Conv(384, 3, strides=2)
            self.branch3x3dbl_1 = Conv(64, 1)
            self.branch3x3dbl_2 = Conv(96, 3, padding=1)
            self.branch3x3dbl_3 = Conv(96, 3, strides=2)
            self.pool = nn.MaxPool2D(pool_size=3, strides=2)

    def hybrid_forward(self, F, x):
        p1 = self.branch3x3(x)
        p2 = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return F.concat(p1, p2, self.pool(x), dim=1)


class InceptionC(nn.HybridBlock):
    """Figure 6 with n = 7: 7x7 convolutions split into 1x7 and 7x1, with `c7` channels except in each path's last."""

    def __init__(self, c7, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.branch1x1 = Conv(192, 1)
            self.branch7x7_1 = Conv(c7, 1)
            self.branch7x7_2 = Conv(c7, (1, 7), padding=(0, 3))
            self.branch7x7_3 = Conv(192, (7, 1), padding=(3, 0))
            self.branch7x7dbl_1 = Conv(c7, 1)
            self.branch7x7dbl_2 = Conv(c7, (7, 1), padding=(3, 0))
            self.branch7x7dbl_3 = Conv(c7, (1, 7), padding=(0, 3))
            self.branch7x7dbl_4 = Conv(c7, (7, 1), padding=(3, 0))
            self.branch7x7dbl_5 = Conv(192, (1, 7), padding=(0, 3))
            self.pool = average_pool()
            self.branch_pool = Conv(192, 1)

    def hybrid_forward(self, F, x):
        p1 = self.branch1x1(x)
        p2 = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        p3 = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        p3 = self.branch7x7dbl_5(self.branch7x7dbl_4(p3))
        p4 = self.branch_pool(self.pool(x))
        return F.concat(p1, p2, p3, p4, dim=1)


class InceptionD(nn.HybridBlock):
    """Figure 10 with a 7x7 convolution split into 1x7 and 7x1: from 17x17 to 8x8."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.branch3x3_1 = Conv(192, 1)
            self.branch3x3_2 = Conv(320, 3, strides=2)
            self.branch7x7x3_1 = Conv(192, 1)
            self.branch7x7x3_2 = Conv(192, (1, 7), padding=(0, 3))
            self.branch7x7x3_3 = Conv(192, (7, 1), padding=(3, 0))
            self.branch7x7x3_4 = Conv(192, 3, strides=2)
            self.pool = nn.MaxPool2D(pool_size=3, strides=2)

    def hybrid_forward(self, F, x):
        p1 = self.branch3x3_2(self.branch3x3_1(x))
        p2 = self.branch7x7x3_2(self.branch7x7x3_1(x))
        p2 = self.branch7x7x3_4(self.branch7x7x3_3(p2))
        return F.concat(p1, p2, self.pool(x), dim=1)


class InceptionE(nn.HybridBlock):
    """Figure 7: two of the paths end in parallel 1x3 and 3x1 convolutions."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.branch1x1 = Conv(320, 1)
            self.branch3x3_1 = Conv(384, 1)
            self.branch3x3_2a = Conv(384, (1, 3), padding=(0, 1))
            self.branch3x3_2b = Conv(384, (3, 1), padding=(1, 0))
            self.branch3x3dbl_1 = Conv(448, 1)
            self.branch3x3dbl_2 = Conv(384, 3, padding=1)
            self.branch3x3dbl_3a = Conv(384, (1, 3), padding=(0, 1))
            self.branch3x3dbl_3b = Conv(384, (3, 1), padding=(1, 0))
            self.pool = average_pool()
            self.branch_pool = Conv(192, 1)

    def hybrid_forward(self, F, x):
        p1 = self.branch1x1(x)
        p2 = self.branch3x3_1(x)
        p2a, p2b = self.branch3x3_2a(p2), self.branch3x3_2b(p2)
        p3 = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        p3a, p3b = self.branch3x3dbl_3a(p3), self.branch3x3dbl_3b(p3)
        p4 = self.branch_pool(self.pool(x))
        return F.concat(p1, p2a, p2b, p3a, p3b, p4, dim=1)


class InceptionAux(nn.HybridBlock):
    """Figure 8: the auxiliary head on the last 17x17 map."""

    def __init__(self, num_classes, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.pool = nn.AvgPool2D(pool_size=5, strides=3)
            self.conv0 = Conv(128, 1)
            self.conv1 = Conv(768, 5)
            self.avgpool = nn.GlobalAvgPool2D()
            self.fc = nn.Dense(num_classes)

    def hybrid_forward(self, F, x):
        x = self.conv1(self.conv0(self.pool(x)))
        return self.fc(self.avgpool(x))


@register_model("inception_v3", input_shape=(3, 299, 299), paper="Szegedy et al.", year=2015)
class InceptionV3(Network):
    smallest_size = 75
    aux_weights = (0.4,)

    def __init__(self, num_classes=1000, in_channels=3, aux=False, **kwargs):
        super().__init__(in_channels, **kwargs)
        if aux:
            self.smallest_size = 299
        with self.name_scope():
            self.Conv2d_1a_3x3 = Conv(32, 3, strides=2)
            self.Conv2d_2a_3x3 = Conv(32, 3)
            self.Conv2d_2b_3x3 = Conv(64, 3, padding=1)
            self.maxpool1 = nn.MaxPool2D(pool_size=3, strides=2)
            self.Conv2d_3b_1x1 = Conv(80, 1)
            self.Conv2d_4a_3x3 = Conv(192, 3)
            self.maxpool2 = nn.MaxPool2D(pool_size=3, strides=2)
            self.Mixed_5b = InceptionA(pool_channels=32)
            self.Mixed_5c = InceptionA(pool_channels=64)
            self.Mixed_5d = InceptionA(pool_channels=64)
            self.Mixed_6a = InceptionB()
            self.Mixed_6b = InceptionC(c7=128)
            self.Mixed_6c = InceptionC(c7=160)
            self.Mixed_6d = InceptionC(c7=160)
            self.Mixed_6e = InceptionC(c7=192)
            self.AuxLogits = InceptionAux(num_classes) if aux else None
            self.Mixed_7a = InceptionD()
            self.Mixed_7b = InceptionE()
            self.Mixed_7c = InceptionE()
            self.avgpool = nn.GlobalAvgPool2D()
            self.dropout = nn.Dropout(0.5)
            self.fc = nn.Dense(num_classes)

    def hybrid_forward(self, F, x):
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.maxpool1(x)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = self.maxpool2(x)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6a(x)
        x = at_17 = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        x = self.Mixed_7a(x)
        x = self.Mixed_7c(self.Mixed_7b(x))
        logits = self.fc(self.dropout(self.avgpool(x)))
        return (logits, self.AuxLogits(at_17)) if self.AuxLogits else logits
