"""Network in Network (Lin, Chen and Yan 2013): the tutorial's, and the authors' for ImageNet.

nin, the tutorial's network
    input               1 x 224 x 224
    mlpconv 96@11/4    96 x  26 x  26    including max pool 3/2
    mlpconv 256@5     256 x  12 x  12    including max pool 3/2
    mlpconv 384@3     384 x   5 x   5    including max pool 3/2
    dropout 0.5
    mlpconv 10@3       10 x   5 x   5    no pool
    global average     10
    parameters              1,992,166

An mlpconv is a convolution and two 1x1 convolutions, ReLU after each. Departures from the paper, all made by the
tutorial: AlexNet's kernel sizes and channels, 1 input channel, 10 classes, a single dropout.

nin_imagenet, which the authors published for Caffe ("NIN-Imagenet"), with their layer names
    input                              3 x 224 x 224
    conv1 96@11/4, cccp1, cccp2       96 x  54 x  54    ReLU after each convolution
    max pool 3/2                      96 x  27 x  27
    conv2 256@5, cccp3, cccp4        256 x  27 x  27
    max pool 3/2                     256 x  13 x  13
    conv3 384@3, cccp5, cccp6        384 x  13 x  13
    max pool 3/2, dropout 0.5        384 x   6 x   6
    conv4 1024@3, cccp7, cccp8      1000 x   6 x   6
    global average                  1000
    parameters                             7,595,176

A cccp (cascaded cross channel parametric pooling) is a 1x1 convolution. Pools round up, as in Caffe. The paper itself
has no network for ImageNet; its networks have dropout after every mlpconv except the last. Departure from the Caffe
file: the average pool is global, which at 224x224 equals the file's 6x6 and allows other sizes.
"""

from gluon_classics.models.layers import Network, SequentialNetwork
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


@register_model("nin", input_shape=(1, 224, 224), paper="Lin et al.", year=2013)
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


@register_model("nin_imagenet", input_shape=(3, 224, 224), paper="Lin et al.", year=2013)
class NiNImageNet(Network):
    smallest_size = 55

    def __init__(self, num_classes=1000, in_channels=3, **kwargs):
        super().__init__(in_channels, **kwargs)
        with self.name_scope():
            self.conv1 = nn.Conv2D(96, kernel_size=11, strides=4, activation="relu")
            self.cccp1 = nn.Conv2D(96, kernel_size=1, activation="relu")
            self.cccp2 = nn.Conv2D(96, kernel_size=1, activation="relu")
            self.pool1 = nn.MaxPool2D(pool_size=3, strides=2, ceil_mode=True)
            self.conv2 = nn.Conv2D(256, kernel_size=5, padding=2, activation="relu")
            self.cccp3 = nn.Conv2D(256, kernel_size=1, activation="relu")
            self.cccp4 = nn.Conv2D(256, kernel_size=1, activation="relu")
            self.pool2 = nn.MaxPool2D(pool_size=3, strides=2, ceil_mode=True)
            self.conv3 = nn.Conv2D(384, kernel_size=3, padding=1, activation="relu")
            self.cccp5 = nn.Conv2D(384, kernel_size=1, activation="relu")
            self.cccp6 = nn.Conv2D(384, kernel_size=1, activation="relu")
            self.pool3 = nn.MaxPool2D(pool_size=3, strides=2, ceil_mode=True)
            self.drop = nn.Dropout(0.5)
            self.conv4 = nn.Conv2D(1024, kernel_size=3, padding=1, activation="relu")
            self.cccp7 = nn.Conv2D(1024, kernel_size=1, activation="relu")
            self.cccp8 = nn.Conv2D(num_classes, kernel_size=1, activation="relu")
            self.pool4 = nn.GlobalAvgPool2D()
            self.flatten = nn.Flatten()

    def hybrid_forward(self, F, x):
        x = self.pool1(self.cccp2(self.cccp1(self.conv1(x))))
        x = self.pool2(self.cccp4(self.cccp3(self.conv2(x))))
        x = self.pool3(self.cccp6(self.cccp5(self.conv3(x))))
        x = self.cccp8(self.cccp7(self.conv4(self.drop(x))))
        return self.flatten(self.pool4(x))
