"""AlexNet (Krizhevsky et al. 2012): the tutorial's, the paper's, Krizhevsky's of 2014, and one for COIL-20.

alexnet, the tutorial's network
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

Departures from the paper, all made by the tutorial: a single column of layers instead of two groups on two GPUs, no
local response normalization, no padding on the first convolution, 1 input channel and 10 classes.

alexnet_paper, figure 2 of the paper
    input           3 x 227 x 227
    conv 96@11/4   96 x  55 x  55    ReLU, local response normalization
    max pool 3/2   96 x  27 x  27
    conv 256@5    256 x  27 x  27    two groups, ReLU, local response normalization
    max pool 3/2  256 x  13 x  13
    conv 384@3    384 x  13 x  13    ReLU
    conv 384@3    384 x  13 x  13    two groups, ReLU
    conv 256@3    256 x  13 x  13    two groups, ReLU
    max pool 3/2  256 x   6 x   6
    dense 4096, ReLU, dropout 0.5, twice; dense 1000
    parameters         60,965,224

The two groups stand for the paper's two GPUs, each of which sees half of the channels in convolutions 2, 4 and 5.
Departure from the paper: the input is 227x227. The paper gives 224x224, but 11/4 on that does not produce the 55x55 of
figure 2. (The figure's 253,440 neurons in the first layer are also wrong: they equal 55x48x96.)

alexnet_owt, Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks": a single column
    input           3 x 224 x 224
    conv 64@11/4   64 x  55 x  55    padding 2; ReLU after each convolution
    max pool 3/2   64 x  27 x  27
    conv 192@5    192 x  27 x  27
    max pool 3/2  192 x  13 x  13
    conv 384@3    384 x  13 x  13
    conv 256@3    256 x  13 x  13    twice
    max pool 3/2  256 x   6 x   6
    dropout 0.5, dense 4096, ReLU, twice; dense 1000
    parameters         61,100,840

Weight names are those of torchvision's alexnet. Departures from that paper, all made by torchvision: 256 channels in
the fourth convolution instead of a footnote's 384 (256 gives the 0.2 % more parameters than in 2012 that the paper
claims, 384 would give 1.4 %); no local response normalization; dropout before the dense layers instead of after them;
one softmax instead of 1000 independent logistic units; an adaptive average pool to 6x6, which allows other input sizes
and does nothing at 224x224.

coil20_alexnet, from BeiCunNan's Image_Classfiation_Coil20 (2022): the paper's sizes after the first convolution
    input           1 x 128 x 128
    conv 96@20/2   96 x  55 x  55    ReLU after each convolution
    max pool 3/2   96 x  27 x  27
    conv 256@5    256 x  27 x  27    padding 2
    max pool 3/2  256 x  13 x  13
    conv 384@3    384 x  13 x  13    twice
    conv 256@3    256 x  13 x  13
    max pool 3/2  256 x   6 x   6
    dropout 0.5, dense 4096, ReLU, twice; dense 20
    parameters         58,366,836

No departures from that project. Like the tutorial it has a single column and no local response normalization; like
alexnet_owt it has dropout before the dense layers.
"""

from gluon_classics.models.layers import Network, SequentialNetwork
from gluon_classics.models.registry import register_model

from mxnet.gluon import nn


@register_model("alexnet", input_shape=(1, 224, 224), paper="Krizhevsky et al.", year=2012)
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


class LocalResponseNorm(nn.HybridBlock):
    """Divide by (k + alpha * the sum of squares over n neighbouring channels) ** beta (section 3.3 of the paper)."""

    def hybrid_forward(self, F, x):
        # The paper has n=5, k=2, alpha=1e-4 and beta=0.75, and multiplies the sum of the squares by alpha. MXNet, like
        # Caffe, multiplies their mean over n, so alpha is five times as large here.
        return F.LRN(x, nsize=5, knorm=2, alpha=5e-4, beta=0.75)


