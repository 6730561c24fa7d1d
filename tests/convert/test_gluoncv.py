"""Converted weights give the same logits as gluoncv's own networks."""

from gluon_classics import convert
from gluon_classics.convert import SOURCES
from gluon_classics.models import get_model, model_info

import numpy as np
import pytest
from mxnet import nd

from seeded_weights import seeded_array, seeded_images, torch_name

pytestmark = pytest.mark.thorough

try:
    from gluoncv import model_zoo
except (ImportError, RuntimeError) as error:  # RuntimeError with a recent PyTorch
    pytest.skip(f"gluoncv cannot be imported: {error}", allow_module_level=True)

NETWORKS = SOURCES["gluoncv"].networks
# smaller images for the networks that accept them
SIZES = {name: 64 if name.startswith("res") else model_info(name).input_shape[1] for name in NETWORKS}
# one network per naming rule, and both of ResNet's blocks
QUICK = ["alexnet_owt", "vgg11_bn", "inception_v1_bn", "inception_v3", "resnet18", "resnet50", "resnext50_32x4d"]


def gluoncv_network(name, **kwargs):
    """gluoncv's counterpart with inferred shapes, and its parameters by structural name."""
    net = model_zoo.get_model(NETWORKS[name], **kwargs)
    net.infer_shape(nd.zeros((1, *model_info(name).input_shape)))
    return net, net._collect_params_with_prefix()


@pytest.mark.parametrize("name", NETWORKS)
def test_names_and_shapes(name):
    _, theirs = gluoncv_network(name, classes=10)
    net = get_model(name, num_classes=10)
    net.infer_shape(nd.zeros((1, *model_info(name).input_shape)))
    ours = net._collect_params_with_prefix()
    names = SOURCES["gluoncv"].tensor_names(net)
    shapes = {names[tensor]: parameter.shape for tensor, parameter in ours.items()}
    assert shapes == SOURCES["gluoncv"].without_twins({tensor: p.shape for tensor, p in theirs.items()})


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in NETWORKS]
)
def test_logits(name, tmp_path):
    theirs, parameters = gluoncv_network(name, classes=10)
    theirs.initialize()
    for tensor, parameter in parameters.items():
        name_of_both = torch_name(tensor).replace("head.2", "output")  # the two names of googlenet's last layer
        parameter.set_data(seeded_array(name_of_both, parameter.shape))
    theirs.save_parameters(str(tmp_path / "theirs.params"))

    ours = get_model(name, num_classes=10)
    loaded = convert.from_gluoncv(convert.read_weights(tmp_path / "theirs.params"), ours)
    assert loaded.dropped == ()
    images = nd.array(seeded_images(1, 3, SIZES[name]))
    wanted, got = theirs(images).asnumpy(), ours(images).asnumpy()
    assert np.abs(got - wanted).max() < 1e-5 * wanted.std()


def test_googlenet_with_heads_and_without_duplicates(tmp_path):
    # its last layer has two names; a deduplicated file has one of them
    theirs, _ = gluoncv_network("inception_v1_bn", classes=10, aux_logits=True)
    theirs.initialize()
    theirs.save_parameters(str(tmp_path / "theirs.params"), deduplicate=True)
    arrays = convert.read_weights(tmp_path / "theirs.params")
    assert not any(tensor.startswith("head.2") for tensor in arrays)
    loaded = convert.from_gluoncv(arrays, get_model("inception_v1_bn", num_classes=10))
    assert len(loaded.dropped) == 18 and all(tensor.startswith("aux") for tensor in loaded.dropped)
