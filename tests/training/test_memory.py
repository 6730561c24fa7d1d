"""Memory that must not grow, and memory that is too small."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

from gluon_classics.training import advice_on_memory, out_of_memory

import mxnet as mx
import pytest

ROOT = Path(__file__).parents[2]

SOAK = """
import json, os
import gluon_classics
from gluon_classics.data import AugmentedTransform, DataLoader, ImageTransform, load_dataset
from gluon_classics.models import get_model
from gluon_classics.training import Callback, Log, Step, WeightAverage, train
import mxnet as mx
from mxnet import gluon, nd

train_set, test_set = load_dataset("fashion-mnist-sample")
transform = AugmentedTransform(None, 0.5, 0.5, crop=2, flip=True, erase=0.5)
net = get_model("lenet")
net.initialize(mx.init.Xavier())
net(nd.zeros((1, 1, 28, 28)))
net.hybridize(static_alloc=True, static_shape=True)
loss = gluon.loss.SoftmaxCrossEntropyLoss()
trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.01}, update_on_kvstore=False)
megabytes = []

class Resident(Callback):
    def on_epoch_end(self, record):
        pages = int(open("/proc/self/statm").read().split()[1])
        megabytes.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)

train_data = DataLoader(train_set, 64, True, transform)
test_data = DataLoader(test_set, 64, False, ImageTransform(None, 0.5, 0.5))
step = Step(net, loss, trainer, clip=1.0, seed=0)
callbacks = [Log(log=str), WeightAverage(net, 0.9), Resident()]
train(train_data, test_data, net, loss, trainer, mx.cpu(), 20, step=step, callbacks=callbacks)
print(json.dumps(megabytes))
"""


def in_a_process(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_memory_does_not_grow_after_three_epochs():
    megabytes = json.loads(in_a_process(SOAK))
    assert len(megabytes) == 20
    assert max(megabytes[3:]) < megabytes[2] + 8, megabytes


def test_recognises_mxnets_messages_about_memory():
    code = (
        "import gluon_classics, resource, mxnet as mx, os\n"
        "from gluon_classics.training import out_of_memory\n"
        "mx.nd.zeros((1,)).wait_to_read()\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * os.sysconf('SC_PAGE_SIZE')\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    mx.nd.zeros((2**29,)).wait_to_read()\n"
        "except mx.MXNetError as error:\n"
        "    print(out_of_memory(error), flush=True)\n"
        "os._exit(0)\n"
    )
    assert in_a_process(code) == "True"
    assert out_of_memory(mx.MXNetError("cudaMalloc retry failed: out of memory"))
    assert not out_of_memory(mx.MXNetError("Shape inconsistent"))


@pytest.mark.parametrize(
    "batch_size, accumulate, slices, fewer",
    [(128, 2, 4, 64), (2, 1, 2, 1), (3, 2, 3, 2), (10, 6, 10, 6), (100, 64, 100, 64), (7, 1, 2, 3)],
)
def test_the_advised_flags_work(batch_size, accumulate, slices, fewer):
    words = advice_on_memory(batch_size, accumulate)
    assert f"--accumulate {slices} " in words and f"--batch-size {fewer}," in words and "--auto-batch" in words
    # do_exp.py refuses more slices than images; both flags process fewer images at a time
    assert slices <= batch_size and 1 <= accumulate <= fewer
    at_a_time = math.ceil(batch_size / accumulate)
    assert math.ceil(batch_size / slices) < at_a_time and math.ceil(fewer / accumulate) < at_a_time


@pytest.mark.parametrize("batch_size, accumulate", [(1, 1), (64, 64)])
def test_single_images_need_a_smaller_size(batch_size, accumulate):
    words = advice_on_memory(batch_size, accumulate)
    assert re.findall(r"--[\w-]+", words) == ["--resize"]
