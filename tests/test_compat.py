"""MXNet finds what it expects in NumPy and Python; other code sees NumPy unchanged."""

import subprocess
import sys
from pathlib import Path

from gluon_classics.runtime import compat

import mxnet as mx
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
numpy_2 = pytest.mark.skipif(not compat.NUMPY_2, reason="NumPy 1 needs no patch")


def read_as(module, name):
    """Return what code in the module `module` reads as `numpy.<name>`, or the text of the AttributeError."""
    space = {"__name__": module, "numpy": np}
    try:
        return eval(f"numpy.{name}", space)
    except AttributeError as error:
        return f"AttributeError: {error}"


# The version that removed the name, by NumPy's release notes.
REMOVED = [
    ("int", (1, 24)),
    ("float", (1, 24)),
    ("PZERO", (2, 0)),
    ("NaN", (2, 0)),
    ("float_", (2, 0)),
    ("mirr", (2, 0)),
]


@pytest.mark.parametrize("name, version", REMOVED)
def test_only_mxnet_and_gluoncv_see_removed_names(name, version):
    if tuple(map(int, np.__version__.split(".")[:2])) < version:
        pytest.skip(f"NumPy {np.__version__} still has {name}")
    for client in ("mxnet.numpy.utils", "mxnet", "gluoncv.model_zoo"):
        assert read_as(client, name) is compat.NAMES[name]
    for other in ("scipy.stats", "__main__", "mxnetwork"):
        assert read_as(other, name).startswith("AttributeError")


def test_other_code_reads_numpy_as_without_this_package():
    """Read every name in an interpreter with and without the package: equal values, equal errors."""
    names = sorted({*compat.NAMES, "no_such_name", "core", "char", "tostring"})
    ask = (
        "import warnings; warnings.simplefilter('ignore'); import numpy\n"
        f"for name in {names}:\n"
        "    try: print(name, repr(getattr(numpy, name)).split(' at 0x')[0])\n"
        "    except Exception as error: print(name, type(error), error)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c"]
    bare, prepared = (
        subprocess.run([*command, code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
        for code in (ask, "import gluon_classics, mxnet\n" + ask)
    )
    assert bare == prepared
    assert len(bare.splitlines()) >= len(names)


def test_numpy_is_patched_once():
    before = np.__getattr__
    compat.before_mxnet()
    assert np.__getattr__ is before


def test_versions_compare_like_distutils():
    version = compat._Version
    assert version("1.9.1") < version("1.10") < "2.0.0"
    assert version("1.26.4") >= version("1.26.4")
    assert version("0.10.5.post0") > version("0.10.5")
    assert version("2.2") != version("2.2.6")


def test_distutils_version_can_be_imported():
    from distutils.version import LooseVersion, StrictVersion

    assert LooseVersion("1.9.1") < LooseVersion("2.0.0")
    assert StrictVersion("1.26.4") > StrictVersion("1.20")


@pytest.mark.parametrize(
    "value, text",
    [
        ((np.int64(3), np.int32(4)), "(3, 4)"),
        ((np.int64(3),), "(3,)"),
        ([np.float32(0.5), 2], "[0.5, 2]"),
        (((np.int64(1), 2), [np.int64(3)]), "((1, 2), [3])"),
        (("a", np.str_("b")), "('a', 'b')"),
        ((np.bool_(True), None), "(True, None)"),
        ((), "()"),
        (np.int64(3), "3"),
        ("same", "same"),
        (np.float64(0.1), "0.1"),
    ],
)
def test_attributes_are_written_as_numpy_1_did(value, text):
    assert compat.plain_text(value) == text


def test_operators_take_numpy_numbers():
    image = mx.nd.zeros((2, 8, 8, 1))
    assert mx.nd.image.resize(image, size=(np.int64(5), np.int64(6))).shape == (2, 6, 5, 1)
    symbol = mx.sym.Pooling(mx.sym.var("x"), kernel=(np.int64(2), np.int64(2)), pool_type="max")
    assert symbol.infer_shape(x=(1, 1, 4, 4))[1] == [(1, 1, 3, 3)]
    assert isinstance(mx.sym.var("x", shape=(np.int64(2),)).attr("__shape__"), str)


def test_an_ndarray_becomes_a_numpy_array():
    array = mx.nd.array([[1, 2], [3, 4]])
    assert np.array(array).tolist() == [[1, 2], [3, 4]]
    assert np.array_equal(array, array)
    assert not np.array_equal(array, array + 1)
    assert np.asarray(array, dtype="int64").dtype == np.int64
    assert isinstance(np.float32(2) * array, mx.nd.NDArray)


def test_records_keep_header_labels_and_bytes():
    header = mx.recordio.IRHeader(0, [1.0, 2.0, 3.0], 7, 0)
    back, data = mx.recordio.unpack(mx.recordio.pack(header, b"abc"))
    assert (list(back.label), back.id, data) == ([1.0, 2.0, 3.0], 7, b"abc")
    back, data = mx.recordio.unpack(mx.recordio.pack(mx.recordio.IRHeader(0, 4.0, 8, 0), b""))
    assert (back.label, back.id, data) == (4.0, 8, b"")


def test_a_packed_image_is_the_image():
    image = np.arange(75, dtype=np.uint8).reshape(5, 5, 3)
    record = mx.recordio.pack_img(mx.recordio.IRHeader(0, 1.0, 0, 0), image, quality=3, img_fmt=".png")
    assert (mx.recordio.unpack_img(record)[1] == image).all()


def test_metrics_add_up_in_double_precision():
    """2**24 + 1 is the first whole number that float32 cannot represent."""
    metric = mx.metric.Loss()
    for value in (2.0**24, 1.0):
        metric.update(None, [mx.nd.array([value])])
    assert metric.sum_metric == 2**24 + 1
    metric.reset()
    assert metric.sum_metric == 0


@pytest.mark.parametrize("name", ["acc", "ce", "f1", "mcc", "mae", "mse", "rmse", "pearsonr", "pcc", "loss"])
def test_every_metric_resets(name):
    metric = mx.metric.create(name)
    metric.reset()
    assert np.isnan(metric.get()[1]) or metric.get()[1] == 0


@numpy_2
def test_quantization_passes_arrays_of_one_element():
    import ctypes

    from mxnet.contrib import quantization

    assert list(quantization.c_array(ctypes.c_float, [np.array([1.5]), 2.5])) == [1.5, 2.5]


def test_patching_twice_changes_nothing():
    reset = mx.metric.EvalMetric.reset
    compat.after_mxnet()
    assert mx.metric.EvalMetric.reset is reset
