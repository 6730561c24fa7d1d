"""Loading of weights: what is loaded, what is refused with which message, and that refused weights change nothing."""

from collections import OrderedDict

from gluon_classics import convert
from gluon_classics.convert import SOURCES
from gluon_classics.models import get_model

import numpy as np
import pytest
from mxnet import autograd, gluon, init, nd
from source_weights import source_shapes, source_weights

# the names in timm 1.0.31 and in efficientnet-lite-pytorch 0.1.0
LITE_NAMES = {
    "conv_stem.weight": "_conv_stem.weight",
    "bn1.running_mean": "_bn0.running_mean",
    "blocks.0.0.conv_dw.weight": "_blocks.0._depthwise_conv.weight",
    "blocks.0.0.bn1.weight": "_blocks.0._bn1.weight",
    "blocks.0.0.conv_pw.weight": "_blocks.0._project_conv.weight",
    "blocks.0.0.bn2.bias": "_blocks.0._bn2.bias",
    "blocks.1.0.conv_pw.weight": "_blocks.1._expand_conv.weight",
    "blocks.1.1.bn1.bias": "_blocks.2._bn0.bias",
    "blocks.3.2.conv_dw.weight": "_blocks.7._depthwise_conv.weight",
    "blocks.5.3.bn2.running_var": "_blocks.14._bn1.running_var",
    "blocks.6.0.conv_pwl.weight": "_blocks.15._project_conv.weight",
    "blocks.6.0.bn3.weight": "_blocks.15._bn2.weight",
    "conv_head.weight": "_conv_head.weight",
    "bn2.weight": "_bn1.weight",
    "classifier.bias": "_fc.bias",
}


@pytest.fixture(scope="module")
def weights():
    return source_weights("torchvision", "resnet18", num_classes=10)


@pytest.fixture
def state(weights):
    """A copy for a test to change."""
    return OrderedDict(weights)


def values(net):
    nd.waitall()  # the first inference reorders the weights in the background; reading them meanwhile gives garbage
    return {name: p.data().asnumpy() for name, p in net._collect_params_with_prefix().items()}


def refusal(state, net, load=convert.from_torchvision):
    with pytest.raises(ValueError) as caught:
        load(state, net)
    return str(caught.value)


def at(state, index):
    name = list(state)[index]
    return f"{name} {state[name].shape}"


def test_every_tensor_reaches_its_parameter(weights):
    net = get_model("resnet18", num_classes=10)
    loaded = convert.from_torchvision(weights, net)
    # 11,689,512 with 1000 classes
    assert loaded == convert.Loaded(tensors=102, parameters=11_689_512 - 990 * 513, dropped=())
    got = values(net)
    assert np.array_equal(got["layer2.0.bn1.gamma"], weights["layer2.0.bn1.weight"])
    assert np.array_equal(got["layer2.0.bn1.beta"], weights["layer2.0.bn1.bias"])
    for name in ("conv1.weight", "bn1.running_var", "layer4.1.conv2.weight", "layer3.0.downsample.1.running_mean"):
        assert np.array_equal(got[name], weights[name])
    assert np.array_equal(got["fc.bias"], weights["fc.bias"])


def test_a_loaded_network_runs_trains_and_loads_again(weights, tmp_path):
    net = get_model("resnet18", num_classes=10)
    convert.from_torchvision(weights, net)
    net.hybridize()
    images = nd.ones((2, 3, 32, 32))
    before = net(images).asnumpy()
    net.save_parameters(str(tmp_path / "net.params"))
    again = get_model("resnet18", num_classes=10)
    again.load_parameters(str(tmp_path / "net.params"))
    assert np.allclose(again(images).asnumpy(), before, atol=1e-5)

    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    with autograd.record():
        loss = net(images).sum()
    loss.backward()
    trainer.step(2)
    assert not np.allclose(net(images).asnumpy(), before)
    convert.from_torchvision(weights, net)  # into a network in use
    assert np.array_equal(net(images).asnumpy(), before)


@pytest.mark.parametrize("initialized", ["no", "deferred", "whole"])
def test_all_states_of_initialization(weights, initialized):
    net = get_model("resnet18", num_classes=10)
    if initialized != "no":
        net.initialize(init.Xavier())
    if initialized == "whole":
        net(nd.zeros((1, 3, 32, 32)))
    convert.from_torchvision(weights, net)
    assert np.array_equal(values(net)["layer1.0.conv1.weight"], weights["layer1.0.conv1.weight"])


def test_a_half_precision_network(weights):
    net = get_model("resnet18", num_classes=10)
    net.cast("float16")
    convert.from_torchvision(weights, net)
    assert net.conv1.weight.data().dtype == np.float16


