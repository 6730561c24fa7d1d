"""Networks cut in two, Grad-CAM and occlusion."""

from gluon_classics.insight import saliency
from gluon_classics.insight.features import find_layer, last_map, outputs_of, rest_of, summarize_for
from gluon_classics.models import get_model

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, nd
from mxnet.gluon import nn

POOLED = {"resnet18": 64, "inception_v1": 64, "xception": 96, "efficientnet_b0": 64, "resnext50_32x4d": 64}


def network(name, size, channels=1, **kwargs):
    mx.random.seed(1)
    net = get_model(name, num_classes=5, in_channels=channels, **kwargs)
    net.initialize(mx.init.Xavier())
    images = nd.random.uniform(shape=(1, channels, size, size))
    net(images)
    return net, images


def last_dense(net):
    """The weights (classes, D) of the last dense layer."""
    names = [name for name in net._collect_params_with_prefix() if name.endswith("weight")]
    return net._collect_params_with_prefix()[names[-1]].data().asnumpy()


@pytest.mark.parametrize("name", POOLED)
def test_grad_cam_is_the_class_activation_map_where_a_global_average_pool_follows(name):
    net, images = network(name, POOLED[name])
    layer = last_map(summarize_for(net, images))
    (features,) = outputs_of(net, images, [layer])
    maps = saliency.grad_cam(net, images, range(5), layer)
    # Zhou et al. 2016, equation 2: the sum of the channels, each times the class's weight for it; above zero here
    expected = np.einsum("kd,dhw->khw", last_dense(net), features[0].asnumpy()).clip(0)
    assert expected.max() > 0
    pixels = features.shape[2] * features.shape[3]
    np.testing.assert_allclose(maps * pixels, expected, rtol=1e-4, atol=1e-5 * expected.max())


@pytest.mark.parametrize(
    "name, size", [("lenet", 28), ("alexnet", 96), ("nin", 96), ("googlenet", 96), ("resnet", 96), ("vgg", 32)]
)
def test_the_rest_after_a_layer_gives_the_networks_logits(name, size):
    net, images = network(name, size)
    summary = summarize_for(net, images)
    layer = last_map(summary)
    (features,) = outputs_of(net, images, [layer])
    assert features.shape == (1, *layer.output_shape)
    assert (rest_of(net, layer)(features) == net(images)).asnumpy().all()


def test_gradients_go_through_a_max_pool_to_the_maxima():
    net = nn.HybridSequential()
    net.add(nn.Conv2D(3, 1), nn.MaxPool2D(2), nn.Dropout(0.5), nn.Dense(2))
    net.initialize(mx.init.Xavier())
    images = nd.random.uniform(shape=(1, 1, 8, 8))
    net(images)
    layer = find_layer(summarize_for(net, images), "0")
    (features,) = outputs_of(net, images, [layer])
    rest = rest_of(net, layer)
    features.attach_grad()
    with autograd.record():
        logit = rest(features)[:, 1]
    (gradient,) = autograd.grad(logit, [features])
    weights = net[3].weight.data().asnumpy()[1].reshape(3, 4, 4)
    windows = features[0].asnumpy().reshape(3, 4, 2, 4, 2)
    expected = np.where(windows == windows.max(axis=(2, 4), keepdims=True), weights[:, :, None, :, None], 0)
    np.testing.assert_allclose(gradient[0].asnumpy(), expected.reshape(3, 8, 8), rtol=1e-6)


def test_grad_cam_is_the_same_each_time():
    net, images = network("lenet", 28)
    layer = last_map(summarize_for(net, images))
    maps = [saliency.grad_cam(net, images, [1], layer).tobytes() for _ in range(8)]
    assert len(set(maps)) == 1


def test_auxiliary_heads_are_left_out():
    net, images = network("inception_v1", 96, aux=True)
    summary = summarize_for(net, images)
    assert not [stage.name for stage in summary.stages if stage.name.startswith("aux")]
    layer = last_map(summary)
    (features,) = outputs_of(net, images, [layer])
    assert (rest_of(net, layer)(features) == net(images)[0]).asnumpy().all()


def test_a_hybridized_network_gives_the_same_and_is_not_changed():
    net, images = network("resnet18", 64)
    layer = last_map(summarize_for(net, images))
    expected = saliency.grad_cam(net, images, [2], layer)
    net.hybridize(static_alloc=True)
    net(images)
    np.testing.assert_allclose(saliency.grad_cam(net, images, [2], layer), expected, rtol=1e-5)
    assert net._active
    assert not net.fc.weight.grad().asnumpy().any()  # no gradient was added


def test_a_layer_with_a_path_around_it_is_refused():
    net, images = network("resnet18", 64)
    layer = find_layer(summarize_for(net, images), "layer4.1.conv1")
    with pytest.raises(ValueError, match="layer4.1.conv1 is inside a module"):
        rest_of(net, layer)


def test_an_unknown_layer_gives_the_nearest_names():
    net, images = network("resnet18", 64)
    with pytest.raises(ValueError, match="unknown layer 'layer5': did you mean layer"):
        find_layer(summarize_for(net, images), "layer5")


def test_occlusion_finds_the_only_relevant_pixel():
    def predict(images):  # the probability of class 1 is the brightness of pixel (6, 2)
        bright = images[:, 6, 2, 0] / 255
        return np.stack([1 - bright, bright], axis=1)

    picture = np.zeros((8, 8, 1), np.uint8)
    picture[6, 2] = 255  # the mean is 4
    falls = saliency.occlusion(predict, picture, 1, patch=4, stride=2)
    expected = np.zeros((3, 3))
    expected[2, :2] = 251 / 255  # the squares from row 4 and columns 0 and 2 cover it
    np.testing.assert_allclose(falls, expected, atol=1e-6)
    np.testing.assert_allclose(saliency.occlusion(predict, picture, 0, 4, 2), -expected, atol=1e-6)


def test_the_occluding_square_reaches_the_border():
    seen = []

    def predict(images):
        seen.append(images)
        return np.ones((len(images), 1))

    picture = np.arange(7 * 5, dtype=np.uint8).reshape(7, 5, 1)
    assert saliency.occlusion(predict, picture, 0, patch=3, stride=2).shape == (3, 2)
    changed = (seen[1] != picture).any(axis=0)
    assert changed.sum() == 7 * 5 - 1  # 17, in the middle, is the mean itself
