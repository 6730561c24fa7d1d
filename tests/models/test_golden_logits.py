"""Networks give their references' logits, stored by make_golden_logits.py, so no reference need be installed.

tests/reference compares with the reference implementations themselves.
"""

from pathlib import Path

from gluon_classics.models import get_model

import numpy as np
import pytest
from mxnet import init, nd

from seeded_weights import fill, seeded_images

GOLDEN = np.load(Path(__file__).with_name("golden_logits.npz"))


@pytest.mark.parametrize("key", GOLDEN.files)
def test_logits_of_the_reference(key):
    name, size = key.split("@")
    images = nd.array(seeded_images(1, 3, int(size)))
    net = get_model(name)
    net.infer_shape(images)
    net.initialize(init.Zero())
    fill(net)
    net.hybridize()
    assert np.abs(net(images).asnumpy() - GOLDEN[key]).max() < 1e-4 * GOLDEN[key].std()


def test_all_references_are_there():
    assert len(GOLDEN.files) == 29
