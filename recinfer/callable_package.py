"""Lets ``recinfer.predict`` be both the package of that name and the function that users call.

The house keeps a room ``recinfer/predict/`` (so that ``python -m recinfer.predict`` works), and the Python interface
has ``recinfer.predict(...)``. Importing the room binds its module to that name, so the module itself must take
the call.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class CallablePackage(ModuleType):
    """A package that, when called, does what the function of its name in ``recinfer.main`` does."""

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Calls the function; see its docstring in ``recinfer.main``."""
        function = getattr(importlib.import_module("recinfer.main"), self.__name__.rpartition(".")[2])
        return function(*args, **keywords)


def make_callable(package: str) -> None:
    """Called by a package about itself, with its ``__name__``."""
    sys.modules[package].__class__ = CallablePackage
