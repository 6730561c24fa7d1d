from gluon_classics.models import GoogLeNet, get_model, list_models, model_info

import pytest


def test_names_in_the_order_of_their_years():
    assert list_models() == ["lenet", "alexnet", "nin", "googlenet", "googlenet_as_printed", "vgg", "resnet"]


def test_patterns():
    assert list_models("*net") == ["lenet", "alexnet", "googlenet", "resnet"]
    assert list_models("nothing*") == []


def test_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="unknown network 'resnt': did you mean resnet") as error:
        get_model("resnt")
    assert "alexnet, googlenet" in str(error.value)
    with pytest.raises(ValueError, match="did you mean googlenet"):
        get_model("GoogleNet")


@pytest.mark.parametrize("num_classes", [0, -1, 2.5, "10"])
def test_impossible_num_classes(num_classes):
    with pytest.raises(ValueError, match="num_classes is"):
        get_model("lenet", num_classes=num_classes)


def test_info_and_arguments():
    assert model_info("lenet").input_shape == (1, 28, 28)
    assert isinstance(get_model("googlenet", num_classes=7, verbose=True), GoogLeNet)


def test_an_argument_the_network_does_not_take():
    with pytest.raises(TypeError, match="network 'lenet': .*pretrained.* Its own arguments: num_classes, activation"):
        get_model("lenet", pretrained=True)
