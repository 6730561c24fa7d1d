"""LeNet-5 as printed (LeCun, Bottou, Bengio and Haffner 1998, section II.B); ``lenet5`` is today's simplified version.

lenet5_1998
    input             1 x 32 x 32    parameters    connections
    C1 conv 6@5       6 x 28 x 28           156        122,304
    S2 subsample 2/2  6 x 14 x 14            12          5,880
    C3 conv 16@5     16 x 10 x 10         1,516        151,600    60 of 96 pairs of maps, TABLE_I
    S4 subsample 2/2 16 x  5 x  5            32          2,000
    C5 conv 120@5   120 x  1 x  1        48,120         48,120
    F6 dense         84                  10,164         10,164
    output RBF       10               840 fixed            840
    total                                60,000        340,908

Each layer up to F6 ends in the squashing function 1.7159 tanh(2/3 x). A unit of S2 and S4 adds its four inputs,
multiplies the sum by its map's coefficient, and adds its map's bias. An output unit is the squared distance between F6
and the class's bitmap, whose 84 pixels are -1 or +1. The network returns minus the distances: the largest logit is the
nearest bitmap.

The bitmaps are the ten digits. ``num_classes`` below 10 takes the first ones, and above 10 raises ValueError. For
classes other than digits they are arbitrary fixed codes.

Weights and biases start uniformly between -2.4/F and 2.4/F (appendix A), where F is the number of a unit's inputs. The
layers carry this initialization, and ``initialize`` with another one does not replace it.

What the paper leaves open:
- Whether F counts the bias. Here it does not: F is 25, 4, 75 to 150, 4, 400 and 120.
- The constant j of the loss, equation (9). ``training.MaximumAPosteriori`` takes it as an argument.

Departures from the paper: BITMAPS are drawn after figure 3, but not pixel by pixel. For images larger than 32x32, C5
has more than one pixel, and F6 uses all of them. The default recipe trains with softmax cross-entropy, as for every
network here, which is equation (9) without the term exp(-j). |F6|^2 then cancels: the loss compares the distances
without pulling F6 towards a bitmap. The recipe uses SGD with momentum instead of stochastic diagonal
Levenberg-Marquardt, normalizes pixels by mean and standard deviation instead of to -0.1 and 1.175, and enlarges images
of 28x28 instead of padding them.
"""

from itertools import groupby

from gluon_classics.models.layers import Network
from gluon_classics.models.registry import register_model

import numpy as np
from mxnet import init
from mxnet.gluon import nn

# Table I of the paper: a row for each map of S2, a column for each map of C3
TABLE_I = (
    # 1 2 3 4 5 6 7 8 9 10  12  14
    "X       X X X     X X X X   X X",
    "X X       X X X     X X X X   X",
    "X X X       X X X     X   X X X",
    "  X X X     X X X X     X   X X",
    "    X X X     X X X X   X X   X",
    "      X X X     X X X X   X X X",
)

# 7x12 pixels for each digit
BITMAPS = (
    "..###..   ...##..   .#####.   #######   ....##.   #######   ..####.   #######   .#####.   .#####.",
    ".##.##.   ..###..   ##...##   .....##   ...###.   ##.....   .##....   .....##   ##...##   ##...##",
    "##...##   .####..   .....##   ....##.   ..####.   ##.....   ##.....   ....##.   ##...##   ##...##",
    "##...##   ...##..   .....##   ...##..   .##.##.   ##.....   ##.....   ....##.   ##...##   ##...##",
    "##...##   ...##..   ....##.   ..####.   ##..##.   ######.   ######.   ...##..   .#####.   ##...##",
    "##...##   ...##..   ...##..   .....##   ##..##.   .....##   ##...##   ...##..   ##...##   .######",
    "##...##   ...##..   ..##...   .....##   #######   .....##   ##...##   ..##...   ##...##   .....##",
    "##...##   ...##..   .##....   .....##   ....##.   .....##   ##...##   ..##...   ##...##   .....##",
    ".##.##.   ...##..   ##.....   ##...##   ....##.   ##...##   ##...##   .##....   ##...##   ....##.",
    "..###..   .######   #######   .#####.   ....##.   .#####.   .#####.   .##....   .#####.   .####..",
    ".......   .......   .......   .......   .......   .......   .......   .......   .......   .......",
    ".......   .......   .......   .......   .......   .......   .......   .......   .......   .......",
)


