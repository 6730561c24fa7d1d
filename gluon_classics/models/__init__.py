"""The networks, one file for each paper."""

from gluon_classics.models.alexnet import AlexNet
from gluon_classics.models.googlenet import GoogLeNet, googlenet_as_printed
from gluon_classics.models.lenet import LeNet
from gluon_classics.models.nin import NiNNet
from gluon_classics.models.registry import get_model, list_models, model_info
from gluon_classics.models.resnet import ResNet
from gluon_classics.models.vgg import VGGNet

__all__ = [
    "AlexNet",
    "GoogLeNet",
    "LeNet",
    "NiNNet",
    "ResNet",
    "VGGNet",
    "get_model",
    "googlenet_as_printed",
    "list_models",
    "model_info",
]
