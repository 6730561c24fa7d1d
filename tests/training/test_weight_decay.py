"""Weight decay spares biases and batch norm."""

from gluon_classics.models import get_model
from gluon_classics.training.weight_decay import weight_decay_on_weights_only

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, nd


@pytest.mark.parametrize("network", ["lenet", "resnet18"])
def test_only_kernels_shrink(network):
    # with a gradient of 0, SGD multiplies decayed weights by 1 - lr * wd, and leaves the others
    net = get_model(network)
    net.initialize(mx.init.Uniform(1))
    weight_decay_on_weights_only(net)  # before the shapes are known
    image = nd.ones((1, *((1, 28, 28) if network == "lenet" else (3, 32, 32))))
    net(image)
    for p in net.collect_params().values():
        if p.grad_req != "null":
            p.set_data(nd.random.uniform(1, 2, p.shape))
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.5, "wd": 0.5}, update_on_kvstore=False)
    names = net._collect_params_with_prefix()
    before = {name: p.data().asnumpy() for name, p in names.items()}
    with autograd.record():
        loss = net(image).sum() * 0
    loss.backward()
    trainer.step(1)
    factors = {name: p.data().asnumpy() / before[name] for name, p in names.items() if p.grad_req != "null"}
    assert {before[name].ndim for name in factors} == {1, 2, 4}
    for name, factor in factors.items():
        expected = 1 if before[name].ndim == 1 else 0.75
        assert np.allclose(factor, expected, rtol=1e-6), name
    if network == "resnet18":  # 20 convolutions and the dense layer; 20 batch norms and one bias
        decayed = [p for p in names.values() if p.grad_req != "null" and p.wd_mult == 1]
        assert (len(decayed), len(factors) - len(decayed)) == (21, 41)
