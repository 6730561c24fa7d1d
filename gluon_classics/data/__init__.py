"""Data sets, and batches of them.

`catalog` lists the data sets, `formats` has one file for each source of pictures, `files` what is on disk.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
