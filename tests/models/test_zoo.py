"""The papers' networks: parameter counts, other classes and channels, training, hybridizing, memory."""

import subprocess
import sys

from gluon_classics.models import get_model, list_models, model_info

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, init, nd

pytestmark = pytest.mark.thorough

# Trainable parameters, as in the papers, torchvision or timm; those for COIL-20 are counted by hand in test_coil20.py.
# The second number includes the auxiliary heads.
COUNTS = {
    "lenet5": [61_706],
    "lenet5_1998": [60_000],
    "alexnet_paper": [60_965_224],
    "alexnet_owt": [61_100_840],
    "vgg11": [132_863_336],
    "vgg13": [133_047_848],
    "vgg16": [138_357_544],
    "vgg19": [143_667_240],
    "vgg11_bn": [132_868_840],
    "vgg13_bn": [133_053_736],
    "vgg16_bn": [138_365_992],
    "vgg19_bn": [143_678_248],
    "nin_imagenet": [7_595_176],
    "inception_v1": [6_998_552, 13_378_280],
    "inception_v1_bn": [6_624_904, 13_004_888],
    "inception_v3": [23_834_568, 27_161_264],
    "inception_v4": [42_679_816],
    "inception_resnet_v2": [55_843_464],
    "xception": [22_855_952],
    "resnet18": [11_689_512],
    "resnet34": [21_797_672],
    "resnet50": [25_557_032],
    "resnet101": [44_549_160],
    "resnet152": [60_192_808],
    "resnext50_32x4d": [25_028_904],
    "efficientnet_b0": [5_288_548],
    "efficientnet_b1": [7_794_184],
    "efficientnet_b2": [9_109_994],
    "efficientnet_b3": [12_233_232],
    "efficientnet_b4": [19_341_616],
    "efficientnet_b5": [30_389_784],
    "efficientnet_b6": [43_040_704],
    "efficientnet_b7": [66_347_960],
    "efficientnet_lite0": [4_652_008],
    "coil20_lenet": [73_450],
    "coil20_alexnet": [58_366_836],
    "coil20_googlenet": [6_003_140],
    "coil20_vgg16": [139_810_044],
    "coil20_resnet50": [25_827_516],
    "coil20_efficientnet": [4_032_592],
}
COIL20 = [name for name in COUNTS if name.startswith("coil20_")]
CLASSES = dict.fromkeys(COUNTS, 1000) | {"lenet5": 10, "lenet5_1998": 10} | dict.fromkeys(COIL20, 20)
TUTORIAL = ["lenet", "alexnet", "nin", "googlenet", "googlenet_as_printed", "vgg", "resnet"]
HEADS = [name for name, counts in COUNTS.items() if len(counts) == 2]
# the quick suite has one network of each kind
QUICK = ["lenet5", "lenet5_1998", "alexnet_paper", "vgg11_bn", "nin_imagenet", *HEADS, "inception_v4"]
QUICK += ["inception_resnet_v2", "xception", "resnet18", "resnet50", "resnext50_32x4d", "efficientnet_b0"]
QUICK += ["efficientnet_lite0", "coil20_lenet", "coil20_alexnet", "coil20_googlenet", "coil20_vgg16", "coil20_resnet50"]
ALL = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in COUNTS]


def trainable(net):
    return {n: p for n, p in net._collect_params_with_prefix().items() if p.grad_req != "null"}


def small_batch(net, n, channels):
    size = max(net.smallest_size, 32)
    return nd.array(np.random.RandomState(0).normal(size=(n, channels, size, size)))


def test_no_network_is_missing_here():
    assert sorted(list_models()) == sorted([*COUNTS, *TUTORIAL])


@pytest.mark.parametrize("name", COUNTS)
def test_exact_parameter_count(name):
    shape = model_info(name).input_shape
    for aux, count in zip([{}, {"aux": True}], COUNTS[name]):
        net = get_model(name, **aux)
        net.infer_shape(nd.zeros((1, *shape)))
        assert sum(int(np.prod(p.shape)) for p in trainable(net).values()) == count


