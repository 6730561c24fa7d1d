"""Inception v3, v4, Inception-ResNet-v2 and Xception compared with their papers and the reference implementations.

All tests only read graphs, except the last two, which compute outputs.
"""

import functools
import json

from gluon_classics.models import get_model

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, init, nd

NETWORKS = ["inception_v3", "inception_v4", "inception_resnet_v2", "xception"]


def count(net, channels=3):
    net.infer_shape(nd.zeros((1, channels, 299, 299)))
    return sum(int(np.prod(p.shape)) for p in net.collect_params().values() if p.grad_req != "null")


@functools.cache
def nodes(name):
    return json.loads(get_model(name)(mx.sym.var("data")).tojson())["nodes"]


def operators(name, op):
    """The attributes of every operator `op` in the graph of the network `name`."""
    return [node["attrs"] for node in nodes(name) if node["op"] == op]


@pytest.mark.parametrize(
    "name, kwargs, expected",
    [
        ("inception_v3", {}, 23_834_568),
        ("inception_v3", {"aux": True}, 27_161_264),
        ("inception_v4", {}, 42_679_816),
        ("inception_resnet_v2", {}, 55_843_464),
        ("xception", {}, 22_855_952),
        # 990 rows fewer in the last dense layer, each 2048 or 1536 weights and a bias; in the head's, 768 and a bias
        ("inception_v3", {"num_classes": 10}, 23_834_568 - 990 * 2049),
        ("inception_v3", {"num_classes": 10, "aux": True}, 27_161_264 - 990 * (2049 + 769)),
        ("inception_v4", {"num_classes": 10}, 42_679_816 - 990 * 1537),
        ("inception_resnet_v2", {"num_classes": 10}, 55_843_464 - 990 * 1537),
        ("xception", {"num_classes": 10}, 22_855_952 - 990 * 2049),
    ],
)
def test_exact_parameter_count(name, kwargs, expected):
    assert count(get_model(name, **kwargs)) == expected


@pytest.mark.parametrize("name", NETWORKS)
def test_one_input_channel_needs_a_third_of_the_first_convolution(name):
    assert count(get_model(name)) - count(get_model(name, in_channels=1), channels=1) == 2 * 32 * 3 * 3


STAGES = {
    # the paper's Table 1 lists input sizes, so a layer's output is in the table's next row
    "inception_v3": {
        "Conv2d_1a_3x3": (32, 149, 149),
        "Conv2d_2a_3x3": (32, 147, 147),
        "Conv2d_2b_3x3": (64, 147, 147),
        "maxpool1": (64, 73, 73),
        "Conv2d_3b_1x1": (80, 73, 73),
        "Conv2d_4a_3x3": (192, 71, 71),
        "maxpool2": (192, 35, 35),
        "Mixed_5b": (256, 35, 35),
        "Mixed_5c": (288, 35, 35),
        "Mixed_5d": (288, 35, 35),
        "Mixed_6a": (768, 17, 17),
        "Mixed_6e": (768, 17, 17),
        "AuxLogits.pool": (768, 5, 5),
        "AuxLogits.conv0": (128, 5, 5),
        "AuxLogits.conv1": (768, 1, 1),
        "AuxLogits": (1000,),
        "Mixed_7a": (1280, 8, 8),
        "Mixed_7b": (2048, 8, 8),
        "Mixed_7c": (2048, 8, 8),
        "avgpool": (2048, 1, 1),
        "fc": (1000,),
    },
    # figure 3 and figure 9
    "inception_v4": {
        "features.0": (32, 149, 149),
        "features.1": (32, 147, 147),
        "features.2": (64, 147, 147),
        "features.3": (160, 73, 73),
        "features.4": (192, 71, 71),
        "features.5": (384, 35, 35),
        "features.9": (384, 35, 35),
        "features.10": (1024, 17, 17),
        "features.17": (1024, 17, 17),
        "features.18": (1536, 8, 8),
        "features.21": (1536, 8, 8),
        "avgpool": (1536, 1, 1),
        "last_linear": (1000,),
    },
    # the released network; figure 15 gives 384, 1152 and 2144 channels
    "inception_resnet_v2": {
        "conv2d_1a": (32, 149, 149),
        "conv2d_2a": (32, 147, 147),
        "conv2d_2b": (64, 147, 147),
        "maxpool_3a": (64, 73, 73),
        "conv2d_3b": (80, 73, 73),
        "conv2d_4a": (192, 71, 71),
        "maxpool_5a": (192, 35, 35),
        "mixed_5b": (320, 35, 35),
        "repeat.9": (320, 35, 35),
        "mixed_6a": (1088, 17, 17),
        "repeat_1.19": (1088, 17, 17),
        "mixed_7a": (2080, 8, 8),
        "repeat_2.8": (2080, 8, 8),
        "block8": (2080, 8, 8),
        "conv2d_7b": (1536, 8, 8),
        "avgpool": (1536, 1, 1),
        "classif": (1000,),
    },
    # figure 5: the middle flow keeps 19x19x728, and the last vectors have 2048 dimensions
    "xception": {
        "conv1": (32, 149, 149),
        "conv2": (64, 147, 147),
        "block1": (128, 74, 74),
        "block2": (256, 37, 37),
        "block3": (728, 19, 19),
        "block11": (728, 19, 19),
        "block12": (1024, 10, 10),
        "conv3": (1536, 10, 10),
        "conv4": (2048, 10, 10),
        "avgpool": (2048, 1, 1),
        "fc": (1000,),
    },
}


