"""What a network is made of, what it sees, which classes it confuses, and pages that show it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
