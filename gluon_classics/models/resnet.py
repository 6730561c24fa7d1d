"""ResNet-18, the tutorial's version of He, Zhang, Ren and Sun 2015.

    input                           1 x 224 x 224
    b1 conv 64@7/2                 64 x 109 x 109
    b2 max 3/2, two Residuals      64 x  54 x  54
    b3 two Residuals, halving     128 x  27 x  27
    b4 two Residuals, halving     256 x  14 x  14
    b5 two Residuals, halving     512 x   7 x   7
    b6 average pool 3, dense 10    10
    parameters                         11,193,610

Departures from the paper, all of them the tutorial's: no padding, batch norm or ReLU at the first convolution, biases
in every convolution, no batch norm on the 1x1 projections, an average pool of 3 in place of the global one (which
leaves 2x2 pixels of a 224x224 image to the dense layer).
"""

from gluon_classics.models.layers import SequentialNetwork
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn


class Residual(nn.HybridBlock):
    """Two 3x3 convolutions and a shortcut; where it halves the size, a 1x1 convolution is the shortcut."""

    def __init__(self, channels, same_shape=True, **kwargs):
        super().__init__(**kwargs)
        strides = 1 if same_shape else 2
        self.same_shape = same_shape
        with self.name_scope():
            self.conv1 = nn.Conv2D(channels, kernel_size=3, padding=1, strides=strides)
            self.bn1 = nn.BatchNorm()
            self.conv2 = nn.Conv2D(channels, kernel_size=3, padding=1)
            self.bn2 = nn.BatchNorm()
            if not same_shape:
                self.conv3 = nn.Conv2D(channels, kernel_size=1, strides=strides)

    def hybrid_forward(self, F, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if not self.same_shape:
            x = self.conv3(x)
        return F.relu(out + x)


@register_model("resnet", input_shape=(1, 224, 224), paper="He et al. 2015", year=2015)
class ResNet(SequentialNetwork):
    smallest_size = 75

    def __init__(self, num_classes=10, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.add_block(nn.Conv2D(64, kernel_size=7, strides=2))
            self.add_block(nn.MaxPool2D(pool_size=3, strides=2), Residual(64), Residual(64))
            self.add_block(Residual(128, same_shape=False), Residual(128))
            self.add_block(Residual(256, same_shape=False), Residual(256))
            self.add_block(Residual(512, same_shape=False), Residual(512))
            self.add_block(nn.AvgPool2D(pool_size=3), nn.Dense(num_classes))