def child(net, name):
    for part in name.split("."):
        net = net._children[part]
    return net


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_after_each_stage_of_the_figures(name):
    net, outputs = get_model(name, **({"aux": True} if name == "inception_v3" else {})), {}
    for stage in STAGES[name]:
        child(net, stage).register_forward_hook(lambda _, __, out, stage=stage: outputs.setdefault(stage, out))
    net(mx.sym.var("data"))
    shapes = {stage: out.infer_shape(data=(1, 3, 299, 299))[1][0][1:] for stage, out in outputs.items()}
    assert shapes == STAGES[name]


@pytest.mark.parametrize(
    "name, modules",
    [
        ("inception_v3", {"InceptionA": 3, "InceptionB": 1, "InceptionC": 4, "InceptionD": 1, "InceptionE": 2}),
        ("inception_v4", {"InceptionA": 4, "ReductionA": 1, "InceptionB": 7, "ReductionB": 1, "InceptionC": 3}),
        ("inception_resnet_v2", {"InceptionResNetA": 10, "InceptionResNetB": 20, "InceptionResNetC": 10}),
        ("xception", {"Block": 3 + 8 + 1}),
    ],
)
def test_number_of_modules(name, modules):
    kinds = []
    get_model(name).apply(lambda block: kinds.append(type(block).__name__))
    assert {kind: kinds.count(kind) for kind in modules} == modules


# Batch norm follows every convolution except the linear ones at the end of Inception-ResNet-v2's 40 residual modules
# and Xception's depthwise ones.
@pytest.mark.parametrize(
    "name, convolutions, batch_norms, epsilon",
    [
        ("inception_v3", 94, 94, 1e-3),
        ("inception_v4", 149, 149, 1e-3),
        ("inception_resnet_v2", 244, 204, 1e-3),
        ("xception", 2 + 2 * 34 + 4, 2 + 34 + 4, 1e-5),
    ],
)
def test_convolutions_batch_norms_and_their_epsilon(name, convolutions, batch_norms, epsilon):
    found = operators(name, "BatchNorm")
    assert len(found) == batch_norms
    assert {float(attrs["eps"]) for attrs in found} == {epsilon}
    assert {attrs["fix_gamma"] for attrs in found} == {"False"}
    found = operators(name, "Convolution")
    assert len(found) == convolutions
    linear = [attrs for attrs in found if attrs["no_bias"] == "False"]
    assert len(linear) == (40 if name == "inception_resnet_v2" else 0)


MAX_3_2 = ("max", "(3, 3)", "(2, 2)", "(0, 0)")


@pytest.mark.parametrize(
    "name, expected",
    [
        # torchvision's average pools count the padding, timm's do not
        ("inception_v3", {(*MAX_3_2, None): 4, ("avg", "(3, 3)", "(1, 1)", "(1, 1)", "True"): 9}),
        ("inception_v4", {(*MAX_3_2, None): 4, ("avg", "(3, 3)", "(1, 1)", "(1, 1)", "False"): 14}),
        ("inception_resnet_v2", {(*MAX_3_2, None): 4, ("avg", "(3, 3)", "(1, 1)", "(1, 1)", "False"): 1}),
        ("xception", {("max", "(3, 3)", "(2, 2)", "(1, 1)", None): 4}),
    ],
)
def test_pools(name, expected):
    pools = [attrs for attrs in operators(name, "Pooling") if attrs["global_pool"] == "False"]
    assert {attrs["pooling_convention"] for attrs in pools} == {"valid"}
    rows = [tuple(a.get(key) for key in ("pool_type", "kernel", "stride", "pad", "count_include_pad")) for a in pools]
    assert {row: rows.count(row) for row in rows} == expected


@pytest.mark.parametrize(
    "name, rate", [("inception_v3", 0.5), ("inception_v4", 0.2), ("inception_resnet_v2", 0.2), ("xception", 0.5)]
)
def test_dropout(name, rate):
    assert [float(attrs["p"]) for attrs in operators(name, "Dropout")] == [rate]


@pytest.mark.parametrize("name, shortcuts", [("inception_resnet_v2", 10 + 20 + 10), ("xception", 3 + 8 + 1)])
def test_every_residual_module_has_its_shortcut(name, shortcuts):
    assert len([node for node in nodes(name) if node["op"] == "elemwise_add"]) == shortcuts


def test_residuals_are_scaled():
    scales = [float(attrs["scalar"]) for attrs in operators("inception_resnet_v2", "_mul_scalar")]
    assert scales == [0.17] * 10 + [0.10] * 20 + [0.20] * 9 + [1.0]
    # a ReLU follows each batch norm, and each module except the last
    assert len(operators("inception_resnet_v2", "Activation")) == 204 + 39


