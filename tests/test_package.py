"""The package's lazily imported names."""

import subprocess
import sys
from pathlib import Path

import gluon_classics
from gluon_classics import convert, insight, models, training

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("package", [gluon_classics, convert, insight, models, training])
def test_every_name_is_there(package):
    assert dir(package) == sorted(dir(package)) == list(package.__all__)
    for name in dir(package):
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


def test_the_names_for_users():
    names = "LeNet AlexNet VGGNet NiNNet GoogLeNet ResNet get_model list_models load_dataset load_data_fashion_mnist"
    names += " DataLoader ImageDataset train evaluate_accuracy try_gpu try_all_gpus Predictor"
    assert set(names.split()) < set(dir(gluon_classics))
    assert gluon_classics.LeNet is models.LeNet and gluon_classics.train is training.train


def test_importing_a_folder_imports_none_of_its_files():
    code = """
import sys
from gluon_classics import convert, insight, models, training
loaded = [name for name in sys.modules if name.startswith(("gluon_classics.", "mxnet")) and ".runtime" not in name]
assert set(loaded) == {f"gluon_classics.{name}" for name in ("convert", "insight", "models", "training")}, loaded
models.LeNet
assert "gluon_classics.models.lenet" in sys.modules and "gluon_classics.models.vgg" not in sys.modules
assert models.list_models("vgg")
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