@pytest.mark.parametrize("name", list_models())
def test_other_classes_and_channels(name):
    net = get_model(name, num_classes=7, in_channels=2)
    data = mx.sym.var("data")
    _, (shape,), _ = net(data).infer_shape(data=(3, 2, *model_info(name).input_shape[1:]))
    assert shape == (3, 7)
    with pytest.raises(ValueError, match="in_channels=2.* have 5: .*in_channels=5"):
        net(nd.zeros((1, 5, 300, 300)))


@pytest.mark.parametrize("name", COUNTS)
def test_smallest_size_is_the_smallest_that_mxnet_takes(name):
    net = get_model(name)
    smallest, graph = net.smallest_size, net(mx.sym.var("data"))
    _, (shape,), _ = graph.infer_shape(data=(1, net.in_channels, smallest, smallest))
    assert shape == (1, CLASSES[name])
    if smallest > 1:
        with pytest.raises(ValueError, match=f"images of {smallest}x{smallest} or larger"):
            net(nd.zeros((1, net.in_channels, smallest - 1, smallest - 1)))
        with pytest.raises(mx.MXNetError):
            graph.infer_shape(data=(1, net.in_channels, smallest - 1, smallest - 1))


@pytest.mark.parametrize("name", ALL)
def test_one_step_changes_every_parameter(name):
    mx.random.seed(0)
    aux = {"aux": True} if name in HEADS else {}
    net = get_model(name, num_classes=8, in_channels=1, **aux)
    images = small_batch(net, 8, 1)
    net.infer_shape(images)
    net.initialize(init.Xavier("gaussian", "in", 2))
    net.hybridize()
    before = {n: p.data().copy() for n, p in trainable(net).items()}
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    with autograd.record():
        outputs = net(images)
        outputs = outputs if aux else [outputs]
        value = sum(loss(out, nd.arange(8)) for out in outputs)
    value.backward()
    trainer.step(8)
    for parameter_name, parameter in trainable(net).items():
        after = parameter.data()
        assert (after != before[parameter_name]).sum().asscalar() > 0, parameter_name
        assert np.isfinite(after.sum().asscalar()), parameter_name


@pytest.mark.parametrize("name", ALL)
def test_hybridized_equals_imperative(name):
    mx.random.seed(0)
    net = get_model(name)
    images = small_batch(net, 2, net.in_channels)
    net.infer_shape(images)
    net.initialize(init.Xavier("gaussian", "in", 2))
    imperative = net(images).asnumpy()
    net.hybridize(static_alloc=True, static_shape=True)
    assert np.abs(net(images).asnumpy() - imperative).max() <= 1e-5 * imperative.std()


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("hybridize", [False, True])
def test_heads_return_outputs_in_training_and_evaluation(name, hybridize):
    net = get_model(name, num_classes=3, aux=True)
    images = small_batch(net, 1, 3)
    net.infer_shape(images)
    net.initialize()
    if hybridize:
        net.hybridize()
    count = 1 + len(net.aux_weights)
    assert [out.shape for out in net(images)] == [(1, 3)] * count
    with autograd.record():
        assert [out.shape for out in net(images)] == [(1, 3)] * count


MEMORY = """
import resource, sys, gluon_classics
from gluon_classics.models import get_model
from mxnet import init, nd
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
net = get_model(sys.argv[1])
net.infer_shape(nd.zeros((1, 3, 224, 224)))
nd.waitall()
before = resident()
net.initialize(init.One())
nd.waitall()
print(resident() - before)
"""


@pytest.mark.parametrize("name", ["vgg11", "inception_v3"])
def test_no_more_memory_than_weights_and_gradients(name):
    output = subprocess.run([sys.executable, "-c", MEMORY, name], capture_output=True, text=True, check=True).stdout
    assert int(output) < 1.1 * 2 * 4 * COUNTS[name][0] + 20 * 2**20
