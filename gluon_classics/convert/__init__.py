"""Weights from PyTorch and from gluoncv's model zoo, into the networks here: same names, same numbers, all or nothing.

    net = models.get_model("resnet50")
    convert.from_torchvision(convert.read_weights("resnet50.pth"), net)

`SOURCES` tells which networks each source has, and their names there.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
