"""Modules that a library imports with itself and that sretool never uses: loaded at their first use, if ever."""

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


class Later(types.ModuleType):
    """Stands in for a module until an attribute of it is used; then the real one answers, here and elsewhere."""

    def __getattr__(self, name: str) -> Any:
        self.step_aside()
        return getattr(import_module(self.__name__), name)

    def step_aside(self) -> None:
        """Leave the name to the real module."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]


@contextmanager
def left_for_later(*names: str) -> Iterator[None]:
    """Within it, importing one of the modules `names` gives a stand-in; whoever imports one afterwards gets it."""
    later = [Later(name) for name in names]
    for one in later:
        sys.modules.setdefault(one.__name__, one)
    try:
        yield
    finally:
        for one in later:
            one.step_aside()
