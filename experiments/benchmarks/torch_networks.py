"""The tutorial's six networks in PyTorch, layer for layer as in gluon_classics/models.

Lazy layers take their number of input channels from the first batch, as Gluon's do. Modules are in the order of Gluon's
blocks, so that the parameters of both line up one by one. ReLUs work in place, which is faster, as in torchvision.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[2]


def conv_relu(channels: int, *args, **kwargs) -> nn.Sequential:
    return nn.Sequential(nn.LazyConv2d(channels, *args, **kwargs), nn.ReLU(inplace=True))


def dense_relu(units: int) -> nn.Sequential:
    return nn.Sequential(nn.LazyLinear(units), nn.ReLU(inplace=True))


def dense_layers() -> list[nn.Module]:
    """The end of AlexNet and VGG."""
    wide = [dense_relu(4096), nn.Dropout(0.5), dense_relu(4096), nn.Dropout(0.5)]
    return [nn.Flatten(), *wide, nn.LazyLinear(10)]


def lenet() -> nn.Module:
    return nn.Sequential(
        conv_relu(20, 5),
        nn.MaxPool2d(2, 2),
        conv_relu(50, 3),
        nn.MaxPool2d(2, 2),
        nn.Flatten(),
        dense_relu(128),
        nn.LazyLinear(10),
    )


def alexnet() -> nn.Module:
    return nn.Sequential(
        conv_relu(96, 11, stride=4),
        nn.MaxPool2d(3, 2),
        conv_relu(256, 5, padding=2),
        nn.MaxPool2d(3, 2),
        conv_relu(384, 3, padding=1),
        conv_relu(384, 3, padding=1),
        conv_relu(256, 3, padding=1),
        nn.MaxPool2d(3, 2),
        *dense_layers(),
    )


def vgg() -> nn.Module:
    layers = []
    for channels in (64, 128, 256, 512, 512):
        layers += [conv_relu(channels, 3, padding=1), conv_relu(channels, 3, padding=1), nn.MaxPool2d(2, 2)]
    return nn.Sequential(*layers, *dense_layers())


def mlpconv(channels: int, *args, **kwargs) -> nn.Sequential:
    return nn.Sequential(conv_relu(channels, *args, **kwargs), conv_relu(channels, 1), conv_relu(channels, 1))


def nin() -> nn.Module:
    return nn.Sequential(
        mlpconv(96, 11, stride=4),
        nn.MaxPool2d(3, 2),
        mlpconv(256, 5, padding=2),
        nn.MaxPool2d(3, 2),
        mlpconv(384, 3, padding=1),
        nn.MaxPool2d(3, 2),
        nn.Dropout(0.5),
        mlpconv(10, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


class Inception(nn.Module):
    def __init__(self, n1_1, n2_1, n2_3, n3_1, n3_5, n4_1):
        super().__init__()
        self.path1 = conv_relu(n1_1, 1)
        self.path2 = nn.Sequential(conv_relu(n2_1, 1), conv_relu(n2_3, 3, padding=1))
        self.path3 = nn.Sequential(conv_relu(n3_1, 1), conv_relu(n3_5, 5, padding=2))
        self.path4 = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv_relu(n4_1, 1))

    def forward(self, x):
        return torch.cat([self.path1(x), self.path2(x), self.path3(x), self.path4(x)], dim=1)


def googlenet() -> nn.Module:
    return nn.Sequential(
        conv_relu(64, 7, stride=2, padding=3),
        nn.MaxPool2d(3, 2),
        nn.LazyConv2d(64, 1),
        nn.LazyConv2d(192, 3, padding=1),
        nn.MaxPool2d(3, 2),
        Inception(64, 96, 128, 16, 32, 32),
        Inception(128, 128, 192, 32, 96, 64),
        nn.MaxPool2d(3, 2),
        Inception(192, 96, 208, 16, 48, 64),
        Inception(160, 112, 224, 24, 64, 64),
        Inception(128, 128, 256, 24, 64, 64),
        Inception(112, 144, 288, 32, 64, 64),
        Inception(256, 160, 320, 32, 128, 128),
        nn.MaxPool2d(3, 2),
        Inception(256, 160, 320, 32, 128, 128),
        Inception(384, 192, 384, 48, 128, 128),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(10),
    )


class Residual(nn.Module):
    def __init__(self, channels, same_shape=True):
        super().__init__()
        stride = 1 if same_shape else 2
        self.conv1, self.bn1 = nn.LazyConv2d(channels, 3, stride, padding=1), nn.LazyBatchNorm2d()
        self.conv2, self.bn2 = nn.LazyConv2d(channels, 3, padding=1), nn.LazyBatchNorm2d()
        self.conv3 = None if same_shape else nn.LazyConv2d(channels, 1, stride)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        return F.relu(out + (x if self.conv3 is None else self.conv3(x)), inplace=True)


def resnet() -> nn.Module:
    return nn.Sequential(
        nn.LazyConv2d(64, 7, stride=2),
        nn.MaxPool2d(3, 2),
        Residual(64),
        Residual(64),
        Residual(128, same_shape=False),
        Residual(128),
        Residual(256, same_shape=False),
        Residual(256),
        Residual(512, same_shape=False),
        Residual(512),
        nn.AvgPool2d(3),
        nn.Flatten(),
        nn.LazyLinear(10),
    )


TUTORIAL = {each.__name__: each for each in (lenet, alexnet, vgg, nin, googlenet, resnet)}


def build_torch(name: str, shape: tuple) -> nn.Module:
    """Build network `name` for images of `shape` (channels, height, width) with PyTorch's random weights.

    The papers' networks come from torchvision and timm. Raises ImportError if these are not installed, and ValueError
    if neither has the network.
    """
    if name not in TUTORIAL:
        return _paper_network(name)
    net = TUTORIAL[name]().eval()
    with torch.no_grad():
        net(torch.zeros(1, *shape))  # fixes the shapes of all weights
    return net.train()


def _paper_network(name: str) -> nn.Module:
    sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]
    from torch_reference import REFERENCES, build_reference

    if name not in REFERENCES:
        raise ValueError(f"PyTorch's side has no network {name!r}")
    return build_reference(name)
