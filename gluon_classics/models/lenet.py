"""LeNet (LeCun, Bottou, Bengio and Haffner 1998): the tutorial's, the paper's LeNet-5, and one for COIL-20.

lenet, the tutorial's network
    input            1 x 28 x 28     1 x 224 x 224
    conv 20@5       20 x 24 x 24    20 x 220 x 220   ReLU
    max pool 2/2    20 x 12 x 12    20 x 110 x 110
    conv 50@3       50 x 10 x 10    50 x 108 x 108   ReLU
    max pool 2/2    50 x  5 x  5    50 x  54 x  54
    dense 128, ReLU; dense 10
    parameters          170,988        18,673,388

Departures from the paper, all made by the tutorial: ReLU instead of tanh, max pooling instead of trainable average
pooling, 20 and 50 channels instead of 6 and 16, full connections between channels, one hidden dense layer instead of
two, and a softmax output. The book that grew out of the tutorial uses sigmoids: ``LeNet(activation="sigmoid")``.

lenet5, figure 2 of the paper; lenet5_1998 is the network without these departures
    input            1 x 32 x 32     parameters
    C1 conv 6@5      6 x 28 x 28            156    tanh
    S2 average 2/2   6 x 14 x 14
    C3 conv 16@5    16 x 10 x 10          2,416    tanh
    S4 average 2/2  16 x  5 x  5
    C5 conv 120@5  120 x  1 x  1         48,120    tanh
    F6 dense        84                   10,164    tanh
    output dense    10                      850
    parameters                           61,706

Departures from the paper: each map of C3 is connected to all of S2, while the paper's Table I connects 60 of the 96
pairs (1,516 parameters); S2 and S4 only average, without the paper's trainable coefficient, bias and sigmoid (12 and 32
parameters); plain tanh instead of 1.7159 tanh(2/3 x); a linear output for the softmax loss instead of RBF units with
hand-set weights. For images larger than 32x32, C5 has more than one pixel, and F6 uses all of them.

coil20_lenet, from BeiCunNan's Image_Classfiation_Coil20 (2022): sigmoids, and one more stage for 128x128
    input           1 x 128 x 128    parameters
    conv 10@10/2   10 x  60 x  60         1,010    sigmoid
    max pool 2/2   10 x  30 x  30
    conv 20@5      20 x  26 x  26         5,020    sigmoid
    max pool 2/2   20 x  13 x  13
    conv 20@4      20 x  10 x  10         6,420    sigmoid
    max pool 2/2   20 x   5 x   5
    conv 20@3      20 x   5 x   5         3,620    padding 1, sigmoid
    dropout 0.5, dense 100                50,100    sigmoid
    dense 60                               6,060    sigmoid
    dense 20                               1,220
    parameters                            73,450

No departures from that project. Six sigmoids in a row pass on little gradient: with the project's learning rate of 1e-4
and Adam the loss stays at chance for forty epochs, with 1e-2 for at least thirty; with 3e-3 and Xavier initialization
it falls within fifteen.
"""

from gluon_classics.models.layers import Network, SequentialNetwork
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn


@register_model("lenet", input_shape=(1, 28, 28), paper="LeCun et al.", year=1998)
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


@register_model("lenet5", input_shape=(1, 32, 32), paper="LeCun et al.", year=1998)
class LeNet5(Network):
    smallest_size = 32

    def __init__(self, num_classes=10, in_channels=1, **kwargs):
        super().__init__(in_channels, **kwargs)
        with self.name_scope():
            self.c1 = nn.Conv2D(6, kernel_size=5, activation="tanh")
            self.s2 = nn.AvgPool2D(pool_size=2, strides=2)
            self.c3 = nn.Conv2D(16, kernel_size=5, activation="tanh")
            self.s4 = nn.AvgPool2D(pool_size=2, strides=2)
            self.c5 = nn.Conv2D(120, kernel_size=5, activation="tanh")
            self.f6 = nn.Dense(84, activation="tanh")
            self.output = nn.Dense(num_classes)

    def hybrid_forward(self, F, x):
        x = self.s2(self.c1(x))
        x = self.s4(self.c3(x))
        x = self.c5(x)
        return self.output(self.f6(x))


@register_model("coil20_lenet", input_shape=(1, 128, 128), paper="COIL-20 project", year=2022)
class Coil20LeNet(SequentialNetwork):
    smallest_size = 64

    def __init__(self, num_classes=20, in_channels=1, **kwargs):
        super().__init__(in_channels=in_channels, **kwargs)
        with self.name_scope():
            self.add(
                nn.Conv2D(10, kernel_size=10, strides=2, activation="sigmoid"),
                nn.MaxPool2D(pool_size=2, strides=2),
                nn.Conv2D(20, kernel_size=5, activation="sigmoid"),
                nn.MaxPool2D(pool_size=2, strides=2),
                nn.Conv2D(20, kernel_size=4, activation="sigmoid"),
                nn.MaxPool2D(pool_size=2, strides=2),
                nn.Conv2D(20, kernel_size=3, padding=1, activation="sigmoid"),
                nn.Flatten(),
                nn.Dropout(0.5),
                nn.Dense(100, activation="sigmoid"),
                nn.Dense(60, activation="sigmoid"),
                nn.Dense(num_classes),
            )
