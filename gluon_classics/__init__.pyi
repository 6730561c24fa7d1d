from . import convert as convert
from . import data as data
from . import deploy as deploy
from . import devices as devices
from . import inference as inference
from . import insight as insight
from . import models as models
from . import runtime as runtime
from . import training as training
from .data import DataLoader as DataLoader
from .data import ImageDataset as ImageDataset
from .data import load_data_fashion_mnist as load_data_fashion_mnist
from .data import load_dataset as load_dataset
from .devices import try_all_gpus as try_all_gpus
from .devices import try_gpu as try_gpu
from .inference import Predictor as Predictor
from .models import AlexNet as AlexNet
from .models import GoogLeNet as GoogLeNet
from .models import LeNet as LeNet
from .models import NiNNet as NiNNet
from .models import ResNet as ResNet
from .models import VGGNet as VGGNet
from .models import get_model as get_model
from .models import list_models as list_models
from .training import evaluate_accuracy as evaluate_accuracy
from .training import train as train

__version__: str
