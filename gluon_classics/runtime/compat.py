"""Names and behaviour that MXNet 1.9.1 and gluoncv 0.10.5 expect, and today's Python and NumPy no longer have.

MXNet's wheel uses ctypes only, so it runs on any Python that provides them. `before_mxnet()` supplies what the import
needs; `after_mxnet()` patches what would fail later. Other libraries see NumPy unchanged: removed names exist only for
modules of MXNet and gluoncv, and all other patches are inside MXNet.
"""

from __future__ import annotations

import importlib.util
import re
import struct
import sys
from functools import total_ordering
from numbers import Number
from types import ModuleType, SimpleNamespace
from typing import Any, Callable

import numpy

CLIENTS = ("mxnet", "gluoncv")
NUMPY_2 = int(numpy.__version__.split(".")[0]) >= 2


def before_mxnet() -> None:
    """Supply what `import mxnet` needs. Calling it again does nothing."""
    _provide_distutils()
    _provide_numpy_names()


def after_mxnet() -> None:
    """Patch the imported MXNet. Calling it again does nothing."""
    import mxnet

    if getattr(mxnet, "_gluon_classics_patched", False):
        return
    mxnet._gluon_classics_patched = True
    _patch_array_conversion()
    if NUMPY_2:
        _patch_attribute_text()
        _patch_recordio()
        _patch_metrics()
        _patch_quantization()


# distutils: removed in Python 3.12. MXNet and gluoncv only compare versions with it.


@total_ordering
class _Version:
    """The comparison of distutils' LooseVersion and StrictVersion."""

    def __init__(self, text: str) -> None:
        parts = re.findall(r"\d+|[a-z]+", str(text))
        self._key = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]

    def __eq__(self, other: object) -> bool:
        return self._key == _as_version(other)._key

    def __lt__(self, other: object) -> bool:
        return self._key < _as_version(other)._key

    __hash__ = None  # type: ignore[assignment]


def _as_version(value: object) -> _Version:
    return value if isinstance(value, _Version) else _Version(str(value))


def _provide_distutils() -> None:
    if importlib.util.find_spec("distutils"):  # the standard library's, or the copy in setuptools
        return
    version = ModuleType("distutils.version")
    vars(version).update(LooseVersion=_Version, StrictVersion=_Version)
    package = ModuleType("distutils")
    vars(package).update(__path__=[], version=version)
    # find_spec() raises for a module in sys.modules without __spec__
    package.__spec__ = importlib.util.spec_from_loader("distutils", loader=None, is_package=True)
    sys.modules["distutils"], sys.modules["distutils.version"] = package, version


# NumPy names: 1.24 removed bool, int, float and object, 2.0 and later versions the rest.


def _removed(name: str) -> Callable[..., Any]:
    """Return a function that fails when it is called: mxnet.numpy.fallback only re-exports it."""

    def function(*_args: Any, **_kwargs: Any) -> Any:
        raise NotImplementedError(f"numpy.{name} was removed from NumPy; the numpy-financial package has it")

    function.__name__ = name
    return function


NAMES = {
    "bool": numpy.bool_,
    "int": int,
    "float": float,
    "object": object,
    "float_": numpy.float64,
    "complex_": numpy.complex128,
    "PZERO": 0.0,
    "NZERO": -0.0,
    "Inf": numpy.inf,
    "PINF": numpy.inf,
    "NINF": -numpy.inf,
    "NaN": numpy.nan,
    "NAN": numpy.nan,
    "alltrue": numpy.all,
    "sometrue": numpy.any,
    "product": numpy.prod,
    "cumproduct": numpy.cumprod,
    "round_": numpy.round,
    "msort": lambda a: numpy.sort(a, axis=0),
    "in1d": lambda a, *args, **kwargs: numpy.isin(numpy.ravel(a), *args, **kwargs),
    "trapz": getattr(numpy, "trapezoid", None),  # the new name; NumPy 1 still has trapz
    "compat": SimpleNamespace(basestring=str),  # MXNet checks whether a shape is a string
    **{name: _removed(name) for name in ("mirr", "npv", "pmt", "ppmt", "pv", "rate")},
}


def _provide_numpy_names() -> None:
    original = numpy.__getattr__
    if getattr(original, "for_mxnet", False):
        return

    def __getattr__(name: str) -> Any:  # Python calls it only for missing names
        if name in NAMES:
            asking = sys._getframe(1).f_globals.get("__name__", "")
            if asking.partition(".")[0] in CLIENTS:
                return NAMES[name]
        return original(name)

    __getattr__.for_mxnet = True  # type: ignore[attr-defined]
    numpy.__getattr__ = __getattr__  # type: ignore[method-assign]


