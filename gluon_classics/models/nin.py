"""Network in Network, the tutorial's version of Lin, Chen and Yan 2013.

    input               1 x 224 x 224
    mlpconv 96@11/4    96 x  26 x  26    with its max pool 3/2
    mlpconv 256@5     256 x  12 x  12    with its max pool 3/2
    mlpconv 384@3     384 x   5 x   5    with its max pool 3/2
    dropout 0.5
    mlpconv 10@3       10 x   5 x   5    no pool
    global average     10
    parameters              1,992,166

An mlpconv is a convolution and two 1x1 convolutions, ReLU after each. Departures from the paper, all of them the
tutorial's: AlexNet's kernel sizes and channels, one channel of input, 10 classes, one dropout.
"""

from gluon_classics.models.layers import SequentialNetwork
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn


def mlpconv(channels, kernel_size, padding, strides=1, max_pooling=True):
    block = nn.HybridSequential()
    block.add(
        nn.Conv2D(channels=channels, kernel_size=kernel_size, strides=strides, padding=padding, activation="relu"),
        nn.Conv2D(channels=channels, kernel_size=1, activation="relu"),
        nn.Conv2D(channels=channels, kernel_size=1, activation="relu"),
    )
    if max_pooling:
        block.add(nn.MaxPool2D(pool_size=3, strides=2))
    return block


@register_model("nin", input_shape=(1, 224, 224), paper="Lin et al. 2013", year=2013)
class NiNNet(SequentialNetwork):
    smallest_size = 67

    def __init__(self, num_classes=10, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.add(
                mlpconv(96, 11, 0, strides=4),
                mlpconv(256, 5, 2),
                mlpconv(384, 3, 1),
                nn.Dropout(0.5),
                mlpconv(num_classes, 3, 1, max_pooling=False),
                nn.GlobalAvgPool2D(),
                nn.Flatten(),
            )
