"""Names of a package that are imported when they are first used, so that a part that needs no torch loads none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def on_demand(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package (PEP 562).

    Args:
        package: The package's ``__name__``.
        homes: The module that defines each name, or the module of this name itself.

    Returns:
        A function from a name to its value. It raises AttributeError for a name that is not in ``homes``, and
        MissingLibraryError for one whose module is not installed.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = import_module(homes[name])
        except ModuleNotFoundError as error:
            if error.name is None or not homes[name].startswith(error.name):
                raise
            from holdfast.errors import MissingLibraryError

            raise MissingLibraryError(
                f"{package}.{name} needs torch, and only holdfast-runtime is installed. "
                "Install the wheel of holdfast next to it."
            ) from error
        value = module if homes[name] == f"{package}.{name}" else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return load
