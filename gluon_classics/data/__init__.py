"""Data sets, and batches of them.

`catalog` lists the data sets, `formats/` reads them, and `files/` handles what is on disk.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
