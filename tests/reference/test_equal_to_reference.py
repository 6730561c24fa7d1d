"""With converted weights, logits, losses and gradients equal those of torchvision and timm."""

import gluon_classics  # noqa: F401
from gluon_classics.convert import from_timm, from_torchvision
from gluon_classics.models import get_model, model_info

import numpy as np
import pytest
from mxnet import autograd, gluon, nd

from seeded_weights import seeded_images

pytestmark = pytest.mark.reference
torch = pytest.importorskip("torch", reason="torch is not installed: make test-reference")
from torch_reference import REFERENCES, TIMM, reference_model  # noqa: E402

HEADS = ["inception_v1_bn", "inception_v3"]


def second_size(name):
    """Another size for the network: a multiple of 32, so that TensorFlow's padding is the same in every layer."""
    return model_info(name).input_shape[1] * 3 // 4 // 32 * 32


def converted(name, reference, **kwargs):
    net = get_model(name, **kwargs)
    convert = from_timm if name in TIMM else from_torchvision
    convert(reference.state_dict(), net)
    return net


def without_dropout(net, reference):
    for module in reference.modules():
        if type(module).__name__ in ("Dropout", "StochasticDepth", "DropPath"):
            module.p = module.drop_prob = 0.0
    net.apply(lambda block: setattr(block, "_rate", 0) if isinstance(block, gluon.nn.Dropout) else None)


@pytest.mark.parametrize("name", REFERENCES)
def test_logits(name):
    reference = reference_model(name)
    net = converted(name, reference)
    net.hybridize()
    for size in (model_info(name).input_shape[1], second_size(name)):
        images = seeded_images(2 if size < 400 else 1, 3, size)
        with torch.no_grad():
            wanted = reference(torch.from_numpy(images)).numpy()
        difference = np.abs(net(nd.array(images)).asnumpy() - wanted).max()
        assert difference < 1e-4 * wanted.std(), size


@pytest.mark.parametrize("name", [*REFERENCES, *(f"{name} with heads" for name in HEADS)])
def test_loss_and_gradient_in_training(name):
    # float64, because in float32 batch norm over few numbers amplifies rounding so that PyTorch differs from itself
    name, heads = name.split()[0], name.endswith("heads")
    reference = reference_model(name, aux_logits=True) if heads else reference_model(name)
    net = converted(name, reference, **({"aux": True} if heads else {}))
    without_dropout(net, reference)
    net.cast("float64")
    reference.double().train()
    images, labels = seeded_images(4, 3, max(96, net.smallest_size)).astype("float64"), np.arange(4)

    outputs = reference(torch.from_numpy(images))
    outputs = [outputs.logits, *reversed(outputs[1:])] if heads else [outputs]
    weights = [1, *net.aux_weights][: len(outputs)]
    criterion = torch.nn.CrossEntropyLoss()
    wanted = sum(w * criterion(out, torch.from_numpy(labels)) for w, out in zip(weights, outputs))
    wanted.backward()
    gradient = next(p for p in reference.parameters() if p.dim() == 4).grad.numpy()

    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    with autograd.record():
        outputs = net(nd.array(images, dtype="float64"))
        outputs = outputs if heads else [outputs]
        value = sum(w * loss(out, nd.array(labels)).mean() for w, out in zip(weights, outputs))
    value.backward()
    first = next(p for p in net._collect_params_with_prefix().values() if len(p.shape) == 4)
    assert value.asscalar() == pytest.approx(wanted.item(), rel=1e-6)
    assert np.abs(first.grad().asnumpy() - gradient).max() < 1e-6 * np.abs(gradient).max()


@pytest.mark.parametrize("name", HEADS)
def test_logits_of_the_heads(name):
    reference = reference_model(name, aux_logits=True)
    net = converted(name, reference, aux=True)
    without_dropout(net, reference)
    images = seeded_images(2, 3, model_info(name).input_shape[1])
    for module in reference.modules():  # training mode for the heads' outputs, except for batch norm
        module.training = not isinstance(module, torch.nn.BatchNorm2d)
    with torch.no_grad():
        outputs = reference(torch.from_numpy(images))
    for got, wanted in zip(net(nd.array(images)), [outputs.logits, *reversed(outputs[1:])]):
        assert np.abs(got.asnumpy() - wanted.numpy()).max() < 1e-4 * wanted.numpy().std()
