"""An import hook that runs code around the first import of a module."""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any, Callable


class ImportHook:
    """A finder for `sys.meta_path` that passes the import of the module `name` to `load`.

    `load` gets a function without arguments that runs the module's code. The hook removes itself when `load` returns.
    If `load` raises, the next import tries again. `failed` turns an error in finding the module into the one to raise.
    """

    def __init__(self, name: str, load: Callable[[Callable[[], None]], None], failed: Callable[[Exception], Exception]):
        self.name, self.load, self.failed = name, load, failed

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> Any:
        """Return the other finders' specification of the module, with `load` around its loader."""
        if name != self.name:
            return None
        try:
            others = [finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
            spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
            if spec is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        except (ImportError, OSError, RuntimeError) as error:
            raise self.failed(error) from error
        # on the loader object itself, so that __loader__ and __spec__ stay the real ones
        loader: Any = spec.loader
        loader.exec_module = functools.partial(self._execute, loader)
        return spec

    def _execute(self, loader: Any, module: ModuleType) -> None:
        del loader.exec_module  # uncovers the loader's own method
        self.load(functools.partial(loader.exec_module, module))
        if self in sys.meta_path:
            sys.meta_path.remove(self)
