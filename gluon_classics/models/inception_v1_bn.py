"""GoogLeNet (Inception v1, Szegedy et al. 2014) with batch norm: torchvision's googlenet.

    input                              3 x 224 x 224
    conv 64@7/2                       64 x 112 x 112
    max 3/2                           64 x  56 x  56
    conv 64@1, 192@3                 192 x  56 x  56
    max 3/2                          192 x  28 x  28
    3a, 3b                           480 x  28 x  28
    max 3/2                          480 x  14 x  14
    4a, 4b, 4c, 4d, 4e               832 x  14 x  14
    max 2/2                          832 x   7 x   7
    5a, 5b                          1024 x   7 x   7
    global average, dropout 0.2, dense 1000
    heads after 4a and 4d: average to 4x4, conv 128@1, dense 1024, dropout 0.7, dense 1000
    parameters                             6,624,904
    with aux=True                         13,004,888

Weight names are those of torchvision's googlenet. Departures from the paper, all made by torchvision: batch norm after
each convolution instead of its bias and of local response normalization; 3x3 instead of 5x5; a last max pool of 2/2
instead of 3/2; heads that pool adaptively to 4x4; dropout 0.2 before the last layer.

With aux=True the network returns (logits, aux1, aux2): head aux1 follows 4a, aux2 follows 4d. torchvision returns
(logits, aux2, aux1), and only in training.
"""

from gluon_classics.models.layers import Network
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


class ConvBN(nn.HybridBlock):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, channels, kernel_size, strides=1, padding=0, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv = nn.Conv2D(channels, kernel_size, strides, padding, use_bias=False)
            self.bn = nn.BatchNorm(epsilon=1e-3)

    def hybrid_forward(self, F, x):
        return F.Activation(self.bn(self.conv(x)), act_type="relu")


class InceptionBN(nn.HybridBlock):
    def __init__(self, n1_1, n2_1, n2_3, n3_1, n3_5, n4_1, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.branch1 = ConvBN(n1_1, kernel_size=1)
            self.branch2 = nn.HybridSequential()
            self.branch2.add(ConvBN(n2_1, kernel_size=1), ConvBN(n2_3, kernel_size=3, padding=1))
            self.branch3 = nn.HybridSequential()
            self.branch3.add(ConvBN(n3_1, kernel_size=1), ConvBN(n3_5, kernel_size=3, padding=1))
            self.branch4 = nn.HybridSequential()
            self.branch4.add(
                nn.MaxPool2D(pool_size=3, strides=1, padding=1, ceil_mode=True), ConvBN(n4_1, kernel_size=1)
            )

    def hybrid_forward(self, F, x):
        return F.concat(self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x), dim=1)


class AuxiliaryHeadBN(nn.HybridBlock):
    def __init__(self, num_classes, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv = ConvBN(128, kernel_size=1)
            self.fc1 = nn.Dense(1024, activation="relu")
            self.dropout = nn.Dropout(0.7)
            self.fc2 = nn.Dense(num_classes)

    def hybrid_forward(self, F, x):
        x = self.conv(F.contrib.AdaptiveAvgPooling2D(x, output_size=(4, 4)))
        return self.fc2(self.dropout(self.fc1(x)))


@register_model("inception_v1_bn", input_shape=(3, 224, 224), paper="Szegedy et al.", year=2014)
class InceptionV1BN(Network):
    smallest_size = 31
    aux_weights = (0.3, 0.3)

    def __init__(self, num_classes=1000, in_channels=3, aux=False, **kwargs):
        super().__init__(in_channels, **kwargs)
        self.aux = aux
        with self.name_scope():
            self.conv1 = ConvBN(64, kernel_size=7, strides=2, padding=3)
            self.maxpool1 = nn.MaxPool2D(pool_size=3, strides=2, ceil_mode=True)
            self.conv2 = ConvBN(64, kernel_size=1)
            self.conv3 = ConvBN(192, kernel_size=3, padding=1)
            self.maxpool2 = nn.MaxPool2D(pool_size=3, strides=2, ceil_mode=True)
            self.inception3a, self.inception3b = (InceptionBN(*row) for row in INCEPTIONS_3)
            self.maxpool3 = nn.MaxPool2D(pool_size=3, strides=2, ceil_mode=True)
            stage_4 = [InceptionBN(*row) for row in INCEPTIONS_4]
            self.inception4a, self.inception4b, self.inception4c, self.inception4d, self.inception4e = stage_4
            self.maxpool4 = nn.MaxPool2D(pool_size=2, strides=2, ceil_mode=True)
            self.inception5a, self.inception5b = (InceptionBN(*row) for row in INCEPTIONS_5)
            self.avgpool = nn.GlobalAvgPool2D()
            self.dropout = nn.Dropout(0.2)
            self.fc = nn.Dense(num_classes)
            if aux:
                self.aux1 = AuxiliaryHeadBN(num_classes)
                self.aux2 = AuxiliaryHeadBN(num_classes)

    def hybrid_forward(self, F, x):
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = x_4a = self.inception4a(x)
        x = x_4d = self.inception4d(self.inception4c(self.inception4b(x)))
        x = self.maxpool4(self.inception4e(x))
        x = self.avgpool(self.inception5b(self.inception5a(x)))
        x = self.fc(self.dropout(x))
        return (x, self.aux1(x_4a), self.aux2(x_4d)) if self.aux else x