@register_model("alexnet_paper", input_shape=(3, 227, 227), paper="Krizhevsky et al.", year=2012)
class AlexNetPaper(Network):
    smallest_size = 67

    def __init__(self, num_classes=1000, in_channels=3, **kwargs):
        super().__init__(in_channels, **kwargs)
        with self.name_scope():
            self.conv1 = nn.Conv2D(96, kernel_size=11, strides=4, activation="relu")
            self.norm1 = LocalResponseNorm()
            self.pool1 = nn.MaxPool2D(pool_size=3, strides=2)
            self.conv2 = nn.Conv2D(256, kernel_size=5, padding=2, groups=2, activation="relu")
            self.norm2 = LocalResponseNorm()
            self.pool2 = nn.MaxPool2D(pool_size=3, strides=2)
            self.conv3 = nn.Conv2D(384, kernel_size=3, padding=1, activation="relu")
            self.conv4 = nn.Conv2D(384, kernel_size=3, padding=1, groups=2, activation="relu")
            self.conv5 = nn.Conv2D(256, kernel_size=3, padding=1, groups=2, activation="relu")
            self.pool5 = nn.MaxPool2D(pool_size=3, strides=2)
            self.fc6 = nn.Dense(4096, activation="relu")
            self.drop6 = nn.Dropout(0.5)
            self.fc7 = nn.Dense(4096, activation="relu")
            self.drop7 = nn.Dropout(0.5)
            self.fc8 = nn.Dense(num_classes)

    def hybrid_forward(self, F, x):
        x = self.pool1(self.norm1(self.conv1(x)))
        x = self.pool2(self.norm2(self.conv2(x)))
        x = self.pool5(self.conv5(self.conv4(self.conv3(x))))
        x = self.drop6(self.fc6(x))
        x = self.drop7(self.fc7(x))
        return self.fc8(x)


@register_model("alexnet_owt", input_shape=(3, 224, 224), paper="Krizhevsky", year=2014)
class AlexNetOneWeirdTrick(Network):
    smallest_size = 63

    def __init__(self, num_classes=1000, in_channels=3, **kwargs):
        super().__init__(in_channels, **kwargs)
        with self.name_scope():
            self.features = nn.HybridSequential()
            self.features.add(
                nn.Conv2D(64, kernel_size=11, strides=4, padding=2),
                nn.Activation("relu"),
                nn.MaxPool2D(pool_size=3, strides=2),
                nn.Conv2D(192, kernel_size=5, padding=2),
                nn.Activation("relu"),
                nn.MaxPool2D(pool_size=3, strides=2),
                nn.Conv2D(384, kernel_size=3, padding=1),
                nn.Activation("relu"),
                nn.Conv2D(256, kernel_size=3, padding=1),
                nn.Activation("relu"),
                nn.Conv2D(256, kernel_size=3, padding=1),
                nn.Activation("relu"),
                nn.MaxPool2D(pool_size=3, strides=2),
            )
            self.classifier = nn.HybridSequential()
            self.classifier.add(
                nn.Dropout(0.5),
                nn.Dense(4096),
                nn.Activation("relu"),
                nn.Dropout(0.5),
                nn.Dense(4096),
                nn.Activation("relu"),
                nn.Dense(num_classes),
            )

    def hybrid_forward(self, F, x):
        x = self.features(x)
        x = F.contrib.AdaptiveAvgPooling2D(x, output_size=(6, 6))
        return self.classifier(x)


@register_model("coil20_alexnet", input_shape=(1, 128, 128), paper="COIL-20 project", year=2022)
class Coil20AlexNet(SequentialNetwork):
    smallest_size = 48

    def __init__(self, num_classes=20, in_channels=1, **kwargs):
        super().__init__(in_channels=in_channels, **kwargs)
        with self.name_scope():
            self.add(
                nn.Conv2D(96, kernel_size=20, strides=2, activation="relu"),
                nn.MaxPool2D(pool_size=3, strides=2),
                nn.Conv2D(256, kernel_size=5, padding=2, activation="relu"),
                nn.MaxPool2D(pool_size=3, strides=2),
                nn.Conv2D(384, kernel_size=3, padding=1, activation="relu"),
                nn.Conv2D(384, kernel_size=3, padding=1, activation="relu"),
                nn.Conv2D(256, kernel_size=3, padding=1, activation="relu"),
                nn.MaxPool2D(pool_size=3, strides=2),
                nn.Flatten(),
                nn.Dropout(0.5),
                nn.Dense(4096, activation="relu"),
                nn.Dropout(0.5),
                nn.Dense(4096, activation="relu"),
                nn.Dense(num_classes),
            )
