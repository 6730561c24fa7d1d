"""docs/migration.md, run block by block."""

import os
import re
import subprocess
import sys
from pathlib import Path

from gluon_classics.models import get_model

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd
from PIL import Image
from source_weights import source_weights

pytestmark = pytest.mark.thorough

PAGE = Path(__file__).parents[1] / "docs" / "migration.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def write_run(run):
    import json

    run.mkdir()
    net = get_model("lenet", num_classes=10, in_channels=1)
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, 28, 28)))
    net.save_parameters(str(run / "last.params"))
    config = {
        "net": "lenet",
        "net_args": {"num_classes": 10, "in_channels": 1},
        "resize": 28,
        "mean": None,
        "std": None,
    }
    config |= {"classes": [f"class {i}" for i in range(10)], "dataset": "fashion-mnist", "val_fraction": 0}
    (run / "config.json").write_text(json.dumps(config))
    (run / "result.json").write_text('{"weights": "last.params"}')


def test_every_block_runs(tmp_path):
    for module in ("safetensors", "onnx", "onnxruntime"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    from safetensors.numpy import save_file

    save_file(source_weights("torchvision", "resnet18"), str(tmp_path / "resnet18.safetensors"))
    write_run(tmp_path / "run")
    Image.fromarray(np.random.RandomState(0).randint(0, 256, (40, 30, 3), dtype=np.uint8)).save(
        tmp_path / "picture.png"
    )
    paths = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    env = {**os.environ, "RUN": "run", "PATH": paths, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    said = []
    for kind, text in BLOCKS:
        command = {"sh": ["bash", "-euc"], "python": [sys.executable, "-c"]}[kind]
        done = subprocess.run([*command, text], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, f"{text}\n{done.stderr}"
        said.append(done.stdout.strip())
    assert len(BLOCKS) == 6
    assert said[1] == "(1, 1000)" and said[5] == "(3, 10)"
    assert re.fullmatch(r"class \d", said[3])
    assert (tmp_path / "repository/lenet/1/model.onnx").is_file()
