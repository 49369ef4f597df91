"""Tables of functions that register themselves where they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def registrar(table: dict[str, Function]) -> Callable[..., Callable[[Function], Function]]:
    """A decorator, called with names, that puts a function into the table under these names."""

    def for_names(*names: str) -> Callable[[Function], Function]:
        def register(function: Function) -> Function:
            table.update(dict.fromkeys(names, function))
            return function

        return register

    return for_names
