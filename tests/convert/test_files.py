"""Weight files made by hand, valid and invalid; test_pytorch_files.py has the files that PyTorch writes."""

import json
import os
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


@pytest.mark.parametrize("suffix", [".pth", ".bin", ".safetensors", ".params", ""])
@pytest.mark.parametrize(
    "contents, words",
    [
        (b"", "an empty file"),
        (b"Some notes on the weights\n", "text"),
        (b"\n<!DOCTYPE html><html><head><title>Sign in</title>", "an HTML or XML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a Git LFS pointer"),
        (b"\xef\xbb\xbf<html>", "an HTML or XML page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "an HTML or XML page"),
        (b"404: Not Found", "text, which begins with '404: Not Found'"),
        (b'{"weight_map": {}}', "JSON"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip data: unpack it"),
        (b"\0\1\2\3\x1b", "unknown data beginning with b'\\x00\\x01\\x02\\x03\\x1b'"),
        (b"weights/".ljust(257, b"\0") + b"ustar\x0000", "a tar archive"),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0", "an HDF5 file"),
        (pickle.dumps({"fc.bias": [1.0]}), "a bare pickle"),
        (pickle.dumps({"fc.bias": [1.0]}, 2), "a bare pickle"),
    ],
)
def test_other_formats(tmp_path, suffix, contents, words):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(contents)
    assert f"is not a file of weights but {words}" in refused(path)


@pytest.mark.parametrize("name", ["net.pth.tar", "net.ckpt", "net.th", "pytorch_model.bin", "net.h5", "net", "NET.PTH"])
def test_the_contents_decide_the_format(tmp_path, name):
    path = tmp_path / name
    nd.save(str(path), {"fc.weight": nd.array([1.5])})
    assert read_weights(path)["fc.weight"].tolist() == [1.5]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", b"")
    assert "truncated or damaged" in refused(path)  # a file of PyTorch, which begins with its pickle
    pytest.importorskip("safetensors")
    write_safetensors(path, {"fc.weight": ("F32", [2.5])})
    assert read_weights(path)["fc.weight"].tolist() == [2.5]


def test_zip_archives_without_weights(tmp_path):
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday.jpg", b"")
    assert "not written by torch.save" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", b"")
        archive.writestr("net/constants.pkl", b"")
    assert "TorchScript" in refused(path) and "model.state_dict()" in refused(path)


def test_missing_file_folder_and_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refused(tmp_path / "pipe")
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


def write_torch(path, data=b"}.", compression=zipfile.ZIP_STORED):  # an empty dict
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("net/data.pkl", data)
        archive.writestr("net/version", "3\n")
    return path


def test_a_compressed_pth_is_refused_before_it_is_unpacked(tmp_path):
    message = refused(write_torch(tmp_path / "net.pth", bytes(300_000_000), zipfile.ZIP_DEFLATED))
    assert "net/data.pkl" in message and "300,000,000" in message


def test_a_pth_compressed_by_hand_is_read(tmp_path, monkeypatch):
    fake_torch(monkeypatch, {"fc.weight": Tensor(np.ones(3, "float32"))})
    assert read_weights(write_torch(tmp_path / "net.pth", compression=zipfile.ZIP_DEFLATED))


def test_a_pickle_of_countless_objects_is_refused(tmp_path):
    lists = b"\x80\x02" + b"]" * 3_000_000 + b"."  # each takes 56 bytes
    assert "2,000,000 instructions" in refused(write_torch(tmp_path / "net.pth", lists))
    start = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    (tmp_path / "old.pth").write_bytes(b"".join(start) + lists)
    assert "2,000,000 instructions" in refused(tmp_path / "old.pth")


def test_a_changed_shape_in_params_is_refused_before_memory_is_taken(tmp_path):
    path = tmp_path / "net.params"
    nd.save(str(path), {"fc.weight": nd.ones((3, 2))})
    raw = bytearray(path.read_bytes())
    raw[36 + 4] ^= 1  # the first dimension has 2**32 more
    path.write_bytes(raw)
    assert "4294967299" in refused(path)


class Tensor:
    """As much of a PyTorch tensor as is looked at."""

    layout, is_quantized, dtype = "torch.strided", False, "torch.float32"

    def __init__(self, array, device="cpu", **more):
        self.array, self.shape, self.device = array, np.shape(array), types.SimpleNamespace(type=device)
        self.__dict__.update(more)

    def is_floating_point(self):
        return True

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self.array


def fake_torch(monkeypatch, contents):
    torch = types.SimpleNamespace(__version__="2.10.0", load=lambda *_, **__: contents)
    monkeypatch.setitem(sys.modules, "torch", torch)


@pytest.mark.parametrize(
    "tensor, words",
    [
        (Tensor(np.ones(3), device="meta"), "meta tensor"),
        (Tensor(np.ones(3), layout="torch.sparse_coo"), "sparse"),
        (Tensor(np.ones(3), layout="torch.sparse_csr"), "sparse"),
        (Tensor(np.ones(3), is_quantized=True), "quantized"),
        (Tensor(np.broadcast_to(np.float16(1), (10**6, 10**6))), "4,000,000,000,000 bytes"),  # a view of one value
    ],
)
def test_tensors_without_values_of_their_own(tmp_path, monkeypatch, tensor, words):
    path = write_torch(tmp_path / "net.pth")
    fake_torch(monkeypatch, {"fc\x1b.weight": tensor})
    message = refused(path)
    assert words in message and "\x1b" not in message
    fake_torch(monkeypatch, {"fc.weight": Tensor(np.ones(3, "float32"))})
    assert read_weights(path)["fc.weight"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("number_type", ["F16", "F32", "F64"])
@pytest.mark.parametrize("value, words", [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite")])
def test_weights_that_are_not_finite(tmp_path, number_type, value, words):
    pytest.importorskip("safetensors")
    tensors = {"fc\x1b.bias": (number_type, [0, value, 1]), "fc.weight": (number_type, [1])}
    message = refused(write_safetensors(tmp_path / "net.safetensors", tensors))
    assert f"fc\\x1b.bias has {words} values (1 of 3)" in message and "fc.weight" not in message


def test_float64_that_overflows(tmp_path):
    nd.save(str(tmp_path / "net.params"), {"fc.bias": nd.array([0, 1e300, 1e-300], dtype="float64")})
    message = refused(tmp_path / "net.params")
    assert "fc.bias has 1e+300" in message and "float32" in message and "1 of 3" in message


def test_control_characters_in_the_name_of_a_file(tmp_path):
    with pytest.raises(ValueError) as caught:
        read_weights(tmp_path / "net\x1b[2J.pth")
    assert r"net\x1b[2J.pth" in str(caught.value)
