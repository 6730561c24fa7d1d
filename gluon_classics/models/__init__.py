"""The networks, one file per paper."""

from gluon_classics.models.alexnet import AlexNet, AlexNetOneWeirdTrick, AlexNetPaper, Coil20AlexNet
from gluon_classics.models.efficientnet import EfficientNet
from gluon_classics.models.efficientnet_lite import EfficientNetLite0
from gluon_classics.models.googlenet import Coil20GoogLeNet, GoogLeNet, InceptionV1, googlenet_as_printed
from gluon_classics.models.inception_resnet_v2 import InceptionResNetV2
from gluon_classics.models.inception_v1_bn import InceptionV1BN
from gluon_classics.models.inception_v3 import InceptionV3
from gluon_classics.models.inception_v4 import InceptionV4
from gluon_classics.models.lenet import Coil20LeNet, LeNet, LeNet5
from gluon_classics.models.nin import NiNImageNet, NiNNet
from gluon_classics.models.registry import get_model, list_models, model_info
from gluon_classics.models.resnet import Coil20ResNet50, ImageNetResNet, ResNet
from gluon_classics.models.resnext import ResNeXt
from gluon_classics.models.vgg import Coil20VGG16, VGGNet
from gluon_classics.models.xception import Xception

__all__ = [
    "AlexNet",
    "AlexNetOneWeirdTrick",
    "AlexNetPaper",
    "Coil20AlexNet",
    "Coil20GoogLeNet",
    "Coil20LeNet",
    "Coil20ResNet50",
    "Coil20VGG16",
    "EfficientNet",
    "EfficientNetLite0",
    "GoogLeNet",
    "ImageNetResNet",
    "InceptionResNetV2",
    "InceptionV1",
    "InceptionV1BN",
    "InceptionV3",
    "InceptionV4",
    "LeNet",
    "LeNet5",
    "NiNImageNet",
    "NiNNet",
    "ResNeXt",
    "ResNet",
    "VGGNet",
    "Xception",
    "get_model",
    "googlenet_as_printed",
    "list_models",
    "model_info",
]
