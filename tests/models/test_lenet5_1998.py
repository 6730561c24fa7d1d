"""LeNet-5 of 1998 against the numbers of its paper (section II.B), and against the paper's equations in NumPy."""

from gluon_classics.data import DataLoader, ImageTransform, load_dataset
from gluon_classics.models import get_model
from gluon_classics.models.lenet5_1998 import bitmaps, c3_inputs
from gluon_classics.training import History, get_recipe, train

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, nd

PARAMETERS = {"c1": 156, "s2": 12, "c3": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164, "output": 0}
CONNECTIONS = {"c1": 122_304, "s2": 5_880, "c3": 151_600, "s4": 2_000, "c5": 48_120, "f6": 10_164, "output": 840}
SHAPES = {
    "c1": (6, 28, 28),
    "s2": (6, 14, 14),
    "c3": (16, 10, 10),
    "s4": (16, 5, 5),
    "c5": (120, 1, 1),
    "f6": (84,),
    "output": (10,),
}


@pytest.fixture
def net():
    mx.random.seed(0)
    net = get_model("lenet5_1998")
    net.initialize()
    net(nd.zeros((1, 1, 32, 32)))
    return net


def trainable(block):
    return [p for p in block.collect_params().values() if p.grad_req != "null"]


def output_shapes(net):
    shapes = {}
    for name, layer in net._children.items():
        layer.register_forward_hook(lambda _, __, output, name=name: shapes.update({name: output.shape[1:]}))
    net(nd.zeros((1, 1, 32, 32)))
    return shapes


def connections(name, layer, shape):
    """Count a layer's connections: what its units read, each unit's bias included."""
    if name in ("s2", "s4"):
        height, width = layer.average._kwargs["kernel"]
        return int(np.prod(shape)) * (height * width + 1)
    weights = trainable(layer) if name != "output" else [layer.centres]  # RBF units have no bias
    return sum(int(np.prod(p.shape)) for p in weights) * int(np.prod(shape[1:]))


def test_parameters_of_the_paper(net):
    counts = {name: sum(p.data().size for p in trainable(layer)) for name, layer in net._children.items()}
    assert counts == PARAMETERS
    assert sum(counts.values()) == 60_000
    assert net.output.centres.data().size == 840


def test_shapes_and_connections_of_the_paper(net):
    shapes = output_shapes(net)
    assert shapes == SHAPES
    counts = {name: connections(name, layer, shapes[name]) for name, layer in net._children.items()}
    assert counts == CONNECTIONS
    assert sum(counts.values()) == 340_908


def test_table_1_is_as_its_text_says():
    inputs = c3_inputs()
    contiguous = [{(first + i) % 6 for i in range(count)} for count in (3, 4) for first in range(6)]
    # each contiguous subset of three, then each of four, some discontinuous subsets of four, all
    assert sorted(map(sorted, inputs[:6])) == sorted(map(sorted, contiguous[:6]))
    assert sorted(map(sorted, inputs[6:12])) == sorted(map(sorted, contiguous[6:]))
    assert all(len(maps) == 4 and set(maps) not in contiguous for maps in inputs[12:15])
    assert inputs[15] == [0, 1, 2, 3, 4, 5]
    assert sum(map(len, inputs)) == 60


def test_columns_of_table_1():
    columns = "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345"
    assert ["".join(map(str, maps)) for maps in c3_inputs()] == columns.split()


def convolved(maps, kernels):
    """Correlate (C, H, W) with (C, 5, 5)."""
    windows = np.lib.stride_tricks.sliding_window_view(maps, (5, 5), axis=(1, 2))
    return np.einsum("chwij,cij->hw", windows, kernels)


def squashed(a):
    return 1.7159 * np.tanh(2 / 3 * a)


def by_the_paper(w, image):
    """The squared distances of one image (1, 32, 32), unit by unit, from the network's parameters `w`."""

    def subsampled(maps, layer):
        sums = maps[:, ::2, ::2] + maps[:, 1::2, ::2] + maps[:, ::2, 1::2] + maps[:, 1::2, 1::2]
        coefficients, biases = w[f"{layer}.scale.weight"][:, 0], w[f"{layer}.scale.bias"][:, None, None]
        return squashed(sums * coefficients + biases)

    c1 = squashed(np.stack([convolved(image, k) + b for k, b in zip(w["c1.weight"], w["c1.bias"])]))
    s2 = subsampled(c1, "s2")
    kernels = [kernel for i in range(3) for kernel in w[f"c3.conv{i}.weight"]]
    biases = [bias for i in range(3) for bias in w[f"c3.conv{i}.bias"]]
    c3 = squashed(np.stack([convolved(s2[maps], k) + b for maps, k, b in zip(c3_inputs(), kernels, biases)]))
    s4 = subsampled(c3, "s4")
    c5 = squashed(np.stack([convolved(s4, k) + b for k, b in zip(w["c5.weight"], w["c5.bias"])]))[:, 0, 0]
    f6 = squashed(w["f6.weight"] @ c5 + w["f6.bias"])
    return ((f6 - bitmaps().astype("float64")) ** 2).sum(axis=1)


