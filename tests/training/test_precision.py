"""Dtypes: which are refused, bfloat16's results against NumPy, and that it trains as well as float32.

AMP changes the process for good, so everything that enables it runs in a process of its own.
"""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

from gluon_classics import runtime
from gluon_classics.training.precision import check_dtype, enable_dtype, widen

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd

ROOT = Path(__file__).parents[2]
needs_bfloat16 = pytest.mark.skipif(not runtime.describe().bfloat16, reason="this processor has no AVX-512")


@pytest.fixture
def processor(monkeypatch):
    """Return a function that sets the bfloat16 instructions that the runtime finds."""

    def make(bfloat16):
        monkeypatch.setattr(runtime, "_prepared", dataclasses.replace(runtime.describe(), bfloat16=bfloat16))

    return make


def run(code):
    """Return what a new interpreter prints as JSON in its last line."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("instructions", ["amx_bf16", "avx512_bf16"])
def test_what_each_device_can(processor, instructions):
    processor(instructions)
    for dtype in ("float32", "bfloat16", "auto"):
        check_dtype(dtype, [mx.cpu()])
    for dtype in ("float32", "float16", "auto"):
        check_dtype(dtype, [mx.gpu(0), mx.gpu(1)])


@pytest.mark.parametrize("force", [False, True])
def test_what_no_device_can_is_refused(processor, force):
    processor("avx512_bf16")
    with pytest.raises(ValueError, match="float16 needs a GPU.*bfloat16 or auto"):
        check_dtype("float16", [mx.cpu()], force)
    with pytest.raises(ValueError, match="bfloat16 needs a CPU.*float16 or auto"):
        check_dtype("bfloat16", [mx.gpu(0)], force)
    with pytest.raises(ValueError, match="unknown dtype 'bfloat'.*did you mean bfloat16"):
        check_dtype("bfloat", [mx.cpu()], force)
    processor("")
    with pytest.raises(ValueError, match="AVX-512"):
        check_dtype("bfloat16", [mx.cpu()], force)


def test_slower_than_float32_takes_force(processor):
    processor("emulated")
    with pytest.raises(ValueError, match="slower than float32.*--force"):
        check_dtype("bfloat16", [mx.cpu()])
    check_dtype("bfloat16", [mx.cpu()], force=True)
    check_dtype("auto", [mx.cpu()])


def test_float32_changes_nothing():
    before = nd.Convolution, mx.sym.FullyConnected
    enable_dtype("float32")
    assert (nd.Convolution, mx.sym.FullyConnected) == before
    with pytest.raises(ValueError, match="unknown dtype 'float23'"):
        enable_dtype("float23")


def test_widen_leaves_the_wide_ones():
    for dtype in ("float32", "float64"):
        x = nd.ones((2, 3), dtype=dtype)
        assert widen(x) is x
    half = nd.array([1.5, 65504], dtype="float16")
    assert widen(half).dtype == np.float32 and (widen(half).asnumpy() == [1.5, 65504]).all()


TRAIN = """
import json, numpy as np
from gluon_classics.data import ImageTransform, load_dataset
from gluon_classics.models import get_model
from gluon_classics.training.precision import enable_dtype, widen
import mxnet as mx
from mxnet import autograd, gluon, nd
enable_dtype("bfloat16")
enable_dtype("bfloat16")
answer = {}
for other in ("float16", "float32"):
    try:
        enable_dtype(other)
    except ValueError as error:
        answer[other] = str(error)

x, w = np.random.RandomState(0).randn(2, 8, 32).astype("float32")
answer["x"], answer["w"] = x.tolist(), w.tolist()
dense = nd.FullyConnected(nd.array(x), nd.array(w), no_bias=True, num_hidden=8)
answer["bits"] = np.dtype(dense.dtype).itemsize * 8
answer["dense"] = widen(dense).asnumpy().tolist()
ones = [nd.amp_cast(nd.ones((1, 2)), dtype=dense.dtype), nd.ones((1, 2))]
answer["joined"] = nd.concat(*ones, dim=1).asnumpy().tolist()

mx.random.seed(0)
net = get_model("lenet")
net.initialize(mx.init.Xavier())
net.hybridize(static_alloc=True, static_shape=True)
sample, _ = load_dataset("fashion-mnist-sample")
images, labels = ImageTransform()(nd.array(sample.images[:64], dtype="uint8"), nd.array(sample.labels[:64]))
trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.01, "momentum": 0.9})
loss, losses = gluon.loss.SoftmaxCrossEntropyLoss(), []
for _ in range(100):
    with autograd.record():
        value = loss(widen(net(images)), labels)
    value.backward()
    trainer.step(64)
    losses.append(float(value.mean().asscalar()))
