"""Headers of .params files: those that MXNet writes pass; a changed one is refused before MXNet reads it."""

import os
import struct

from gluon_classics.params_file import check_params

import numpy as np
import pytest
from mxnet import nd

DEVICE, FLOAT32 = struct.pack("<ii", 1, 0), struct.pack("<i", 0)
VALUES = np.arange(3, dtype="<f4").tobytes()


def array(shape=(3,), storage=0, number_type=0, values=VALUES):
    head = struct.pack(f"<Iii{len(shape)}q", 0xF993FAC9, storage, len(shape), *shape)
    return head + DEVICE + struct.pack("<i", number_type) + values


def write(path, arrays, names=(b"a",), count=None, magic=0x112):
    data = struct.pack("<QQQ", magic, 0, len(arrays) if count is None else count) + b"".join(arrays)
    data += struct.pack("<Q", len(names)) + b"".join(struct.pack("<Q", len(name)) + name for name in names)
    path.write_bytes(data)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.params"


def refused(path):
    with pytest.raises(ValueError) as caught:
        check_params(path)
    return str(caught.value)


@pytest.mark.parametrize("number_type", ["float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool"])
def test_what_mxnet_writes(path, number_type):
    nd.save(str(path), {"größe": nd.ones((2, 3, 1, 1), dtype=number_type), "b": nd.ones(1, dtype=number_type)})
    check_params(path)
    nd.save(str(path), [nd.ones(3)])
    check_params(path)


@pytest.mark.parametrize(
    "old",
    [
        struct.pack("<Iiq", 0xF993FAC8, 1, 3) + DEVICE + FLOAT32 + VALUES,  # MXNet 0.10 to 1.0
        struct.pack("<II", 1, 3) + DEVICE + FLOAT32 + VALUES,  # before
    ],
)
def test_old_formats(path, old):
    check_params(write(path, [old, array()], [b"a", b"b"]))
    assert nd.load(str(path))["a"].asnumpy().tolist() == [0, 1, 2]  # as MXNet reads it


@pytest.mark.parametrize(
    "arrays, values",
    [
        ([array((2**31, 2**10))], ["array 1 of 1", "2147483648", "8,796,093,022,208 bytes"]),  # more than any memory
        ([array(), array((40,))], ["array 2 of 2", "160 bytes"]),
        ([array((-3,))], ["-3"]),
        ([array((0, 2**61))], ["(0, 2305843009213693952)"]),
        ([array(())], ["0 dimensions"]),
        ([struct.pack("<Iii", 0xF993FAC9, 0, -1)], ["-1 dimensions"]),  # nd.load() would end the process
        ([struct.pack("<Iii", 0xF993FAC9, 0, 2**31 - 1)], ["2,147,483,647 dimensions"]),
        ([array(number_type=9)], ["number type 9"]),
        ([array(storage=7)], ["storage type 7"]),
        ([array(storage=1)], ["sparse"]),
        ([struct.pack("<Iii", 0xF993FACA, 0, 0) + DEVICE + FLOAT32 + VALUES[:4]], ["set_np"]),
    ],
)
def test_arrays_that_do_not_fit(path, arrays, values):
    message = refused(write(path, arrays, [b"a", b"b"][: len(arrays)]))
    assert all(value in message for value in values)


def test_counts_and_names_that_do_not_fit(path):
    assert "1,099,511,627,776 arrays" in refused(write(path, [array()], count=2**40))
    assert "1 arrays and 2 names" in refused(write(path, [array()], [b"a", b"b"]))
    assert "UTF-8" in refused(write(path, [array()], [b"\xff"]))
    assert r"two arrays named a\x1b" in refused(write(path, [array()] * 2, [b"a\x1b"] * 2))
    whole = write(path, [array()]).read_bytes()
    path.write_bytes(whole[:-9] + struct.pack("<Q", 2**60) + b"a")
    assert "1,152,921,504,606,846,976 bytes" in refused(path)
    path.write_bytes(whole + b"\0")
    assert "1 bytes follow its end" in refused(path)


def test_every_changed_bit_is_refused_or_harmless(path):
    nd.save(str(path), {"fc.weight": nd.ones((2, 3)), "fc.bias": nd.ones(2, dtype="float16")})
    whole = bytearray(path.read_bytes())
    for bit in range(8 * len(whole)):
        changed = whole.copy()
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            check_params(path)
        except ValueError:
            continue
        arrays = nd.load(str(path))
        assert sum(array.size for array in arrays.values()) <= len(whole), bit


def test_a_pipe_does_not_block(path):
    os.mkfifo(path)
    assert "not a regular file" in refused(path)
