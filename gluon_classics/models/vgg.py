"""VGG, the tutorial's version of Simonyan and Zisserman 2014.

    input            1 x 224 x 224
    2 conv  64@3    64 x 112 x 112    ReLU after each convolution, max pool 2/2 after each block
    2 conv 128@3   128 x  56 x  56
    2 conv 256@3   256 x  28 x  28
    2 conv 512@3   512 x  14 x  14
    2 conv 512@3   512 x   7 x   7
    dense 4096, ReLU, dropout 0.5, twice; dense 10
    parameters         128,990,666

The tutorial's architecture is configuration B of the paper's Table 1 (VGG-13), for 1 channel and 10 classes; it does
not depart from it otherwise. ``VGGNet(architecture)`` takes any other; the book that grew out of the tutorial trains
configuration A (VGG-11) at a quarter of its width.
"""

from gluon_classics.models.layers import SequentialNetwork
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn

# (convolutions, channels) of each block
VGG_13 = ((2, 64), (2, 128), (2, 256), (2, 512), (2, 512))
VGG_11_QUARTER_WIDTH = ((1, 16), (1, 32), (2, 64), (2, 128), (2, 128))


def vgg_block(num_convs, channels):
    block = nn.HybridSequential()
    for _ in range(num_convs):
        block.add(nn.Conv2D(channels=channels, kernel_size=3, padding=1, activation="relu"))
    block.add(nn.MaxPool2D(pool_size=2, strides=2))
    return block


def vgg_stack(architecture):
    stack = nn.HybridSequential()
    for num_convs, channels in architecture:
        stack.add(vgg_block(num_convs, channels))
    return stack


@register_model("vgg", input_shape=(1, 224, 224), paper="Simonyan and Zisserman 2014", year=2014)
class VGGNet(SequentialNetwork):
    def __init__(self, architecture=VGG_13, num_classes=10, **kwargs):
        super().__init__(**kwargs)
        self.smallest_size = 2 ** len(architecture)  # each block's pool halves
        with self.name_scope():
            self.add(
                vgg_stack(architecture),
                nn.Flatten(),
                nn.Dense(4096, activation="relu"),
                nn.Dropout(0.5),
                nn.Dense(4096, activation="relu"),
                nn.Dropout(0.5),
                nn.Dense(num_classes),
            )