def c3_inputs():
    """Return the maps of S2 that each map of C3 is connected to, column by column of TABLE_I."""
    return [[s2 for s2, row in enumerate(TABLE_I) if row[2 * c3] == "X"] for c3 in range(16)]


def bitmaps():
    """Return the fixed weights of the output units, -1 and +1, as an array (10, 84)."""
    digits = zip(*(row.split() for row in BITMAPS))
    return np.array([[1 if pixel == "#" else -1 for pixel in "".join(digit)] for digit in digits], dtype="float32")


def starts(fan_in):
    """The initializers of a layer whose units have `fan_in` inputs, as arguments of the layer."""
    uniform = init.Uniform(2.4 / fan_in)
    return {"weight_initializer": uniform, "bias_initializer": uniform}


def squash(F, x):
    return 1.7159 * F.Activation(2 / 3 * x, act_type="tanh")


class Subsampling(nn.HybridBlock):
    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.average = nn.AvgPool2D(pool_size=2, strides=2)
            # one coefficient and one bias for each map
            self.scale = nn.Conv2D(channels, kernel_size=1, groups=channels, in_channels=channels, **starts(4))

    def hybrid_forward(self, F, x):
        return squash(F, self.scale(4 * self.average(x)))


class TableConvolution(nn.HybridBlock):
    """C3: neighbouring maps with the same number of inputs are the groups of one convolution."""

    def __init__(self, inputs, kernel_size, **kwargs):
        super().__init__(**kwargs)
        self.convs = []
        with self.name_scope():
            for i, (count, maps) in enumerate(groupby(inputs, len)):
                maps = list(maps)
                order = self.params.get_constant(f"order{i}", np.concatenate(maps))
                setattr(self, f"order{i}", order)
                start = starts(count * kernel_size**2)
                conv = nn.Conv2D(len(maps), kernel_size, groups=len(maps), in_channels=count * len(maps), **start)
                self.convs.append(conv)
                self.register_child(conv, f"conv{i}")

    def hybrid_forward(self, F, x, **orders):
        parts = [conv(F.take(x, orders[f"order{i}"], axis=1)) for i, conv in enumerate(self.convs)]
        return F.concat(*parts, dim=1)


class RBF(nn.HybridBlock):
    """Return minus the squared distances of F6 (N, 84) to `centres` (num_classes, 84)."""

    def __init__(self, centres, **kwargs):
        super().__init__(**kwargs)
        self.classes, self.inputs = centres.shape
        with self.name_scope():
            self.centres = self.params.get_constant("centres", centres)

    def hybrid_forward(self, F, x, centres):
        # -|x - w|^2 = 2 x w - |x|^2 - |w|^2, and |w|^2 is 84, for each w is -1 or +1
        products = F.FullyConnected(x, centres, no_bias=True, num_hidden=self.classes)
        return F.broadcast_sub(2 * products, F.sum(F.square(x), axis=1, keepdims=True) + self.inputs)


@register_model("lenet5_1998", input_shape=(1, 32, 32), paper="LeCun et al.", year=1998)
class LeNet5Paper(Network):
    smallest_size = 32

    def __init__(self, num_classes=10, in_channels=1, **kwargs):
        super().__init__(in_channels, **kwargs)
        if num_classes > 10:
            raise ValueError(
                f"lenet5_1998 has bitmaps of ten digits, and num_classes is {num_classes}: take 10 or less, or lenet5, "
                "which learns its output layer"
            )
        with self.name_scope():
            self.c1 = nn.Conv2D(6, kernel_size=5, in_channels=in_channels, **starts(25 * in_channels))
            self.s2 = Subsampling(6)
            self.c3 = TableConvolution(c3_inputs(), kernel_size=5)
            self.s4 = Subsampling(16)
            self.c5 = nn.Conv2D(120, kernel_size=5, in_channels=16, **starts(400))
            self.f6 = nn.Dense(84, **starts(120))
            self.output = RBF(bitmaps()[:num_classes])

    def hybrid_forward(self, F, x):
        x = self.s2(squash(F, self.c1(x)))
        x = self.s4(squash(F, self.c3(x)))
        x = squash(F, self.c5(x))
        return self.output(squash(F, self.f6(x)))
