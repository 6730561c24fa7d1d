"""Read weight files: .pth and .pt (PyTorch), .safetensors, .params (MXNet). No code in a file is ever executed."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gluon_classics.convert.state_dicts import COUNTER, named_arrays

import numpy as np
from mxnet import MXNetError, nd

# Despite weights_only=True, code in a file can run before 2.6 (CVE-2025-32434) and, through memory corruption, before
# 2.10 (CVE-2026-24747).
TORCH = (2, 10)
INSTALL_TORCH = (
    "pip install 'torch>=2.10' (Python 3.10 or newer), "
    "or save the weights as .safetensors where they were made (safetensors.torch.save_file)"
)
SAVE_WEIGHTS = "torch.save(model.state_dict(), path)"
# files written by torch.save before 1.6 begin with this pickled number
LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
ZIP = "a zip archive (like PyTorch's files)"
TORCH_FILE = "a PyTorch file"
SAFETENSORS = "a .safetensors file"
PARAMS = "a .params file"
BEGINNINGS = (
    (b"PK\x03\x04", ZIP),
    (LEGACY_TORCH, TORCH_FILE),
    (b"\x12\x01\0\0\0\0\0\0", PARAMS),
    (b"\x80", "a bare pickle, which is not read because it can contain code"),
    (b"\x1f\x8b", "gzip data"),
    (b"<", "an HTML or XML page"),
    (b"version https://git-lfs", "a Git LFS pointer instead of the file"),
)
FLOATS = {"F16": np.float16, "F32": np.float32, "F64": np.float64}


def read_weights(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Return the tensors of a .pth, .pt, .safetensors or .params file as float32 arrays, in the file's order.

    From a training checkpoint, return the tensors under "state_dict" or "model". Raises ValueError, with the file's
    name, if it cannot be read, is truncated, holds more than weights, or is not in the format that its suffix names.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise ValueError(f"{path}: unknown format; the formats are {', '.join(READERS)}")
    kinds, read = READERS[suffix]
    try:
        with open(path, "rb") as file:
            kind = _kind(file.read(64))
        if kind not in kinds:
            raise ValueError(f"is not a {suffix} file but {kind}")
        return named_arrays(read(path))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _kind(start: bytes) -> str:
    """Name a file's format by its first bytes."""
    if start[4:9] == b"\0\0\0\0{":  # the header's length in eight bytes, then the header
        return SAFETENSORS
    for beginning, words in BEGINNINGS:
        if start.lstrip().startswith(beginning):
            return words
    if start and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start):
        return "text"
    return f"unknown data beginning with {start[:8]!r}" if start else "an empty file"


def _read_torch(path: Path) -> Any:
    with open(path, "rb") as file:
        is_zip = file.read(2) == b"PK"
    if is_zip:
        _check_archive(path)
    try:
        import torch
    except (ImportError, OSError) as error:
        raise ValueError(f"reading it requires PyTorch: {INSTALL_TORCH}") from error
    version = tuple(map(int, re.findall(r"\d+", torch.__version__)[:2]))
    if version < TORCH:
        raise ValueError(
            f"is not read, because code hidden in it could run in PyTorch {torch.__version__} "
            f"(CVE-2025-32434, CVE-2026-24747): {INSTALL_TORCH}"
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        what = f" (it refers to {asked[1]})" if asked else ", or is damaged"
        raise ValueError(
            f"holds more than weights{what}; none of its code was run. If it is a complete model or a checkpoint "
            f"that you trust, save only the weights where it was made: {SAVE_WEIGHTS}"
        ) from error
    except Exception as error:  # PyTorch raises many kinds of errors for damaged files
        raise ValueError(f"is truncated or damaged ({type(error).__name__}: {_first_line(error)})") from error


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        raise ValueError(f"is truncated or damaged ({error})") from error
    if "constants.pkl" in names:
        raise ValueError(f"is a TorchScript program; save only the weights where it was made: {SAVE_WEIGHTS}")
    if "data.pkl" not in names:
        raise ValueError("is a zip archive that was not written by torch.save")


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        import safetensors
    except ImportError as error:
        raise ValueError("reading it requires safetensors: pip install safetensors") from error
    try:
        tensors = safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise ValueError(f"is truncated or damaged ({_first_line(error)})") from error
    return {name: _array(name, tensor) for name, tensor in tensors if not name.endswith(COUNTER)}


def _array(name: str, tensor: Mapping[str, Any]) -> np.ndarray:
    dtype, data = tensor["dtype"], tensor["data"]
    if dtype == "BF16":  # the upper half of a float32; NumPy lacks the type
        array = (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
    elif dtype in FLOATS:
        array = np.frombuffer(data, FLOATS[dtype])
    else:
        raise ValueError(f"{name} has the type {dtype}, not a floating-point type")
    return array.reshape(tensor["shape"])


def _read_params(path: Path) -> dict[str, nd.NDArray]:
    try:
        arrays = nd.load(str(path))
    except (MXNetError, UnicodeDecodeError) as error:
        raise ValueError(f"is truncated or damaged ({str(error).rpartition(': ')[2]})") from error
    if not isinstance(arrays, dict):
        raise ValueError("holds a list of arrays without names")
    return {re.sub("^(arg|aux):", "", name): array for name, array in arrays.items()}


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


READERS = {
    ".pth": ((ZIP, TORCH_FILE), _read_torch),
    ".pt": ((ZIP, TORCH_FILE), _read_torch),
    ".safetensors": ((SAFETENSORS,), _read_safetensors),
    ".params": ((PARAMS,), _read_params),
}