def test_checkpoints_wrappers_counters_and_number_types(weights):
    state = OrderedDict((f"module.{name}", array) for name, array in weights.items())
    state["module.bn1.num_batches_tracked"] = np.int64(3)
    state["module.fc.bias"] = nd.array(weights["fc.bias"])
    state["module.fc.weight"] = weights["fc.weight"].astype("float64")
    for checkpoint in (state, {"epoch": 3, "state_dict": state}, {"model": state, "best": 0.7}):
        net = get_model("resnet18", num_classes=10)
        assert convert.from_torchvision(checkpoint, net).tensors == 102
        assert np.array_equal(values(net)["fc.weight"], weights["fc.weight"])


@pytest.mark.parametrize(
    "index, neighbours, place", [(0, [1], "the first"), (30, [29, 31], "between"), (101, [100], "the last")]
)
def test_a_missing_tensor(state, weights, index, neighbours, place):
    name = list(state)[index]
    del state[name]
    message = refusal(state, get_model("resnet18", num_classes=10))
    assert f"{at(weights, index)} is missing; in the network it is {place}" in message
    assert all(at(weights, neighbour) in message for neighbour in neighbours)
    assert "nothing was loaded" in message


def test_a_tensor_of_another_shape(state):
    state["layer1.0.bn1.weight"] = np.zeros(63, "float32")
    message = refusal(state, get_model("resnet18", num_classes=10))
    assert (
        "layer1.0.bn1.weight is (63,) in the file and (64,) in the network, "
        "between layer1.0.conv1.weight (64, 64, 3, 3) and layer1.0.bn1.bias (64,)" in message
    )
    assert "num_classes" not in message


@pytest.mark.parametrize("shape", [(), (0,), (10, 1)])
@pytest.mark.parametrize("name", ["conv1.weight", "bn1.bias", "fc.weight"])
def test_odd_shapes(state, name, shape):
    state[name] = np.zeros(shape, "float32")
    message = refusal(state, get_model("resnet18", num_classes=10))
    assert f"{name} is {shape} in the file" in message and "num_classes" not in message


def test_a_tensor_left_over(weights):
    state = OrderedDict()
    for name, array in weights.items():
        state[name] = array
        if name == "bn1.bias":
            state["layer0.extra"] = np.zeros((5, 4), "float32")
    message = refusal(state, get_model("resnet18", num_classes=10))
    assert (
        "layer0.extra (5, 4) is left over; in the file it is between bn1.bias (64,) and bn1.running_mean (64,)"
        in message
    )


def test_many_problems_are_counted(weights):
    state = {name.replace("layer", "stage"): array for name, array in weights.items()}
    message = refusal(state, get_model("resnet18", num_classes=10))
    # all except conv1's, the four of bn1, and the two of fc
    assert message.count("is missing") == 3 and message.count("is left over") == 3
    assert message.count(f"and {95 - 3} more like this") == 2


def test_refused_weights_change_nothing(state):
    net = get_model("resnet18", num_classes=10)
    net.initialize(init.Xavier())
    net(nd.zeros((1, 3, 32, 32)))
    before = values(net)
    del state["fc.bias"]  # the last tensor, after all others
    refusal(state, net)
    assert all(np.array_equal(before[name], array) for name, array in values(net).items())

    fresh = get_model("resnet18", num_classes=10)
    refusal(state, fresh)
    assert all(p._data is None and not p._deferred_init for p in fresh.collect_params().values())


def test_other_numbers_of_classes_and_channels(weights):
    message = refusal(weights, get_model("resnet18", num_classes=1000))
    assert "num_classes: the file has 10, the network 1000" in message and "in_channels" not in message
    message = refusal(weights, get_model("resnet18", num_classes=10, in_channels=1))
    assert "in_channels: the file has 3, the network 1" in message and "num_classes" not in message
    message = refusal(weights, get_model("resnet18", in_channels=1))
    assert "in_channels: the file has 3" in message and "num_classes: the file has 10" in message


def zeros(shapes):
    """Arrays of these shapes that occupy no memory."""
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    "source, name, other, words",
    [
        ("torchvision", "resnet101", "resnet50", "They fit resnet101 from torchvision"),
        ("torchvision", "resnext50_32x4d", "resnet50", "They fit resnext50_32x4d from torchvision"),
        ("torchvision", "efficientnet_b2", "efficientnet_b1", "They fit efficientnet_b2 from torchvision"),
        ("torchvision", "inception_v1_bn", "inception_v3", "They fit inception_v1_bn from torchvision"),
        (
            "efficientnet-lite-pytorch",
            "efficientnet_lite0",
            "resnet18",
            "They fit efficientnet_lite0 from efficientnet-",
        ),
        ("gluoncv", "vgg11", "vgg11", "They fit vgg11 from gluoncv: --from gluoncv --net vgg11"),
    ],
)
def test_weights_of_another_network_are_recognized(source, name, other, words):
    state = zeros(source_shapes(source, name, num_classes=7))
    assert words in refusal(state, get_model(other, num_classes=7))


