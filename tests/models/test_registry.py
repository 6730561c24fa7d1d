from gluon_classics.models import GoogLeNet, get_model, list_models, model_info

import pytest
from mxnet import nd


def test_names_are_sorted_by_year():
    names = list_models()
    years = [model_info(name).year for name in names]
    assert years == sorted(years) and names[0] == "lenet" and names[-1] == "coil20_vgg16"


def test_patterns():
    coil20 = [f"coil20_{name}" for name in ("alexnet", "efficientnet", "googlenet", "lenet")]
    assert list_models("*net") == ["lenet", "alexnet", "nin_imagenet", "googlenet", "resnet", *coil20]
    assert list_models("resnet*") == ["resnet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
    assert list_models("nothing*") == []


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="unknown network 'resnt': did you mean resnet") as error:
        get_model("resnt")
    assert "resnet101, resnet152, inception_resnet_v2" in str(error.value)
    with pytest.raises(ValueError, match="did you mean googlenet"):
        get_model("GoogleNet")


@pytest.mark.parametrize("num_classes", [0, -1, 2.5, "10"])
def test_impossible_num_classes(num_classes):
    with pytest.raises(ValueError, match="num_classes is"):
        get_model("lenet", num_classes=num_classes)


@pytest.mark.parametrize("in_channels", [0, -3, "3", True])
def test_impossible_in_channels(in_channels):
    with pytest.raises(ValueError, match="in_channels is"):
        get_model("resnet18", in_channels=in_channels)


def test_info_and_arguments():
    assert model_info("lenet").input_shape == (1, 28, 28)
    assert model_info("resnet50").file == "resnet.py"
    assert isinstance(get_model("googlenet", num_classes=7, verbose=True), GoogLeNet)


@pytest.mark.parametrize(
    "name, arguments", [("lenet", "num_classes, activation, in_channels"), ("vgg16", "num_classes, in_channels")]
)
def test_unknown_argument_lists_the_networks_arguments(name, arguments):
    with pytest.raises(TypeError, match=f"network '{name}': .*pretrained.* Its arguments: {arguments}$"):
        get_model(name, pretrained=True)


def test_images_with_channels_last_are_recognized():
    with pytest.raises(ValueError, match=r"64: .*\(N, H, W, C\)"):
        get_model("resnet18")(nd.zeros((1, 64, 64, 3)))
