"""Weight files made by hand, valid and invalid; test_pytorch_files.py has the files that PyTorch writes."""

import json
import pickle
import struct
import subprocess
import sys
import types
import zipfile

from gluon_classics.convert import read_weights

import numpy as np
import pytest
from mxnet import nd

BFLOAT16 = np.dtype([("bfloat16", np.uint16)])
CODES = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "BF16": np.uint16, "I64": np.int64}


def write_safetensors(path, tensors):
    """Write the format by hand: a length, a JSON header, the data. `tensors` is {name: (dtype, array)}."""
    header, body = {}, b""
    for name, (dtype, array) in tensors.items():
        data = np.asarray(array, CODES[dtype]).tobytes()
        shape = list(np.shape(array))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


class Code:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def refused(path):
    """The error message, which begins with the file's name."""
    with pytest.raises(ValueError) as caught:
        read_weights(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def test_import_loads_no_other_framework():
    code = "import sys, gluon_classics.convert; print(*{'torch', 'gluoncv', 'safetensors'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_params(tmp_path):
    path = tmp_path / "net.params"
    nd.save(
        str(path),
        {
            "arg:conv.weight": nd.array([[1.5, -2]]),
            "aux:bn.running_mean": nd.array([0.25], dtype="float16"),
            "half": nd.array([-1.5]).astype(BFLOAT16),
            "double": nd.array([3], dtype="float64"),
        },
    )
    arrays = read_weights(path)
    assert list(arrays) == ["conv.weight", "bn.running_mean", "half", "double"]
    assert all(array.dtype == np.float32 for array in arrays.values())
    assert arrays["conv.weight"].tolist() == [[1.5, -2]]
    assert arrays["bn.running_mean"].tolist() == [0.25]
    assert arrays["half"].tolist() == [-1.5]
    assert arrays["double"].tolist() == [3]


def test_safetensors(tmp_path):
    pytest.importorskip("safetensors")
    tensors = {
        "module.b": ("F32", [[1.5, -2]]),
        "module.a": ("F16", [0.25]),
        "module.bfloat": ("BF16", [0x3F80, 0xC000, 0x3EAB]),  # the upper halves of 1, -2, 0.333984375
        "module.double": ("F64", [3]),
        "module.num_batches_tracked": ("I64", 7),
        "module.none": ("F32", np.zeros((0, 3))),
    }
    arrays = read_weights(write_safetensors(tmp_path / "net.safetensors", tensors))
    assert set(arrays) == {"b", "a", "bfloat", "double", "none"}
    assert all(array.dtype == np.float32 for array in arrays.values())
    assert arrays["b"].tolist() == [[1.5, -2]]
    assert arrays["a"].tolist() == [0.25]
    assert arrays["bfloat"].tolist() == [1, -2, 0.333984375]
    assert arrays["double"].tolist() == [3]
    assert arrays["none"].shape == (0, 3)


def test_safetensors_of_integers_are_refused(tmp_path):
    pytest.importorskip("safetensors")
    path = write_safetensors(tmp_path / "net.safetensors", {"fc.weight": ("I64", [1, 2])})
    message = refused(path)
    assert "fc.weight" in message and "I64" in message


@pytest.mark.parametrize("kept", [0, 4, 12, 60, -1])
def test_truncated_safetensors(tmp_path, kept):
    pytest.importorskip("safetensors")
    path = write_safetensors(tmp_path / "net.safetensors", {"fc.weight": ("F32", np.ones((8, 8)))})
    path.write_bytes(path.read_bytes()[:kept])
    assert refused(path)


def test_truncated_params_at_every_length(tmp_path):
    path = tmp_path / "net.params"
    nd.save(str(path), {"fc.weight": nd.ones((3, 2)), "fc.bias": nd.ones(3)})
    whole = path.read_bytes()
    for kept in range(len(whole)):
        path.write_bytes(whole[:kept])
        assert refused(path)


def test_truncated_pth(tmp_path):
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps({}, 2))
    path.write_bytes(path.read_bytes()[:-10])
    assert "truncated or damaged" in refused(path)


def test_arrays_without_names(tmp_path):
    nd.save(str(tmp_path / "list.params"), [nd.ones(3)])
    assert "without names" in refused(tmp_path / "list.params")


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors", ".params"])
@pytest.mark.parametrize(
    "contents, words",
    [
        (b"", "an empty file"),
        (b"Some notes on the weights\n", "text"),
        (b"\n<!DOCTYPE html><html><head><title>Sign in</title>", "an HTML or XML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a Git LFS pointer"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip data"),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0", "unknown data beginning with b'\\x89HDF"),
        (pickle.dumps({"fc.bias": [1.0]}), "a bare pickle"),
        (pickle.dumps({"fc.bias": [1.0]}, 2), "a bare pickle"),
    ],
)
def test_other_formats(tmp_path, suffix, contents, words):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(contents)
    assert f"is not a {suffix} file but {words}" in refused(path)


def test_suffix_of_another_format(tmp_path):
    weights = {"fc.weight": ("F32", np.ones((8, 8)))}
    renamed = write_safetensors(tmp_path / "net.pth", weights)
    assert "is not a .pth file but a .safetensors file" in refused(renamed)
    nd.save(str(tmp_path / "net.pt"), {"fc.weight": nd.ones(3)})
    assert "is not a .pt file but a .params file" in refused(tmp_path / "net.pt")
    with zipfile.ZipFile(tmp_path / "net.params", "w") as archive:
        archive.writestr("net/data.pkl", b"")
    assert "is not a .params file but a zip archive" in refused(tmp_path / "net.params")


def test_zip_archives_without_weights(tmp_path):
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday.jpg", b"")
    assert "not written by torch.save" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", b"")
        archive.writestr("net/constants.pkl", b"")
    assert "TorchScript" in refused(path) and "model.state_dict()" in refused(path)


def test_unknown_suffix_missing_file_and_folder(tmp_path):
    assert "the formats are .pth, .pt, .safetensors, .params" in refused(tmp_path / "net.h5")
    assert "No such file" in refused(tmp_path / "net.pth")
    (tmp_path / "folder.params").mkdir()
    assert "directory" in refused(tmp_path / "folder.params")


@pytest.mark.parametrize("kind", ["zip", "legacy", "bare"])
def test_code_is_not_executed(tmp_path, kind):
    # whether or not PyTorch is installed
    path, made = tmp_path / "net.pth", tmp_path / "executed"
    code = pickle.dumps({"fc.weight": Code(made)}, 2)
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("net/data.pkl", code)
            archive.writestr("net/version", "3\n")
            archive.writestr("net/byteorder", "little")
    elif kind == "legacy":
        start = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
        path.write_bytes(b"".join(start) + code)
    else:
        path.write_bytes(code)
    refused(path)
    assert not made.exists()
    pickle.loads(code)  # executes it, so the test would notice
    assert made.exists()


def test_without_pytorch(tmp_path, monkeypatch):
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps({}, 2))
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install 'torch>=2.10'" in refused(path) and ".safetensors" in refused(path)
    for version in ("1.13.1", "2.5.1+cu121", "2.9.1"):
        monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(__version__=version))  # it has no load()
        assert f"PyTorch {version}" in refused(path) and "pip install 'torch>=2.10'" in refused(path)


def test_without_safetensors(tmp_path, monkeypatch):
    path = write_safetensors(tmp_path / "net.safetensors", {"fc.weight": ("F32", [1])})
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert "pip install safetensors" in refused(path)
