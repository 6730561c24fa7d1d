"""LeNet, the tutorial's version of LeCun, Bottou, Bengio and Haffner 1998.

    input            1 x 28 x 28     1 x 224 x 224
    conv 20@5       20 x 24 x 24    20 x 220 x 220   ReLU
    max pool 2/2    20 x 12 x 12    20 x 110 x 110
    conv 50@3       50 x 10 x 10    50 x 108 x 108   ReLU
    max pool 2/2    50 x  5 x  5    50 x  54 x  54
    dense 128, ReLU; dense 10
    parameters          170,988        18,673,388

Departures from the paper, all of them the tutorial's: ReLU for tanh, max for trainable average pooling, 20 and 50
channels for 6 and 16, every channel connected to every one, one hidden dense layer for two, and a softmax at the end.
The book that grew out of the tutorial keeps sigmoids: ``LeNet(activation="sigmoid")``.
"""

from gluon_classics.models.layers import SequentialNetwork
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn


@register_model("lenet", input_shape=(1, 28, 28), paper="LeCun et al. 1998", year=1998)
class LeNet(SequentialNetwork):
    smallest_size = 12

    def __init__(self, num_classes=10, activation="relu", **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.add(
                nn.Conv2D(channels=20, kernel_size=5, activation=activation),
                nn.MaxPool2D(pool_size=2, strides=2),
                nn.Conv2D(channels=50, kernel_size=3, activation=activation),
                nn.MaxPool2D(pool_size=2, strides=2),
                nn.Flatten(),
                nn.Dense(128, activation=activation),
                nn.Dense(num_classes),
            )