@pytest.mark.parametrize("hybridize", [False, True])
def test_logits_are_minus_the_distances_of_the_paper(net, hybridize):
    if hybridize:
        net.hybridize()
    rng = np.random.RandomState(0)
    for p in trainable(net):  # larger than at the start, so that each layer matters
        p.set_data(nd.array(rng.uniform(-0.5, 0.5, p.shape)))
    weights = {name: p.data().asnumpy().astype("float64") for name, p in net._collect_params_with_prefix().items()}
    images = rng.normal(size=(2, 1, 32, 32))
    expected = np.stack([by_the_paper(weights, image) for image in images])
    assert expected.std() > 1
    assert net(nd.array(images)).asnumpy() == pytest.approx(-expected, rel=1e-4)


def test_bitmaps_are_ten_different_images_of_84_pixels():
    codes = bitmaps()
    assert codes.shape == (10, 84)
    assert set(np.unique(codes)) == {-1, 1}
    different = (codes[:, None] != codes).sum(axis=2)
    assert different[~np.eye(10, dtype=bool)].min() >= 10
    one = [row.nonzero()[0].tolist() for row in codes[1].reshape(12, 7) > 0]
    assert one[3] == [3, 4] and one[9] == [1, 2, 3, 4, 5, 6] and one[10:] == [[], []]


def test_weights_start_as_in_appendix_a():
    mx.random.seed(0)
    net = get_model("lenet5_1998")
    net.initialize(mx.init.Xavier())  # does not replace the layers' own
    net(nd.zeros((1, 1, 32, 32)))
    inputs = {"c1": 25, "s2": 4, "c3.conv0": 75, "c3.conv1": 100, "c3.conv2": 150, "s4": 4, "c5": 400, "f6": 120}
    for layer, fan_in in inputs.items():
        names = [name for name in net._collect_params_with_prefix() if name.startswith(layer) and "order" not in name]
        values = np.concatenate([net._collect_params_with_prefix()[name].data().asnumpy().ravel() for name in names])
        assert 0.7 < np.abs(values).max() * fan_in / 2.4 <= 1, layer


def test_a_step_leaves_the_bitmaps(net):
    net.hybridize()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.01, "wd": 0.1})
    with autograd.record():
        loss = gluon.loss.SoftmaxCrossEntropyLoss()(net(nd.random.normal(shape=(4, 1, 32, 32))), nd.arange(4))
    loss.backward()
    trainer.step(4)
    assert (net.output.centres.data().asnumpy() == bitmaps()).all()


def test_fewer_classes_take_the_first_bitmaps_and_more_are_refused():
    net = get_model("lenet5_1998", num_classes=3)
    net.initialize()
    assert (net.output.centres.data().asnumpy() == bitmaps()[:3]).all()
    with pytest.raises(ValueError, match="ten digits.* num_classes is 11: .*lenet5"):
        get_model("lenet5_1998", num_classes=11)


def test_exported_equals_the_network(net, tmp_path):
    net.hybridize()
    images = nd.random.normal(shape=(2, 1, 32, 32))
    logits = net(images).asnumpy()
    net.export(str(tmp_path / "net"))
    again = gluon.SymbolBlock.imports(str(tmp_path / "net-symbol.json"), ["data"], str(tmp_path / "net-0000.params"))
    assert (again(images).asnumpy() == logits).all()


@pytest.mark.slow
def test_learns_clothes_with_its_recipe():
    mx.random.seed(0)
    np.random.seed(0)
    recipe = get_recipe("default", "lenet5_1998")
    train_set, test_set = load_dataset("fashion-mnist-sample")
    transform = ImageTransform(resize=recipe["resize"], mean=[0.286], std=[0.353])
    net = get_model("lenet5_1998")
    net.initialize()
    net.hybridize()
    history = History()
    train(
        DataLoader(train_set, recipe["batch_size"], shuffle=True, transform=transform),
        DataLoader(test_set, 256, shuffle=False, transform=transform),
        net,
        gluon.loss.SoftmaxCrossEntropyLoss(),
        gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": recipe["lr"], "momentum": recipe["momentum"]}),
        mx.cpu(),
        num_epochs=3,
        callbacks=[history],
    )
    first, *_, last = history.records
    assert last.train_loss < 0.7 * first.train_loss
    assert last.test_acc > 0.7  # chance is 0.1
