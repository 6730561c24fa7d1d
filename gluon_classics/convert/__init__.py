"""Load weights from PyTorch and from gluoncv's model zoo. All tensors must match; otherwise nothing is loaded.

    net = models.get_model("resnet50")
    convert.from_torchvision(convert.read_weights("resnet50.pth"), net)

`SOURCES` lists the networks of each source and their names there.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "files": ["READERS", "read_weights"],
        "loading": [
            "Loaded",
            "from_efficientnet_lite_pytorch",
            "from_gluoncv",
            "from_timm",
            "from_torchvision",
            "load",
            "settings_in",
        ],
        "sources": ["SOURCES"],
    },
)
