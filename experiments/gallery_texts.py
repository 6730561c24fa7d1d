"""What the gallery says of each network: the idea, and what was new. Error rates are the papers' own."""

TEXTS = {
    "lenet": (
        "The tutorial's first network: two convolutions that look for local patterns, each followed by a pool that "
        "keeps the strongest answer of four neighbours, and two dense layers that decide. It keeps the plan of "
        "LeNet-5, with the ReLU and the max pooling of later years, and trains in seconds."
    ),
    "lenet5": (
        "Convolutions share their weights over the picture, so that a stroke is recognised wherever it is, with a "
        "fraction of a dense layer's parameters; subsampling makes the answer tolerant of small shifts; and all of "
        "it is trained by back-propagation from pixels to classes. It read the digits on bank cheques, with 0.95 % "
        "errors on MNIST."
    ),
    "alexnet": (
        "The tutorial's AlexNet, for one channel and ten classes: LeNet's plan, deeper and 270 times the size, with "
        "ReLUs, overlapping pools and dropout. More than half of its parameters are in the first dense layer."
    ),
    "alexnet_paper": (
        "The network that won ImageNet's competition of 2012 with 15.3 % top-5 errors, where the next best had 26.2 "
        "%. New at that size: ReLUs, which train several times faster than tanh, dropout in the dense layers, heavy "
        "augmentation, and two GPUs, between which the second, fourth and fifth convolution are split into two "
        "groups."
    ),
    "nin": (
        "The tutorial's Network in Network: behind each large kernel two 1x1 convolutions, a small dense network at "
        "every pixel. The last block has a channel for each class, and a global average pool reads the classes off: "
        "there is no dense layer, and so 23 times fewer parameters than AlexNet's."
    ),
    "nin_imagenet": (
        "The authors' network for ImageNet: 1x1 convolutions as dense layers at every pixel, and the global average "
        "pool in place of the dense layers, which ties each class to a map one can look at. Both ideas are in nearly "
        "every network since."
    ),
    "alexnet_owt": (
        "AlexNet in one column, out of a paper on how to train it on many GPUs (data-parallel convolutions, "
        "model-parallel dense layers). No groups, no local response normalization: this is the AlexNet that "
        "libraries ship."
    ),
    "googlenet": (
        "The tutorial's GoogLeNet. Which kernel is right, 1x1, 3x3 or 5x5? An Inception module takes all of them "
        "side by side, with a pool, and joins their outputs; 1x1 convolutions in front keep the larger kernels "
        "cheap."
    ),
    "googlenet_as_printed": (
        "The tutorial's listing has kernels of 1 where its own text and figure have 3 and 5. Kept as it was printed, "
        "with half the parameters, for those who compare with it: no path of its modules but the pool sees beyond a "
        "pixel."
    ),
    "inception_v1": (
        "The winner of 2014, with 6.7 % top-5 errors and a ninth of AlexNet's parameters: nine Inception modules, "
        "whose 1x1 convolutions reduce the channels in front of every larger kernel, a global average pool for the "
        "dense layers, and two auxiliary heads that bring gradients into the middle of 22 layers."
    ),
    "inception_v1_bn": (
        "Batch normalization (Ioffe and Szegedy 2015) behind every convolution: each channel is kept at mean 0 and "
        "variance 1 over the batch, which lets learning rates be much higher; that paper reached the accuracy of "
        "Inception in 14 times fewer steps. This one is torchvision's googlenet, with 3x3 kernels where the 5x5 "
        "were."
    ),
    "vgg": (
        "The tutorial's VGG with ten convolutions: blocks of 3x3 convolutions, and a pool that halves the picture as "
        "the channels double. The plan is so regular that a list of pairs describes it."
    ),
    "vgg11": (
        "Two 3x3 convolutions see as much as one 5x5, with fewer weights and one more ReLU: so VGG uses nothing "
        "else, and goes deep. This is the shallowest of the paper's networks, A, from whose weights the deeper ones "
        "were begun."
    ),
    "vgg11_bn": (
        "VGG-11 with batch norm behind each convolution, which the paper did not have yet: it trains from random "
        "weights, without the detour over shallower networks."
    ),
    "vgg13": ("The paper's network B: two convolutions in each of the five blocks."),
    "vgg13_bn": ("VGG-13 with batch norm behind each convolution."),
    "vgg16": (
        "The paper's network D, and its best known: 13 convolutions and three dense layers, which hold nine tenths "
        "of the weights. Second in 2014 with 7.3 % top-5 errors; its features served detection, segmentation and "
        "style transfer for years."
    ),
    "vgg16_bn": ("VGG-16 with batch norm behind each convolution."),
    "vgg19": (
        "The paper's network E, the deepest: four convolutions in the last three blocks. It is hardly better than "
        "VGG-16, and the paper stops there. A year later ResNets went eight times deeper."
    ),
    "vgg19_bn": ("VGG-19 with batch norm behind each convolution."),
    "inception_v3": (
        "Inception by rules: a 5x5 kernel becomes two 3x3, a 7x7 becomes 1x7 and 7x1 one after the other, and where "
        "the picture is halved, a pool and strided convolutions do it side by side, so that nothing is lost in a "
        "bottleneck. With label smoothing 21.2 % top-1 and 5.6 % top-5 errors for one crop."
    ),
    "resnet": (
        "The tutorial's ResNet-18: a block learns what to add to its input, and where nothing helps it can learn to "
        "add nothing. Gradients flow back through the additions as if the blocks were not there."
    ),
    "resnet18": (
        "Plain networks of 34 layers were worse than of 18, on the training set, too: deeper was harder to optimize. "
        "With a shortcut around every two convolutions it was better, and the deeper the better. This is the "
        "smallest of the family, with basic blocks of two 3x3 convolutions."
    ),
    "resnet34": (
        "The same basic blocks, 3, 4, 6 and 3 of them, where the plain network of the same depth had got worse."
    ),
    "resnet50": (
        "Blocks with a bottleneck: 1x1 down to a quarter of the channels, 3x3, and 1x1 up again, so that 50 layers "
        "cost little more than 34. It is the yardstick of the field. The stride stands in the 3x3, as in "
        "torchvision's version 1.5."
    ),
    "resnet101": ("23 blocks in the third stage in place of 6; nothing else differs from ResNet-50."),
    "resnet152": (
        "The deepest of the paper's, 36 blocks in the third stage and 8 in the second. One such network has 4.5 % "
        "top-5 errors; an ensemble won ImageNet's competition of 2015 with 3.57 %."
    ),
    "inception_v4": (
        "The Inception networks without the burdens of their history: one stem, and three kinds of modules, repeated "
        "4, 7 and 3 times, with a reduction between the kinds."
    ),
    "inception_resnet_v2": (
        "Inception modules with shortcuts around them. What a module adds is scaled down to 0.1 to 0.2 of itself "
        "first, without which so wide a network died in training. It learns faster than Inception v4 and ends up "
        "about as good; three of them and one v4 together have 3.08 % top-5 errors."
    ),
    "resnext50_32x4d": (
        "ResNet's bottleneck with its 3x3 convolution in 32 groups of 4 channels: as many small transformations side "
        "by side, summed up. At equal cost more groups were better than more width or depth: 22.2 % top-1 errors "
        "where ResNet-50 has 23.9 %."
    ),
    "xception": (
        "Inception taken to its end: if channels and space can be looked at apart from each other, then a kernel for "
        "each channel alone, and a 1x1 convolution across the channels, will do. 21.0 % top-1 errors with as many "
        "parameters as Inception v3."
    ),
    "efficientnet_b0": (
        "Found by a search for accuracy at a given cost: inverted bottlenecks (1x1 up, a depthwise kernel, 1x1 down) "
        "with squeeze and excitation, which scales each channel by what the whole picture says. The base of a family "
        "that grows by one number."
    ),
    "efficientnet_b1": (
        "Compound scaling: depth, width and resolution grow together, by fixed powers of one coefficient. B1 is B0 a "
        "tenth deeper, at 240 pixels."
    ),
    "efficientnet_b2": ("A tenth wider and a fifth deeper than B0, at 260 pixels."),
    "efficientnet_b3": ("1.2 times the width and 1.4 times the depth of B0, at 300 pixels."),
    "efficientnet_b4": ("1.4 times the width and 1.8 times the depth of B0, at 380 pixels: about ResNet-50's cost."),
    "efficientnet_b5": ("1.6 times the width and 2.2 times the depth of B0, at 456 pixels."),
    "efficientnet_b6": ("1.8 times the width and 2.6 times the depth of B0, at 528 pixels."),
    "efficientnet_b7": (
        "Twice the width and 3.1 times the depth of B0, at 600 pixels: 15.7 % top-1 errors, as the best network of "
        "its day, which was 8.4 times larger."
    ),
    "efficientnet_lite0": (
        "B0 for phones and their integer arithmetic: no squeeze and excitation, ReLU6 for swish, and a stem and a "
        "head that do not grow with the rest of the family."
    ),
    "coil20_lenet": (
        "For COIL-20's grey pictures of 128x128: a first kernel of 10x10, four convolutions, sigmoids. The smallest "
        "of the six for COIL-20, and the hardest to train."
    ),
    "coil20_alexnet": (
        "AlexNet with a first convolution of 20x20, so that 128 pixels end at the 6x6 that its dense layers expect."
    ),
    "coil20_googlenet": ("GoogLeNet with a first convolution of 17x17, which turns 128 pixels into 112."),
    "coil20_vgg16": (
        "VGG-16 with batch norm, a 17x17 convolution where the first pool was, and two more dense layers. Most of "
        "its multiply-accumulates are in that one convolution."
    ),
    "coil20_resnet50": (
        "ResNet-50 with a first convolution of 17x17 at full resolution, and three dense layers at its end."
    ),
    "coil20_efficientnet": (
        "EfficientNet-B0 for one channel and 20 objects: the network that the COIL-20 project announced and never "
        "finished."
    ),
}