# Operator attributes: MXNet passes str(value) to C++. With NumPy 2, str((np.int64(3),)) is "(np.int64(3),)", which the
# parser in C++ rejects. NumPy's print option for the old form is no remedy: new threads do not inherit it.


def plain_text(value: Any) -> str:
    """Return `str(value)` as in NumPy 1: NumPy scalars in tuples and lists are plain numbers."""
    if type(value) is tuple:
        return "(" + ", ".join(map(_plain_item, value)) + (",)" if len(value) == 1 else ")")
    if type(value) is list:
        return "[" + ", ".join(map(_plain_item, value)) + "]"
    return str(value)


def _plain_item(item: Any) -> str:
    if type(item) in (tuple, list):
        return plain_text(item)
    if isinstance(item, numpy.generic) and not isinstance(item, numpy.character):
        return str(item)
    return repr(item.item() if isinstance(item, numpy.character) else item)


class _PlainStrType(type):
    def __call__(cls, *args: Any) -> str:
        return plain_text(*args) if len(args) == 1 else str(*args)

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, str)


class _PlainStr(str, metaclass=_PlainStrType):
    """A replacement for `str` in modules that convert with it and also test `isinstance(x, str)`."""


def _patch_attribute_text() -> None:
    import mxnet._ctypes.ndarray as imperative
    import mxnet._ctypes.symbol as symbolic
    import mxnet.symbol.symbol as symbol

    for module in (imperative, symbolic, symbol):
        module.str = _PlainStr


# recordio: NumPy 2.3 removed ndarray.tostring(). These are MXNet's two functions with tobytes() instead.


def _pack(header: Any, s: bytes) -> bytes:
    """Pack a header and bytes into a record, as `mxnet.recordio.pack`."""
    from mxnet import recordio

    header = recordio.IRHeader(*header)
    if isinstance(header.label, Number):
        header = header._replace(flag=0)
    else:
        label = numpy.asarray(header.label, dtype=numpy.float32)
        header = header._replace(flag=label.size, label=0)
        s = label.tobytes() + s
    return struct.pack(recordio._IR_FORMAT, *header) + s


def _pack_img(header: Any, img: numpy.ndarray, quality: int = 95, img_fmt: str = ".jpg") -> bytes:
    """Pack a header and an image into a record, as `mxnet.recordio.pack_img`."""
    import cv2

    options = {".JPG": cv2.IMWRITE_JPEG_QUALITY, ".JPEG": cv2.IMWRITE_JPEG_QUALITY, ".PNG": cv2.IMWRITE_PNG_COMPRESSION}
    option = options.get(img_fmt.upper())
    done, encoded = cv2.imencode(img_fmt, img, [] if option is None else [option, quality])
    assert done, "failed to encode image"
    return _pack(header, encoded.tobytes())


def _patch_recordio() -> None:
    from mxnet import recordio

    recordio.pack, recordio.pack_img = _pack, _pack_img


# Metrics: 0.0 + float32 is float64 in NumPy 1 and float32 in NumPy 2 (NEP 50), so sums silently lose digits. Here they
# start at float64(0).


def _patch_metrics() -> None:
    from mxnet import metric

    for cls in vars(metric).values():
        if isinstance(cls, type) and issubclass(cls, metric.EvalMetric):
            for name in ("reset", "reset_local"):
                if name in vars(cls):
                    setattr(cls, name, _with_wide_sums(vars(cls)[name]))


def _with_wide_sums(reset: Callable[[Any], None]) -> Callable[[Any], None]:
    def wide(self: Any) -> None:
        reset(self)
        for name in ("sum_metric", "global_sum_metric"):
            if type(vars(self).get(name)) is float:  # it is a property of some metrics
                setattr(self, name, numpy.float64(vars(self)[name]))

    wide.__name__, wide.__doc__ = reset.__name__, reset.__doc__
    return wide


# NDArray to NumPy: without __array__, NumPy reads an NDArray as nested sequences without end: np.array(nd) raises, and
# np.array_equal(nd, nd) is False.


def _array(self: Any, dtype: Any = None, copy: bool | None = None) -> numpy.ndarray:
    array = self.asnumpy()  # always a copy, so copy=True holds
    return array if dtype is None else array.astype(dtype, copy=False)


def _patch_array_conversion() -> None:
    from mxnet.ndarray import NDArray

    if "__array__" not in vars(NDArray):
        NDArray.__array__ = _array


# Quantization: it passes arrays of one element to ctypes as numbers; since NumPy 2.4 only 0-d arrays convert.


def _patch_quantization() -> None:
    from mxnet.contrib import quantization

    original = quantization.c_array

    def c_array(ctype: Any, values: Any) -> Any:
        return original(ctype, [v.item() if isinstance(v, numpy.ndarray) and v.size == 1 else v for v in values])

    quantization.c_array = c_array
