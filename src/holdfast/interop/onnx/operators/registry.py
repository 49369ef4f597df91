"""The table of operators, and the decorator that puts a function into it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from torch import Tensor

Ints = Tensor | Sequence[int] | int | None
"""Whole numbers: a list where the file holds them, a tensor where the graph computes them."""
Floats = Tensor | Sequence[float] | None
Function = TypeVar("Function", bound=Callable[..., Any])

OPERATORS: dict[str, Callable[..., Any]] = {}
"""The function of each operator."""
SIGNATURES: dict[str, inspect.Signature] = {}
"""The arguments of each operator; the annotation of an argument says which attributes it accepts."""
MAX_OUTPUTS: dict[str, int] = {}
"""The largest number of outputs of each operator."""


def operator(
    name: str, *, max_outputs: int = 1, like: Callable[..., Any] | None = None
) -> Callable[[Function], Function]:
    """Registers a function as the operator of that name.

    A function of torch without a signature takes the arguments of the function ``like``.
    """

    def register(function: Function) -> Function:
        OPERATORS[name] = function
        SIGNATURES[name] = inspect.signature(like or function)
        MAX_OUTPUTS[name] = max_outputs
        return function

    return register


def integers(values: Ints) -> list[int] | None:
    """The whole numbers as a list; a single number gives a list of one."""
    if values is None:
        return None
    if isinstance(values, Tensor):
        return [int(value) for value in values.flatten().tolist()]
    return [values] if isinstance(values, int) else [int(value) for value in values]
