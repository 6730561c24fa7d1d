"""The classic convolutional networks in Apache MXNet Gluon, from LeNet-5 to EfficientNet.

Importing this package makes a later ``import mxnet`` work on this machine: see `gluon_classics.runtime`.
"""

from gluon_classics import runtime

runtime.install()  # before any other module of the package, or the user's own code, imports MXNet

__version__ = "0.1.0"
