"""The sources of weights: which of our networks each has, and its names for them and their tensors.

A source has one rule per class of networks. The rule maps the name of one of our layers, which is a name from
``_collect_params_with_prefix()`` without its last part, to the source's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gluon_classics import models
from gluon_classics.convert import gluoncv_names
from gluon_classics.models.layers import Network
from gluon_classics.models.vgg import VGG

RESNETS = {f"resnet{n}": f"resnet{n}" for n in (18, 34, 50, 101, 152)}
RESNEXT = {"resnext50_32x4d": "resnext50_32x4d"}
VGGS = {f"vgg{n}{bn}": f"vgg{n}{bn}" for n in (11, 13, 16, 19) for bn in ("", "_bn")}


@dataclass(frozen=True)
class Source:
    title: str
    networks: dict[str, str]  # our name: the source's name
    rules: dict[type, Callable[[str, Network], str]]  # by our network's class
    batch_norm: dict[str, str]  # last part of batch norm's names: the source's, if different
    twins: tuple[str, ...] = ()  # prefixes of names under which it stores tensors a second time

    def tensor_names(self, net: Network) -> dict[str, str]:
        """Return {our name: the source's} for all tensors, in network order. ValueError if it lacks the network."""
        rule = next((rule for network, rule in self.rules.items() if isinstance(net, network)), None)
        if rule is None:
            raise ValueError(
                f"{self.title} has no counterpart of this {type(net).__name__}; it has {', '.join(self.networks)}"
            )
        names = {}
        for name in net._collect_params_with_prefix():
            layer, _, tensor = name.rpartition(".")
            names[name] = f"{rule(layer, net)}.{self.batch_norm.get(tensor, tensor)}"
        return names

    def without_twins(self, tensors: dict[str, Any]) -> dict[str, Any]:
        return {name: tensor for name, tensor in tensors.items() if not name.startswith(self.twins)}


def same(layer: str, net: Network) -> str:
    return layer


# The original numbers blocks across stages; here and in timm each stage counts from 0. The blocks before each stage:
LITE_BLOCKS_BEFORE = (0, 1, 3, 5, 8, 11, 15)
LITE = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
LITE_FIRST_BLOCK = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
LITE_BLOCK = {
    "conv_pw": "_expand_conv",
    "bn1": "_bn0",
    "conv_dw": "_depthwise_conv",
    "bn2": "_bn1",
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
}


def efficientnet_lite(layer: str, net: Network) -> str:
    block = re.fullmatch(r"blocks\.(\d)\.(\d)\.(\w+)", layer)
    if not block:
        return LITE[layer]
    stage, index, part = int(block[1]), int(block[2]), block[3]
    parts = LITE_FIRST_BLOCK if stage == 0 else LITE_BLOCK
    return f"_blocks.{LITE_BLOCKS_BEFORE[stage] + index}.{parts[part]}"


TORCH_BATCH_NORM = {"gamma": "weight", "beta": "bias"}

SOURCES = {
    "torchvision": Source(
        "torchvision",
        {
            "alexnet_owt": "alexnet",
            **VGGS,
            "inception_v1_bn": "googlenet",
            "inception_v3": "inception_v3",
            **RESNETS,
            **RESNEXT,
            **{f"efficientnet_b{n}": f"efficientnet_b{n}" for n in range(8)},
        },
        {
            models.AlexNetOneWeirdTrick: same,
            VGG: same,
            models.InceptionV1BN: same,
            models.InceptionV3: same,
            models.ImageNetResNet: same,
            models.ResNeXt: same,
            models.EfficientNet: same,
        },
        TORCH_BATCH_NORM,
    ),
    "timm": Source(
        "timm",
        {
            "inception_v3": "inception_v3",
            "inception_v4": "inception_v4",
            "inception_resnet_v2": "inception_resnet_v2",
            "xception": "legacy_xception",
            **RESNETS,
            **RESNEXT,
            "efficientnet_lite0": "tf_efficientnet_lite0",  # timm's efficientnet_lite0 pads differently
        },
        {
            models.InceptionV3: same,
            models.InceptionV4: same,
            models.InceptionResNetV2: same,
            models.Xception: same,
            models.ImageNetResNet: same,
            models.ResNeXt: same,
            models.EfficientNetLite0: same,
        },
        TORCH_BATCH_NORM,
    ),
    "efficientnet-lite-pytorch": Source(
        "efficientnet-lite-pytorch",
        {"efficientnet_lite0": "efficientnet-lite0"},
        {models.EfficientNetLite0: efficientnet_lite},
        TORCH_BATCH_NORM,
    ),
    "gluoncv": Source(
        "gluoncv",
        {
            "alexnet_owt": "alexnet",
            **VGGS,
            "inception_v1_bn": "googlenet",
            "inception_v3": "inceptionv3",
            **{name: f"{name}_v1b" for name in RESNETS},
            **RESNEXT,
        },
        {
            models.AlexNetOneWeirdTrick: gluoncv_names.alexnet,
            VGG: gluoncv_names.vgg,
            models.InceptionV1BN: gluoncv_names.googlenet,
            models.InceptionV3: gluoncv_names.inception_v3,
            models.ImageNetResNet: same,
            models.ResNeXt: gluoncv_names.resnext,
        },
        {},
        twins=("head.2.",),  # the last layer of its googlenet
    ),
}