def test_xceptions_first_block_starts_without_relu():
    # 4 outside the blocks; 1 in the first block, 2 in each other block of entry and exit flow, 3 in each middle block
    assert len(operators("xception", "Activation")) == 4 + (1 + 2 + 2) + 8 * 3 + 2


@pytest.mark.parametrize(
    "name, shapes",
    [
        (
            "inception_v3",
            {
                "Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3),
                "Mixed_5b.branch5x5_2.conv.weight": (64, 48, 5, 5),
                "Mixed_6c.branch7x7_2.conv.weight": (160, 160, 1, 7),
                "Mixed_6c.branch7x7dbl_2.conv.weight": (160, 160, 7, 1),
                "Mixed_7b.branch3x3_2a.bn.running_var": (384,),
                "Mixed_7b.branch3x3_2b.conv.weight": (384, 384, 3, 1),
                "fc.bias": (1000,),
            },
        ),
        (
            "inception_v4",
            {
                "features.3.conv.conv.weight": (96, 64, 3, 3),
                "features.4.branch1.1.conv.weight": (64, 64, 1, 7),
                "features.5.conv.conv.weight": (192, 192, 3, 3),
                "features.6.branch3.1.conv.weight": (96, 384, 1, 1),
                "features.11.branch2.1.conv.weight": (192, 192, 7, 1),
                "features.21.branch2_1.conv.weight": (448, 384, 3, 1),
                "last_linear.weight": (1000, 1536),
            },
        ),
        (
            "inception_resnet_v2",
            {
                "mixed_5b.branch1.1.conv.weight": (64, 48, 5, 5),
                "repeat.0.conv2d.bias": (320,),
                "repeat_1.0.branch1.1.conv.weight": (160, 128, 1, 7),
                "block8.branch1.2.bn.running_mean": (256,),
                "classif.weight": (1000, 1536),
            },
        ),
        (
            "xception",
            {
                "block1.rep.0.conv1.weight": (64, 1, 3, 3),
                "block2.rep.1.pointwise.weight": (256, 128, 1, 1),
                "block12.rep.4.pointwise.weight": (1024, 728, 1, 1),
                "block12.skipbn.running_mean": (1024,),
                "conv4.conv1.weight": (1536, 1, 3, 3),
                "fc.weight": (1000, 2048),
            },
        ),
    ],
)
def test_weights_are_named_as_in_the_reference(name, shapes):
    net = get_model(name)
    net.infer_shape(nd.zeros((1, 3, 299, 299)))
    parameters = net._collect_params_with_prefix()
    assert {parameter: parameters[parameter].shape for parameter in shapes} == shapes


@pytest.mark.parametrize(
    "name, kwargs, smallest",
    [
        ("inception_v3", {}, 75),
        ("inception_v3", {"aux": True}, 299),
        ("inception_v4", {}, 75),
        ("inception_resnet_v2", {}, 75),
        ("xception", {}, 7),
    ],
)
def test_smallest_size_is_the_smallest_that_mxnet_takes(name, kwargs, smallest):
    assert get_model(name, **kwargs).smallest_size == smallest
    get_model(name, **kwargs).infer_shape(nd.zeros((1, 3, smallest, smallest)))
    with pytest.raises(mx.MXNetError):
        get_model(name, **kwargs).infer_shape(nd.zeros((1, 3, smallest - 1, smallest - 1)))


def test_the_head_is_built_only_with_aux():
    assert not [name for name in get_model("inception_v3")._collect_params_with_prefix() if "Aux" in name]
    assert not isinstance(get_model("inception_v3")(mx.sym.var("data")), (list, tuple))
    net = get_model("inception_v3", aux=True)
    assert len(net(mx.sym.var("data"))) == 1 + len(net.aux_weights)
    assert net.aux_weights == (0.4,)


@pytest.mark.parametrize("hybridize", [False, True])
def test_two_outputs_with_the_head_in_training_and_evaluation(hybridize):
    net = get_model("inception_v3", aux=True, num_classes=3)
    net.initialize(init.Zero())
    net.fc.bias.initialize(init.One(), force_reinit=True)
    if hybridize:
        net.hybridize()
    logits, aux = net(nd.zeros((1, 3, 299, 299)))
    assert (logits.asnumpy() == [[1, 1, 1]]).all()
    assert (aux.asnumpy() == [[0, 0, 0]]).all()
    with autograd.train_mode():
        assert [out.shape for out in net(nd.zeros((1, 3, 299, 299)))] == [(1, 3), (1, 3)]


@pytest.mark.parametrize("hybridize", [False, True])
def test_one_output_without_the_head(hybridize):
    net = get_model("inception_v3", num_classes=3)
    net.initialize(init.Zero())
    if hybridize:
        net.hybridize()
    with autograd.train_mode():
        assert net(nd.zeros((1, 3, 75, 75))).shape == (1, 3)
    assert net(nd.zeros((1, 3, 75, 75))).shape == (1, 3)
