"""The classic convolutional networks in Apache MXNet Gluon, from LeNet-5 to EfficientNet.

Importing this package makes a later ``import mxnet`` work on this machine: see `gluon_classics.runtime`.
The names that it offers stand in ``__init__.pyi``; each is imported when it is first used.
"""

from gluon_classics import runtime

import lazy_loader

runtime.install()  # before any other module of the package, or the user's own code, imports MXNet

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
