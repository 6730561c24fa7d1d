"""Installs gluon_classics: `pip install .`; on Python 3.13 also `pip install --no-deps mxnet==1.9.1`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "gluon_classics/__init__.py").read_text())[1]
README = HERE / "README.md"

setup(
    name="gluon-classics",
    version=VERSION,
    description="The classic convolutional networks, from LeNet-5 to EfficientNet, in Apache MXNet Gluon",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.9",
    packages=find_packages(include=["gluon_classics", "gluon_classics.*"]),
    package_data={"gluon_classics.data": ["samples/*", "samples/*/*"]},
    py_modules=["utils"],
    install_requires=[
        # its wheel asks for numpy<2, which has no wheel on Python 3.13: there it goes in with --no-deps
        'mxnet==1.9.1; python_version < "3.13"',
        "numpy>=1.23",
        'graphviz; python_version >= "3.13"',
        'requests; python_version >= "3.13"',
        "matplotlib",
        "Pillow",
        "tqdm",
    ],
    extras_require={
        "gluoncv": ["gluoncv==0.10.5.post0"],
        "netron": ["netron"],
        "notebooks": ["jupyterlab"],
        # onnx 1.19 dropped what MXNet's converter imports; the newest on Python 3.9 is 1.18 as well
        "onnx": ["onnx>=1.13.1,<1.19", "onnxruntime"],
        "safetensors": ["safetensors"],
        "serving": ["multi-model-server==1.1.11", "model-archiver==1.0.3"],
        "tensorboard": ["tensorboardX"],
        "test": ["pytest>=8", "safetensors", "tensorboardX"],
    },
)
