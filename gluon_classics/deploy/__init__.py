"""Trained networks for other processes: export, ONNX, int8, and the server."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "archive": ["pack"],
        "exporting": ["Int8", "Trained", "export", "export_run"],
        "server": ["Server", "require_server"],
    },
)
