"""AlexNet, the tutorial's version of Krizhevsky, Sutskever and Hinton 2012.

    input           1 x 224 x 224
    conv 96@11/4   96 x  54 x  54    ReLU
    max pool 3/2   96 x  26 x  26
    conv 256@5    256 x  26 x  26    ReLU
    max pool 3/2  256 x  12 x  12
    conv 384@3    384 x  12 x  12    ReLU, twice
    conv 256@3    256 x  12 x  12    ReLU
    max pool 3/2  256 x   5 x   5
    dense 4096, ReLU, dropout 0.5, twice; dense 10
    parameters         46,764,746

Departures from the paper, all of them the tutorial's: one column of layers where the paper splits them in two groups
for two GPUs, no local response normalization, no padding on the first convolution, 1 channel and 10 classes.
"""

from gluon_classics.models.layers import SequentialNetwork
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn


@register_model("alexnet", input_shape=(1, 224, 224), paper="Krizhevsky et al. 2012", year=2012)
class AlexNet(SequentialNetwork):
    smallest_size = 67

    def __init__(self, num_classes=10, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.add(
                # stage 1
                nn.Conv2D(channels=96, kernel_size=11, strides=4, activation="relu"),
                nn.MaxPool2D(pool_size=3, strides=2),
                # stage 2
                nn.Conv2D(channels=256, kernel_size=5, padding=2, activation="relu"),
                nn.MaxPool2D(pool_size=3, strides=2),
                # stage 3
                nn.Conv2D(channels=384, kernel_size=3, padding=1, activation="relu"),
                nn.Conv2D(channels=384, kernel_size=3, padding=1, activation="relu"),
                nn.Conv2D(channels=256, kernel_size=3, padding=1, activation="relu"),
                nn.MaxPool2D(pool_size=3, strides=2),
                # stage 4
                nn.Flatten(),
                nn.Dense(4096, activation="relu"),
                nn.Dropout(0.5),
                # stage 5
                nn.Dense(4096, activation="relu"),
                nn.Dropout(0.5),
                # stage 6
                nn.Dense(num_classes),
            )
