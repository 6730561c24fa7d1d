"""1x1 convolutions, for which oneDNN's AMX kernel would write beyond its buffer.

That can crash or corrupt the process, so these convolutions run in a process of their own.
"""

import subprocess
import sys
from pathlib import Path

from gluon_classics import runtime
from gluon_classics.runtime import pointwise

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd

ROOT = Path(__file__).parents[1]
needs_amx = pytest.mark.skipif(not runtime.describe().amx, reason=f"no AMX here: {runtime.describe().amx_reason}")

# maps of 27 to 48 pixels, three tiles each; GoogLeNet at 224x224 ends with 6x6
BFLOAT16 = """
from gluon_classics import training
import numpy as np
from mxnet import gluon, nd
training.enable_dtype("bfloat16")
for height, width in ((6, 6), (3, 9), (3, 11), (3, 13), (6, 7), (5, 9), (6, 8)):
    x = nd.random.uniform(shape=(4, 64, height, width))
    net = gluon.nn.Conv2D(64, 1, use_bias=False, in_channels=64)
    net.initialize()
    net.hybridize()
    weight = net.weight.data().asnumpy()[:, :, 0, 0]
    np.testing.assert_allclose(
        nd.amp_cast(net(x), dtype="float32").asnumpy(), np.einsum("oc,nchw->nohw", weight, x.asnumpy()), atol=0.02
    )
"""
INT8 = """
from gluon_classics import data
from gluon_classics.deploy.quantization import quantize
import mxnet as mx
import numpy as np
from mxnet import gluon, nd
net = gluon.nn.HybridSequential()
net.add(gluon.nn.Conv2D(64, 3, padding=1, in_channels=1), gluon.nn.Conv2D(64, 1, in_channels=64), gluon.nn.Flatten())
net.initialize(mx.init.Xavier())
images = np.random.RandomState(0).randint(0, 256, (32, 6, 6, 1)).astype(np.uint8)
int8 = quantize(net, images, data.ImageTransform(6))
x = nd.array(images.transpose(0, 3, 1, 2) / 255)
for _ in range(3):
    exact, rounded = net(x).asnumpy(), int8(x).asnumpy()
    np.testing.assert_allclose(rounded, exact, atol=0.05 * abs(exact).max())
"""


@needs_amx
@pytest.mark.parametrize("code", [BFLOAT16, INT8], ids=["bfloat16", "int8"])
def test_maps_of_three_tiles_are_correct(code):
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_dilation_has_no_effect_on_pointwise_convolutions():
    x, w = nd.random.normal(shape=(2, 8, 6, 6)), nd.random.normal(shape=(4, 8, 1, 1))
    settings = {"kernel": (1, 1), "num_filter": 4, "no_bias": True}
    plain = nd.Convolution(x, w, **settings).asnumpy()
    with pointwise.dilated():
        dilated = nd.Convolution(x, w, **settings).asnumpy()
    np.testing.assert_allclose(dilated, plain, rtol=1e-5, atol=1e-5)


def test_only_pointwise_convolutions_of_stride_1_are_dilated():
    data = mx.sym.Variable("data")

    def dilate(**settings):
        return mx.sym.Convolution(data, num_filter=4, name="conv", **settings).attr_dict()["conv"].get("dilate")

    with pointwise.dilated():
        assert dilate(kernel=(1, 1)) == dilate(kernel=(1, 1), stride=(1, 1), dilate=(1, 1)) == "(2, 2)"
        assert dilate(kernel=(1, 1), stride=(2, 2)) is None
        assert dilate(kernel=(3, 3), dilate=(1, 1)) == "(1, 1)"
    assert dilate(kernel=(1, 1)) is None
