"""Read weight files of PyTorch, safetensors and MXNet, whatever their names. No code in a file is ever executed."""

from __future__ import annotations

import math
import os
import pickle
import pickletools
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from gluon_classics.convert.state_dicts import COUNTERS, find_weights, float32_arrays, refuse_without_values
from gluon_classics.params_file import (
    PARAMS,
    SAFETENSORS,
    TORCH_FILE,
    ZIP,
    beginning_of,
    check_params,
    kind_of,
)
from gluon_classics.printable import printable

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
MOST_OPCODES = 2_000_000  # in a pickle; a state dict has about 30 per tensor, and each can take 100 bytes of memory
FLOATS = {"F16": np.float16, "F32": np.float32, "F64": np.float64}


def read_weights(path: str | os.PathLike, key: str | None = None) -> dict[str, np.ndarray]:
    """Return the weights in a file of PyTorch, safetensors or MXNet as float32 arrays, in the file's order.

    The contents decide the format, not the name. A checkpoint may hold several sets of weights: see `find_weights` for
    `key` and for the warning that says which were taken. Raises ValueError, with the file's name, if the file cannot be
    read, is damaged, takes far more memory than its size, or holds weights that are not finite in float32.
    """
    path = Path(path)
    try:
        kind = kind_of(beginning_of(path))
        if kind not in READERS:
            raise ValueError(f"is not a file of weights but {kind}. The formats are {', '.join(FORMATS)}")
        tensors = find_weights(READERS[kind](path), key)
        for name, tensor in tensors.items():
            refuse_without_values(name, tensor)
        _check_memory(tensors, path.stat().st_size)
        return float32_arrays(tensors)
    except OSError as error:
        raise ValueError(f"{printable(path)}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"{printable(path)}: {error}") from error


def _check_memory(tensors: Mapping[str, Any], size: int) -> None:
    """Refuse tensors that are views of few values."""
    needed = 4 * sum(math.prod(tensor.shape) for tensor in tensors.values())
    if needed > _most_memory(size):
        raise ValueError(
            f"its {len(tensors)} tensors take {needed:,} bytes, and the file has {size:,}: save clones of them"
        )


def _most_memory(size: int) -> int:
    """Return the most bytes that weights in a file of `size` bytes can take: 4 for a float8, and some for names."""
    return 4 * size + 2**20


def _read_torch(path: Path) -> Any:
    if zipfile.is_zipfile(path) or kind_of(beginning_of(path)) == ZIP:
        _check_archive(path)
    else:
        with open(path, "rb") as file:
            _check_pickles(file, 4)  # magic number, version, system, contents
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
        what = f" (it refers to {printable(asked[1])})" if asked else ", or is damaged"
        raise ValueError(
            f"holds more than weights{what}; none of its code was run. If it is a complete model or a checkpoint "
            f"that you trust, save only the weights where it was made: {SAVE_WEIGHTS}"
        ) from error
    except Exception as error:  # PyTorch raises many kinds of errors for damaged files
        raise ValueError(f"is truncated or damaged ({type(error).__name__}: {_first_line(error)})") from error


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(entries, path.stat().st_size)
            for entry in entries:
                if _base_name(entry) == "data.pkl":
                    with archive.open(entry) as file:
                        _check_pickles(file, 1)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, EOFError, RuntimeError) as error:
        raise ValueError(f"is truncated or damaged ({printable(str(error))})") from error


def _check_entries(entries: list[zipfile.ZipInfo], size: int) -> None:
    names = {_base_name(entry) for entry in entries}
    if "constants.pkl" in names:
        raise ValueError(f"is a TorchScript program; save only the weights where it was made: {SAVE_WEIGHTS}")
    if "data.pkl" not in names:
        what = "a NumPy archive" if any(name.endswith(".npy") for name in names) else "unpack it first"
        raise ValueError(f"is a zip archive that was not written by torch.save: {what}")
    expanded, largest = sum(entry.file_size for entry in entries), max(entries, key=lambda entry: entry.file_size)
    if expanded > _most_memory(size):
        name = printable(largest.filename)
        raise ValueError(f"expands from {size:,} to {expanded:,} bytes ({name} to {largest.file_size:,}): not weights")


def _base_name(entry: zipfile.ZipInfo) -> str:
    return entry.filename.rpartition("/")[2]


def _check_pickles(file: IO[bytes], count: int) -> None:
    """Scan the next pickles in a file, which executes nothing, for more instructions than weights need."""
    instructions = 0
    try:
        for _ in range(count):
            for _ in pickletools.genops(file):
                instructions += 1
                if instructions > MOST_OPCODES:
                    raise _TooLong
    except _TooLong:
        raise ValueError(f"holds more than weights: its pickle has over {MOST_OPCODES:,} instructions") from None
    except (ValueError, IndexError, MemoryError, OverflowError) as error:
        raise ValueError(f"is truncated or damaged ({_first_line(error)})") from error


class _TooLong(Exception):
    pass


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        import safetensors
    except ImportError as error:
        raise ValueError("reading it requires safetensors: pip install safetensors") from error
    try:
        tensors = safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise ValueError(f"is truncated or damaged ({_first_line(error)})") from error
    return {name: _array(name, tensor) for name, tensor in tensors if not name.endswith(COUNTERS)}


def _array(name: str, tensor: Mapping[str, Any]) -> np.ndarray:
    dtype, data = tensor["dtype"], tensor["data"]
    if dtype == "BF16":  # the upper half of a float32; NumPy lacks the type
        array = (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
    elif dtype in FLOATS:
        array = np.frombuffer(data, FLOATS[dtype])
    else:
        raise ValueError(f"{printable(name)} has the type {dtype}, not a floating-point type")
    return array.reshape(tensor["shape"])


def _read_params(path: Path) -> dict[str, nd.NDArray]:
    check_params(path)
    try:
        arrays = nd.load(str(path))
    except (MXNetError, UnicodeDecodeError) as error:
        raise ValueError(f"is truncated or damaged ({str(error).rpartition(': ')[2]})") from error
    if not isinstance(arrays, dict):
        raise ValueError("holds a list of arrays without names")
    plain = {re.sub("^(arg|aux):", "", name): array for name, array in arrays.items()}
    if len(plain) < len(arrays):
        raise ValueError("has arrays that differ in arg: and aux: only")
    return plain


def _first_line(error: Exception) -> str:
    return printable(str(error).partition("\n")[0])


FORMATS = (".pth (also .pt, .bin, .ckpt, .pth.tar)", ".safetensors", ".params")
READERS = {ZIP: _read_torch, TORCH_FILE: _read_torch, SAFETENSORS: _read_safetensors, PARAMS: _read_params}
