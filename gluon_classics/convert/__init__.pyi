from .files import read_weights as read_weights
from .loading import Loaded as Loaded
from .loading import from_efficientnet_lite_pytorch as from_efficientnet_lite_pytorch
from .loading import from_gluoncv as from_gluoncv
from .loading import from_timm as from_timm
from .loading import from_torchvision as from_torchvision
from .sources import SOURCES as SOURCES
