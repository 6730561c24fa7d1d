"""Weights from PyTorch and from gluoncv's model zoo, into the networks here: same names, same numbers, all or nothing.

    net = models.get_model("resnet50")
    convert.from_torchvision(convert.read_weights("resnet50.pth"), net)

`SOURCES` tells which networks each source has, and their names there.
"""

from gluon_classics.convert.files import read_weights
from gluon_classics.convert.loading import (
    Loaded,
    from_efficientnet_lite_pytorch,
    from_gluoncv,
    from_timm,
    from_torchvision,
)
from gluon_classics.convert.sources import SOURCES

__all__ = [
    "SOURCES",
    "Loaded",
    "from_efficientnet_lite_pytorch",
    "from_gluoncv",
    "from_timm",
    "from_torchvision",
    "read_weights",
]
