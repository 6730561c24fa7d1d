"""Translate our layer names to gluoncv's, which numbers most layers. Its ResNets (v1b) have our names."""

from __future__ import annotations

import re

from gluon_classics.models.layers import Network

ALEXNET = {
    "features.0": "features.0",
    "features.3": "features.2",
    "features.6": "features.4",
    "features.8": "features.5",
    "features.10": "features.6",
    "classifier.1": "features.9",
    "classifier.4": "features.11",
    "classifier.6": "output",
}

# gluoncv stacks a convolution, its batch norm and its ReLU as layers 0, 1 and 2
CONV = {"conv": "0", "bn": "1"}

# GoogLeNet: path.layer in an Inception module; the last path begins with a pool
GOOGLENET_PATHS = {
    "branch1": "0.0",
    "branch2.0": "1.0",
    "branch2.1": "1.1",
    "branch3.0": "2.0",
    "branch3.1": "2.1",
    "branch4.1": "3.1",
}

# Inception v3: path.layer in its five kinds of modules
STEM = {"": ""}
A = {
    "branch1x1": "0.0",
    "branch5x5_1": "1.0",
    "branch5x5_2": "1.1",
    "branch3x3dbl_1": "2.0",
    "branch3x3dbl_2": "2.1",
    "branch3x3dbl_3": "2.2",
    "branch_pool": "3.1",
}
B = {
    "branch3x3": "0.0",
    "branch3x3dbl_1": "1.0",
    "branch3x3dbl_2": "1.1",
    "branch3x3dbl_3": "1.2",
}
C = {
    "branch1x1": "0.0",
    "branch7x7_1": "1.0",
    "branch7x7_2": "1.1",
    "branch7x7_3": "1.2",
    "branch7x7dbl_1": "2.0",
    "branch7x7dbl_2": "2.1",
    "branch7x7dbl_3": "2.2",
    "branch7x7dbl_4": "2.3",
    "branch7x7dbl_5": "2.4",
    "branch_pool": "3.1",
}
D = {
    "branch3x3_1": "0.0",
    "branch3x3_2": "0.1",
    "branch7x7x3_1": "1.0",
    "branch7x7x3_2": "1.1",
    "branch7x7x3_3": "1.2",
    "branch7x7x3_4": "1.3",
}
E = {
    "branch1x1": "0.0",
    "branch3x3_1": "1.0.0",
    "branch3x3_2a": "1.1.0.0",
    "branch3x3_2b": "1.1.1.0",
    "branch3x3dbl_1": "2.0.0",
    "branch3x3dbl_2": "2.0.1",
    "branch3x3dbl_3a": "2.1.0.0",
    "branch3x3dbl_3b": "2.1.1.0",
    "branch_pool": "3.1",
}
INCEPTION_V3 = {
    "Conv2d_1a_3x3": ("0", STEM),
    "Conv2d_2a_3x3": ("1", STEM),
    "Conv2d_2b_3x3": ("2", STEM),
    "Conv2d_3b_1x1": ("4", STEM),
    "Conv2d_4a_3x3": ("5", STEM),
    "Mixed_5b": ("7", A),
    "Mixed_5c": ("8", A),
    "Mixed_5d": ("9", A),
    "Mixed_6a": ("10", B),
    "Mixed_6b": ("11", C),
    "Mixed_6c": ("12", C),
    "Mixed_6d": ("13", C),
    "Mixed_6e": ("14", C),
    "Mixed_7a": ("15", D),
    "Mixed_7b": ("16", E),
    "Mixed_7c": ("17", E),
}

RESNEXT_STEM = {"conv1": "features.0", "bn1": "features.1", "fc": "output"}
RESNEXT_STAGES = {"layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
RESNEXT_BLOCK = {
    "conv1": "body.0",
    "bn1": "body.1",
    "conv2": "body.3",
    "bn2": "body.4",
    "conv3": "body.6",
    "bn3": "body.7",
    "downsample.0": "downsample.0",
    "downsample.1": "downsample.1",
}


def alexnet(layer: str, net: Network) -> str:
    return ALEXNET[layer]


def vgg(layer: str, net: Network) -> str:
    # gluoncv's features: our `features`, then dense, dropout, dense, dropout
    first = len(net.features)
    dense = {"classifier.0": f"features.{first}", "classifier.3": f"features.{first + 2}", "classifier.6": "output"}
    return dense.get(layer, layer)


def googlenet(layer: str, net: Network) -> str:
    if layer == "fc":
        return "output"
    _refuse_auxiliary_heads(layer)
    path, _, part = layer.rpartition(".")
    module, _, branch = path.partition(".")
    return ".".join(filter(None, (module, GOOGLENET_PATHS.get(branch), CONV[part])))


def inception_v3(layer: str, net: Network) -> str:
    if layer == "fc":
        return "output"
    _refuse_auxiliary_heads(layer)
    path, _, part = layer.rpartition(".")
    module, _, branch = path.partition(".")
    number, paths = INCEPTION_V3[module]
    return ".".join(filter(None, ("features", number, paths[branch], CONV[part])))


def resnext(layer: str, net: Network) -> str:
    if layer in RESNEXT_STEM:
        return RESNEXT_STEM[layer]
    stage, block, part = re.fullmatch(r"(layer\d)\.(\d+)\.(.+)", layer).groups()  # type: ignore[union-attr]
    return f"features.{RESNEXT_STAGES[stage]}.{block}.{RESNEXT_BLOCK[part]}"


def _refuse_auxiliary_heads(layer: str) -> None:
    if layer.lower().startswith("aux"):
        # its googlenet's heads pool differently (5x5, stride 3), its inceptionv3 has none
        raise ValueError("gluoncv has no matching auxiliary heads: build the network without aux")