def test_names_of_an_exported_file(weights):
    state = {f"resnetv1b0_{name.replace('.', '_')}": array for name, array in weights.items()}
    message = refusal(state, get_model("resnet18", num_classes=10), convert.from_gluoncv)
    assert "call save_parameters() there" in message


@pytest.mark.parametrize("name, heads", [("inception_v1_bn", ("aux1.", "aux2.")), ("inception_v3", ("AuxLogits.",))])
def test_auxiliary_heads(name, heads):
    with_heads = zeros(source_shapes("torchvision", name, num_classes=5, aux=True))
    in_heads = [tensor for tensor in with_heads if tensor.startswith(heads)]
    assert len(in_heads) == {"inception_v1_bn": 18, "inception_v3": 12}[name]

    loaded = convert.from_torchvision(with_heads, get_model(name, num_classes=5))
    assert list(loaded.dropped) == in_heads
    assert loaded.tensors == len(with_heads) - len(in_heads)
    loaded = convert.from_torchvision(with_heads, get_model(name, num_classes=5, aux=True))
    assert loaded.dropped == () and loaded.tensors == len(with_heads)

    without = {tensor: array for tensor, array in with_heads.items() if tensor not in in_heads}
    message = refusal(without, get_model(name, num_classes=5, aux=True))
    assert "no auxiliary heads: build the network without aux" in message and in_heads[0] in message
    assert "num_classes: the file has 5, the network 6" in refusal(with_heads, get_model(name, num_classes=6, aux=True))
    del with_heads[in_heads[3]]
    assert f"{in_heads[3]} " in refusal(with_heads, get_model(name, num_classes=5, aux=True))


def test_gluoncv_heads_are_refused():
    for name in ("inception_v1_bn", "inception_v3"):
        assert "without aux" in refusal({}, get_model(name, aux=True), convert.from_gluoncv)


@pytest.mark.parametrize(
    "state, words",
    [
        ({}, "no tensors"),
        ([np.zeros(3)], "holds a list, not a state dict"),
        ({"epoch": 3}, "no tensors of weights: epoch is a int"),
        ({"optimizer": {"state": {0: {"exp_avg": np.zeros(3)}}, "param_groups": []}}, "no tensors of weights"),
        ({"fc.weight": np.array([1, np.nan], "float32")}, "fc.weight has NaN values (1 of 2)"),
        ({"fc.weight": np.array([1e39])}, "fc.weight has 1e+39"),
        ({"fc.weight": nd.ones((2, 2)).tostype("csr")}, "fc.weight is sparse (csr)"),
        ({"fc.weight": np.zeros(3, "int8")}, "fc.weight has the type int8"),
        ({"fc.weight": nd.zeros(3, dtype="int8")}, "fc.weight has the type int8"),
    ],
)
def test_not_a_state_dict(state, words):
    assert words in refusal(state, get_model("resnet18"))


@pytest.mark.parametrize(
    "source, load, lacks",
    [
        ("torchvision", convert.from_torchvision, "lenet"),
        ("torchvision", convert.from_torchvision, "inception_v4"),
        ("timm", convert.from_timm, "vgg16"),
        ("efficientnet-lite-pytorch", convert.from_efficientnet_lite_pytorch, "efficientnet_b0"),
        ("gluoncv", convert.from_gluoncv, "xception"),
    ],
)
def test_a_network_without_counterpart(source, load, lacks):
    message = refusal({"fc.weight": np.zeros(3)}, get_model(lacks), load)
    assert message.startswith(f"{source} has no counterpart") and list(SOURCES[source].networks)[0] in message


def test_names_of_the_original_efficientnet_lite():
    net = get_model("efficientnet_lite0")
    from_timm, from_original = (SOURCES[source].tensor_names(net) for source in ("timm", "efficientnet-lite-pytorch"))
    pairs = {timm: from_original[ours] for ours, timm in from_timm.items()}
    assert {name: pairs[name] for name in LITE_NAMES} == LITE_NAMES
    assert len(set(pairs.values())) == len(pairs) == 247


def test_the_original_efficientnet_lite():
    state = source_weights("efficientnet-lite-pytorch", "efficientnet_lite0", num_classes=10)
    net = get_model("efficientnet_lite0", num_classes=10)
    assert convert.from_efficientnet_lite_pytorch(state, net).tensors == 247
    assert np.array_equal(values(net)["blocks.3.2.conv_dw.weight"], state["_blocks.7._depthwise_conv.weight"])


@pytest.mark.parametrize("source, name", [(source, name) for source in SOURCES for name in SOURCES[source].networks])
def test_names_are_unique(source, name):
    names = SOURCES[source].tensor_names(get_model(name))
    assert len(set(names.values())) == len(names)
