"""Networks with auxiliary heads: the heads' losses count in training, by their weights, and not in evaluation."""

from gluon_classics.models import get_model
from gluon_classics.training import Log, train
from gluon_classics.training.loop import evaluate
from gluon_classics.training.step import loss_of_heads

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon, nd
from mxnet.gluon import nn

LOSS = gluon.loss.SoftmaxCrossEntropyLoss()


class Heads(nn.HybridBlock):
    """Three parallel dense layers: the first is the network, the others are heads."""

    aux_weights = (0.3, 0.4)

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.main, self.aux1, self.aux2 = nn.Dense(3), nn.Dense(3), nn.Dense(3)

    def hybrid_forward(self, F, x):
        return self.main(x), self.aux1(x), self.aux2(x)


def batch():
    return nd.array([[1.0, 2.0], [0.5, -1.0]]), nd.array([0, 2])


def test_the_loss_is_the_weighted_sum():
    net = Heads()
    net.initialize(mx.init.Xavier())
    x, y = batch()
    logits, aux1, aux2 = net(x)
    wanted = LOSS(logits, y) + 0.3 * LOSS(aux1, y) + 0.4 * LOSS(aux2, y)
    assert np.allclose(loss_of_heads(net, LOSS, net(x), y).asnumpy(), wanted.asnumpy(), rtol=1e-6)
    assert (loss_of_heads(net, LOSS, logits, y).asnumpy() == LOSS(logits, y).asnumpy()).all()


def test_one_step_moves_each_head_by_its_weight():
    net = Heads()
    net.initialize(mx.init.Zero())
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 1.0})
    train([batch()], [batch()], net, LOSS, trainer, mx.cpu(), 1, callbacks=[Log(log=str)])
    main, aux1, aux2 = (each.weight.data().asnumpy() for each in (net.main, net.aux1, net.aux2))
    assert np.abs(main).max() > 0.1
    assert np.allclose(aux1, 0.3 * main, rtol=1e-5)
    assert np.allclose(aux2, 0.4 * main, rtol=1e-5)


def test_the_evaluation_ignores_the_heads():
    net = Heads()
    net.initialize(mx.init.Zero())
    net.main.bias.set_data(nd.array([9.0, 0, 0]))
    net.aux1.bias.set_data(nd.array([0, 0, 9.0]))
    metrics = evaluate([batch()], net, LOSS, mx.cpu())
    assert metrics.accuracy == 0.5
    assert metrics.loss == pytest.approx(LOSS(net(batch()[0])[0], batch()[1]).mean().asscalar())


def test_heads_without_weights_are_an_error():
    net = Heads()
    net.aux_weights = (0.3,)
    net.initialize()
    with pytest.raises(ValueError, match=r"2 auxiliary outputs, but its aux_weights are \(0.3,\)"):
        loss_of_heads(net, LOSS, net(batch()[0]), batch()[1])


def test_the_papers_weights():
    # Szegedy 2014, section 5: 0.3; torchvision's training of Inception v3: 0.4
    assert get_model("inception_v1", aux=True).aux_weights == (0.3, 0.3)
    assert get_model("inception_v1_bn", aux=True).aux_weights == (0.3, 0.3)
    assert get_model("inception_v3", aux=True).aux_weights == (0.4,)
