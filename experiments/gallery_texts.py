"""What the gallery says about each network: the idea, and what was new. Error rates are the papers' own."""

TEXTS = {
    "lenet": (
        "The tutorial's first network: two convolutions, each followed by 2x2 max pooling, and two dense layers. It "
        "keeps the structure of LeNet-5, but with ReLU and max pooling, which came later. It trains in seconds."
    ),
    "lenet5": (
        "A convolution shares its weights across the image: it recognises a stroke wherever it is, with a fraction of "
        "the parameters of a dense layer. Subsampling makes the result tolerant of small shifts. The network was "
        "trained by back-propagation from pixels to classes, read digits on bank cheques, and reached an error of "
        "0.95 % on MNIST."
    ),
    "lenet5_1998": (
        "LeNet-5 as its paper has it, with exactly 60,000 trainable parameters. Subsampling has a trainable "
        "coefficient and bias for each map. Each map of the second convolution reads only some of the six maps before "
        "it, 60 of the 96 pairs, so that the maps have to learn different features. The output is the squared "
        "distance to a fixed 7x12 picture of each digit, and the activation is 1.7159 tanh(2/3 x)."
    ),
    "alexnet": (
        "The tutorial's AlexNet, for one channel and ten classes. It is deeper than LeNet, has 270 times its "
        "parameters, and adds overlapping pooling and dropout. More than half of the parameters are in the first "
        "dense layer."
    ),
    "alexnet_paper": (
        "The network that won the ImageNet competition of 2012 with a top-5 error of 15.3 %; the next best had 26.2 "
        "%. It showed that ReLU trains several times faster than tanh, and combined it with dropout in the dense "
        "layers and strong augmentation. It was trained on two GPUs, so its second, fourth and fifth convolutions are "
        "split into two groups."
    ),
    "nin": (
        "The tutorial's Network in Network: each large kernel is followed by two 1x1 convolutions, which act as a "
        "small dense network at every pixel. The last block has one channel per class, and global average pooling "
        "turns it into class scores. Without dense layers, it has 23 times fewer parameters than the tutorial's "
        "AlexNet."
    ),
    "nin_imagenet": (
        "The authors' network for ImageNet. It introduced 1x1 convolutions as dense layers at every pixel, and global "
        "average pooling instead of dense layers at the end, which gives each class a map that can be inspected. Most "
        "later networks use both ideas."
    ),
    "alexnet_owt": (
        "AlexNet as a single column, without groups and local response normalization. It comes from a paper on "
        "training with many GPUs: data parallelism for the convolutions, model parallelism for the dense layers. This "
        "is the AlexNet in today's libraries."
    ),
    "googlenet": (
        "The tutorial's GoogLeNet. An Inception module does not choose between 1x1, 3x3 and 5x5 kernels: it applies "
        "all of them and a pooling in parallel and concatenates the outputs. 1x1 convolutions before the larger "
        "kernels reduce the channels and so the cost."
    ),
    "googlenet_as_printed": (
        "The tutorial's listing has 1x1 kernels where its own text and figure have 3x3 and 5x5. This network follows "
        "the listing, for comparison: it has half the parameters, and only the pooling path of a module sees more "
        "than one pixel."
    ),
    "inception_v1": (
        "The winner of 2014, with a top-5 error of 6.7 % and a ninth of AlexNet's parameters. It has 22 layers, among "
        "them nine Inception modules, and global average pooling instead of large dense layers. During training, two "
        "auxiliary heads feed gradients into the middle of the network."
    ),
    "inception_v1_bn": (
        "Inception v1 with batch normalization (Ioffe and Szegedy 2015) after every convolution. It keeps each "
        "channel at mean 0 and variance 1 over the batch and allows much higher learning rates; the paper reached "
        "Inception's accuracy in 14 times fewer steps. This version is torchvision's googlenet, with 3x3 kernels "
        "instead of 5x5."
    ),
    "vgg": (
        "The tutorial's VGG, with ten convolutions. Each block has 3x3 convolutions and a pooling that halves the "
        "image while the channels double. A short list of pairs describes the convolutions completely."
    ),
    "vgg11": (
        "Two 3x3 convolutions see as much of the image as one 5x5, with fewer weights and one more ReLU. VGG uses 3x3 "
        "kernels throughout and gains its accuracy from depth. This is network A of the paper, the shallowest; its "
        "weights initialized the deeper ones."
    ),
    "vgg11_bn": (
        "VGG-11 with batch norm after each convolution, which did not exist when the paper was written. It trains "
        "from random weights, without a shallower network to start from."
    ),
    "vgg13": (
        "Network B of the paper: two convolutions in each of the five blocks, ten in all. The two it adds to VGG-11 "
        "are at the highest resolutions, so it costs half as much again."
    ),
    "vgg13_bn": (
        "VGG-13 with batch norm after each convolution. Like VGG-11 with batch norm, it trains from random weights."
    ),
    "vgg16": (
        "Network D of the paper, and the best known: 13 convolutions and three dense layers, which hold nine tenths "
        "of the weights. VGG took second place in 2014 with a top-5 error of 7.3 %. Its features were used for "
        "detection, segmentation and style transfer for years."
    ),
    "vgg16_bn": (
        "VGG-16 with batch norm after each convolution. Like VGG-11 with batch norm, it trains from random weights."
    ),
    "vgg19": (
        "Network E of the paper, the deepest: four convolutions in each of the last three blocks. It is hardly better "
        "than VGG-16, and the paper goes no deeper. A year later ResNet had eight times as many layers."
    ),
    "vgg19_bn": (
        "VGG-19 with batch norm after each convolution. Like VGG-11 with batch norm, it trains from random weights."
    ),
    "inception_v3": (
        "An Inception network designed by explicit rules: two 3x3 kernels replace a 5x5, and 1x7 followed by 7x1 "
        "replaces a 7x7. Pooling and strided convolutions halve the image in parallel, which avoids a bottleneck. "
        "With label smoothing, the error on a single crop is 21.2 % (top-1) and 5.6 % (top-5)."
    ),
    "resnet": (
        "The tutorial's ResNet-18. A residual block learns what to add to its input, and can learn to add nothing. "
        "Gradients flow back through the additions unchanged."
    ),
    "resnet18": (
        "Plain networks with 34 layers had a higher training error than those with 18: depth made them harder to "
        "optimize. With a shortcut around every two convolutions, deeper networks became better. This is the smallest "
        "of the family, built from basic blocks of two 3x3 convolutions."
    ),
    "resnet34": (
        "Basic blocks as in ResNet-18, with 3, 4, 6 and 3 blocks in the four stages. It is more accurate than "
        "ResNet-18, whereas the plain network of the same depth is less accurate than its shallower counterpart."
    ),
    "resnet50": (
        "Bottleneck blocks: a 1x1 convolution reduces the channels to a quarter, a 3x3 follows, and a 1x1 restores "
        "them. This makes 50 layers cost little more than 34. As in torchvision (version 1.5), the stride is in the "
        "3x3 convolution."
    ),
    "resnet101": (
        "ResNet-50 with 23 instead of 6 blocks in the third stage. The 51 additional layers nearly double the cost."
    ),
    "resnet152": (
        "The deepest ImageNet network of the paper, with 8 blocks in the second stage and 36 in the third. A single "
        "one has a top-5 error of 4.5 %; an ensemble won the ImageNet competition of 2015 with 3.57 %."
    ),
    "inception_v4": (
        "A simplified Inception design: one stem, and three kinds of modules, repeated 4, 7 and 3 times, with a "
        "reduction module between the kinds. Earlier versions kept irregularities that their distributed training had "
        "required."
    ),
    "inception_resnet_v2": (
        "Inception modules with residual shortcuts. The output of each module is scaled by 0.1 to 0.2 before the "
        "addition, because networks this wide were unstable without it. It learns faster than Inception v4 and "
        "reaches about the same accuracy; three of these networks and one v4 have a top-5 error of 3.08 %."
    ),
    "resnext50_32x4d": (
        "A ResNet-50 whose 3x3 convolutions are split into 32 groups of 4 channels, that is, the sum of 32 small "
        "transformations in parallel. At equal cost, more groups helped more than more width or depth: the top-1 "
        "error is 22.2 %, against 23.9 % for ResNet-50."
    ),
    "xception": (
        "The extreme form of Inception: it assumes that correlations across space and across channels can be treated "
        "separately. Depthwise separable convolutions replace the modules: one kernel per channel, then a 1x1 "
        "convolution across channels. The top-1 error is 21.0 %, with as many parameters as Inception v3."
    ),
    "efficientnet_b0": (
        "The result of an automatic search for accuracy at a given cost. Its blocks are inverted bottlenecks (1x1 to "
        "more channels, depthwise, 1x1 back) with squeeze and excitation, which scales each channel by a weight "
        "computed from the entire image. It is the base of the EfficientNet family."
    ),
    "efficientnet_b1": (
        "Compound scaling: depth, width and resolution grow together, as fixed powers of one coefficient. B1 is 1.1 "
        "times as deep as B0, at 240 pixels."
    ),
    "efficientnet_b2": (
        "1.1 times the width and 1.2 times the depth of B0, at 260 pixels. It needs 2.6 times the multiply- "
        "accumulates of B0."
    ),
    "efficientnet_b3": (
        "1.2 times the width and 1.4 times the depth of B0, at 300 pixels. It needs 4.7 times the multiply- "
        "accumulates of B0."
    ),
    "efficientnet_b4": (
        "1.4 times the width and 1.8 times the depth of B0, at 380 pixels. It costs about as much as ResNet-50."
    ),
    "efficientnet_b5": (
        "1.6 times the width and 2.2 times the depth of B0, at 456 pixels. It needs 27 times the multiply-accumulates "
        "of B0."
    ),
    "efficientnet_b6": (
        "1.8 times the width and 2.6 times the depth of B0, at 528 pixels. It needs 49 times the multiply-accumulates "
        "of B0."
    ),
    "efficientnet_b7": (
        "Twice the width and 3.1 times the depth of B0, at 600 pixels. Its top-1 error is 15.7 %, equal to that of "
        "the best network at the time, which was 8.4 times larger."
    ),
    "efficientnet_lite0": (
        "B0 for phones and integer arithmetic: no squeeze and excitation, and ReLU6 instead of swish. Its stem and "
        "head keep their size across the family."
    ),
    "coil20_lenet": (
        "A network for COIL-20's grey images of 128x128: four convolutions, the first with a 10x10 kernel, and "
        "sigmoid activations. It is the smallest of the six networks for COIL-20, and the hardest to train."
    ),
    "coil20_alexnet": (
        "AlexNet for COIL-20's grey images of 128x128. Its first convolution is 20x20, chosen so that the feature "
        "maps end at the 6x6 that the dense layers expect."
    ),
    "coil20_googlenet": (
        "GoogLeNet for COIL-20's grey images of 128x128. Its first convolution is 17x17 and turns 128 pixels into 112."
    ),
    "coil20_vgg16": (
        "VGG-16 with batch norm, a 17x17 convolution in place of the first pooling, and two more dense layers. Most "
        "of its multiply-accumulates are in that one convolution."
    ),
    "coil20_resnet50": (
        "ResNet-50 for COIL-20's grey images of 128x128. Its first convolution is 17x17 at full resolution, and it "
        "ends in three dense layers."
    ),
    "coil20_efficientnet": (
        "EfficientNet-B0 for one channel and 20 objects. The COIL-20 project announced this network and never "
        "finished it."
    ),
}
