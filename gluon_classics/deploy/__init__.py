"""Trained networks for other processes: export, ONNX, int8, and a server."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