answer["losses"] = losses
parameters = net.collect_params().values()
answer["dtypes"] = sorted({np.dtype(a.dtype).name for p in parameters for a in (p.data(), p.grad())})
print(json.dumps(answer))
"""


def as_bfloat16(x):
    """float32 rounded to the nearest bfloat16, ties to even: the upper 16 bits."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32)


@needs_bfloat16
def test_bfloat16_in_a_process_of_its_own():
    answer = run(TRAIN)
    for other in ("float16", "float32"):
        assert all(word in answer[other] for word in ("bfloat16", other, "new process"))
    # inputs rounded to 8 significant bits, the sum in float32, and rounded once more; float32's result is farther off
    x, w, dense = (np.array(answer[name], np.float32) for name in ("x", "w", "dense"))
    assert answer["bits"] == 16
    np.testing.assert_allclose(dense, as_bfloat16(x) @ as_bfloat16(w).T, rtol=2**-8, atol=1e-5)
    assert (as_bfloat16(dense) == dense).all()
    assert np.abs(dense - x @ w.T).max() > 2**-8
    assert answer["joined"] == [[1, 1, 1, 1]]
    assert answer["dtypes"] == ["float32"]
    assert np.mean(answer["losses"][:5]) > 2 > 1 > answer["losses"][-1]  # -log(1/10) is 2.3


ACCURACY = """
import json, sys
from gluon_classics.data import DataLoader, ImageDataset, ImageTransform, load_dataset
from gluon_classics.models import get_model
from gluon_classics.training.precision import enable_dtype, widen
import mxnet as mx
from mxnet import autograd, gluon, nd
dtype, name, seeds, lr, size = {dtype!r}, {name!r}, {seeds}, {lr}, {size}
enable_dtype(dtype)
train_set, test_set = load_dataset("fashion-mnist-sample")
half = len(train_set) // 2
to_float = ImageTransform(size)
seen = DataLoader(train_set.take(half), 64, True, to_float)
unseen = [DataLoader(test_set, 250, False, to_float)]
rest = DataLoader(train_set, 250, False, to_float)
loss, accuracies = gluon.loss.SoftmaxCrossEntropyLoss(), []
for seed in range(seeds):
    mx.random.seed(seed)
    net = get_model(name, num_classes=10, in_channels=1)
    net.initialize(mx.init.Xavier())
    net.hybridize(static_alloc=True, static_shape=True)
    trainer = gluon.Trainer(net.collect_params(), "sgd", {{"learning_rate": lr, "momentum": 0.9}})
    seen.seed, seen.epoch = seed, 0
    for _ in range(3):
        for images, labels in seen:
            with autograd.record():
                value = loss(widen(net(images)), labels)
            value.backward()
            trainer.step(len(images))
        nd.waitall()
    right = count = 0
    for loader, first in ((rest, half), (unseen[0], 0)):
        for i, (images, labels) in enumerate(loader):
            if i * 250 >= first:
                right += int((widen(net(images)).argmax(axis=1) == labels).sum().asscalar())
                count += len(images)
    accuracies.append(100 * right / count)
print(json.dumps(accuracies))
"""


@pytest.mark.slow
@needs_bfloat16
@pytest.mark.parametrize(
    "name, seeds, lr, size",
    [
        ("lenet", 8, 0.05, 28),
        ("resnet18", 4, 0.01, 28),
        ("inception_v1_bn", 3, 0.02, 48),
    ],  # GoogLeNet, as in torchvision
)
def test_bfloat16_is_as_accurate_as_float32(name, seeds, lr, size):
    """3 epochs on half of the sample's training images, tested on all others, so that chance weighs little."""
    plain, narrow = (
        np.array(run(ACCURACY.format(dtype=dtype, name=name, seeds=seeds, lr=lr, size=size)))
        for dtype in ("float32", "bfloat16")
    )
    print(name, "float32", plain, "bfloat16", narrow)
    assert plain.mean() > 60
    chance = np.sqrt((plain.var(ddof=1) + narrow.var(ddof=1)) / seeds)  # standard error of the difference
    assert plain.mean() - narrow.mean() < 0.5 + chance
