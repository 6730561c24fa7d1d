"""The classic convolutional networks in Apache MXNet Gluon, from LeNet-5 to EfficientNet.

Importing this package makes ``import mxnet`` work on this machine: see `gluon_classics.runtime`.
"""

from gluon_classics import runtime

runtime.prepare()  # first of all: every other module of the package imports MXNet

__version__ = "0.1.0"
