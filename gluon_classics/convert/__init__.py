"""Load weights from PyTorch and from gluoncv's model zoo. All tensors must match; otherwise nothing is loaded.

    net = models.get_model("resnet50")
    convert.from_torchvision(convert.read_weights("resnet50.pth"), net)

`SOURCES` lists the networks of each source and their names there.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
