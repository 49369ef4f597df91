"""Variables with TensorFlow 1's names: their store, scopes, and sharing by ``reuse``."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import ModelFileError, OptionError, ShapeError
from holdfast.interop.tf1.checkpoint import Checkpoint
from holdfast.interop.tf1.names import modern

Initializer = Callable[[Tensor], Any]
"""Fills a tensor in place, as the functions of ``torch.nn.init`` do."""


class _Auto(Enum):
    AUTO_REUSE = "AUTO_REUSE"


AUTO_REUSE = _Auto.AUTO_REUSE
"""``reuse=AUTO_REUSE``: a variable that exists is shared, one that does not is made."""

Reuse = bool | Literal[_Auto.AUTO_REUSE] | None


@dataclass(frozen=True)
class VariableScope:
    """Where variables are made.

    Attributes:
        name: The prefix of their names, without the last slash.
        reuse: Whether variables must be new (False), must exist (True), or either (:data:`AUTO_REUSE`).
        initializer: Fills variables that have no initializer of their own.
    """

    name: str = ""
    reuse: Reuse = False
    initializer: Initializer | None = None

    def inner(self, name: str) -> str:
        """The full name of ``name`` in this scope."""
        return "/".join(part for part in (self.name, name) if part)


class VariableStore:
    """Variables by their names, as a graph of TensorFlow 1 holds them.

    Example:
        >>> store = VariableStore()
        >>> with store.as_default(), variable_scope("layer"):
        ...     kernel = get_variable("kernel", (3, 4))
        >>> list(store.variables)
        ['layer/kernel']
    """

    def __init__(self) -> None:
        self._variables: dict[str, nn.Parameter] = {}
        self._opened: Counter[str] = Counter()  # how many times each scope was opened, for unique names
        self._restored: list[tuple[Checkpoint, str]] = []

    @property
    def variables(self) -> Mapping[str, nn.Parameter]:
        """All variables by their names, in the order in which they were made."""
        return MappingProxyType(self._variables)

    @contextmanager
    def as_default(self) -> Iterator[VariableStore]:
        """Makes new variables in this store within the ``with`` block."""
        with within(self, VariableScope()):
            yield self

    @torch.no_grad()
    def restore(self, path: str | Path | Checkpoint, scope: str = "") -> None:
        """Sets the variables to the values of a checkpoint; variables made later get their values when they are made.

        Args:
            path: The checkpoint, as :class:`~holdfast.interop.tf1.checkpoint.Checkpoint` takes it.
            scope: Restore only the variables under this scope; empty for all.

        Raises:
            ModelFileError: The checkpoint cannot be read, lacks a variable, or has it in another shape or dtype. Then
                no variable changes.
        """
        checkpoint = path if isinstance(path, Checkpoint) else Checkpoint(path)
        variables = {name: variable for name, variable in self._variables.items() if _within(name, scope)}
        values = {name: _value(checkpoint, name, variable) for name, variable in variables.items()}
        for name, variable in variables.items():
            variable.copy_(values[name])
        self._restored.append((checkpoint, scope))

    def get(
        self,
        scope: VariableScope,
        name: str,
        shape: Sequence[int] | None,
        dtype: torch.dtype,
        initializer: Initializer | None,
        device: Any,
        trainable: bool,
    ) -> nn.Parameter:
        """Finds or makes a variable, as :func:`get_variable` describes."""
        name = scope.inner(name)
        existing = self._variables.get(name)
        if existing is None and scope.reuse is True:
            raise OptionError(
                f"Variable {name} does not exist, and reuse=True needs one that does. Make it first, or give "
                "reuse=tf1.AUTO_REUSE."
            )
        if existing is not None:
            if not scope.reuse:
                raise OptionError(
                    f"Variable {name} exists already. Call the cell that made it, give another scope, or share it by "
                    "reuse=True or reuse=tf1.AUTO_REUSE."
                )
            if shape is not None and tuple(existing.shape) != tuple(shape):
                raise ShapeError(
                    f"Variable {name} has shape {tuple(existing.shape)}; expected {tuple(shape)} to share it. Give "
                    "another scope."
                )
            return existing
        if shape is None:
            raise ShapeError(f"Variable {name} is new and got no shape. Give one.")
        variable = nn.Parameter(torch.empty(tuple(shape), dtype=dtype, device=device), requires_grad=trainable)
        with torch.no_grad():
            restored = [checkpoint for checkpoint, under in self._restored if _within(name, under)]
            if restored:
                variable.copy_(_value(restored[-1], name, variable))
            else:
                (initializer or scope.initializer or glorot_uniform)(variable)
        self._variables[name] = variable
        return variable

    def unique(self, scope: VariableScope, name: str) -> str:
        """``name``; with the suffix ``_1``, ``_2``, ... if a scope of that name was opened in ``scope`` before."""
        number, candidate = 0, name
        while self._opened[scope.inner(candidate)]:
            number += 1
            candidate = f"{name}_{number}"
        return candidate

    @contextmanager
    def opened(self, name: str, *, again: bool) -> Iterator[None]:
        """Counts that a scope was opened; closing it frees the names of the scopes in it."""
        before = self._opened.copy() if again else None
        self._opened[name] += 1
        try:
            yield
        finally:
            if before is not None:
                self._opened = before
            else:
                for inner in [inner for inner in self._opened if _within(inner, name) and inner != name]:
                    del self._opened[inner]


_STORE: ContextVar[VariableStore] = ContextVar("store", default=VariableStore())  # noqa: B039 (all threads share one)
_SCOPE: ContextVar[VariableScope] = ContextVar("scope", default=VariableScope())  # noqa: B039 (frozen)


@contextmanager
def within(store: VariableStore, scope: VariableScope) -> Iterator[None]:
    """Makes new variables in a store and in a scope of it within the ``with`` block."""
    before, outer = _STORE.set(store), _SCOPE.set(scope)
    try:
        yield
    finally:
        _SCOPE.reset(outer)
        _STORE.reset(before)


def default_store() -> VariableStore:
    """The store in which variables are made now."""
    return _STORE.get()


def reset_default_graph() -> None:
    """Begins with a new, empty store."""
    _STORE.set(VariableStore())


def get_variable_scope() -> VariableScope:
    """The scope in which variables are made now."""
    return _SCOPE.get()


@contextmanager
def variable_scope(
    name_or_scope: str | VariableScope | None,
    default_name: str | None = None,
    reuse: Reuse = None,
    initializer: Initializer | None = None,
) -> Iterator[VariableScope]:
    """Within the ``with`` block, names of variables begin with the name of the scope.

    Args:
        name_or_scope: A name in the open scope, or a scope to open again, wherever it is.
        default_name: The name if ``name_or_scope`` is None; if it is taken, it gets the suffix ``_1``, ``_2``, ....
        reuse: Whether the variables are shared: True, False or :data:`AUTO_REUSE`. Inner scopes inherit it.
        initializer: Fills new variables that have no initializer of their own. Inner scopes inherit it.

    Raises:
        OptionError: There is no name.

    Example:
        >>> with variable_scope("outer"), variable_scope("inner") as scope:
        ...     print(scope.name)
        outer/inner
    """
    store, outer = _STORE.get(), _SCOPE.get()
    again = isinstance(name_or_scope, VariableScope)
    if isinstance(name_or_scope, VariableScope):
        scope = name_or_scope
        scope = replace(scope, reuse=reuse or scope.reuse, initializer=initializer or scope.initializer)
    else:
        if name_or_scope is None:
            if not default_name:
                raise OptionError("variable_scope got neither a name nor a default_name; expected one of them.")
            name_or_scope = store.unique(outer, default_name)
        name = outer.inner(name_or_scope)
        scope = VariableScope(name, reuse or outer.reuse, initializer or outer.initializer)
    token = _SCOPE.set(scope)
    try:
        with store.opened(scope.name, again=again):
            yield scope
    finally:
        _SCOPE.reset(token)


def get_variable(
    name: str,
    shape: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float32,
    initializer: Initializer | None = None,
    *,
    device: Any = None,
    trainable: bool = True,
) -> nn.Parameter:
    """The variable of that name in the open scope: a new one, or a shared one as the scope's ``reuse`` says.

    Args:
        name: Its name in the scope.
        shape: Its shape; optional for a variable that exists.
        dtype: The dtype of a new variable.
        initializer: Fills a new variable in place, as the functions of ``torch.nn.init`` do. None for the scope's, or
            Xavier's uniform distribution (Glorot & Bengio 2010).
        device: The device of a new variable.
        trainable: Whether a new variable has a gradient.

    Raises:
        OptionError: It exists and ``reuse`` is False, or does not exist and ``reuse`` is True.
        ShapeError: It exists in another shape.
    """
    return _STORE.get().get(_SCOPE.get(), name, shape, dtype, initializer, device, trainable)


def trainable_variables(scope: str = "") -> list[nn.Parameter]:
    """The variables of the store with gradients: those under a scope, or all."""
    variables = _STORE.get().variables.items()
    return [variable for name, variable in variables if variable.requires_grad and _within(name, scope)]


def glorot_uniform(tensor: Tensor) -> Tensor:
    """Fills a tensor as TensorFlow 1 does by default; a vector counts as that many inputs and outputs."""
    if tensor.ndim > 1:
        return nn.init.xavier_uniform_(tensor)
    limit = math.sqrt(3 / max(tensor.numel(), 1))
    return nn.init.uniform_(tensor, -limit, limit)


def _within(name: str, scope: str) -> bool:
    return not scope or name == scope or name.startswith(f"{scope}/")


def _value(checkpoint: Checkpoint, name: str, variable: Tensor) -> Tensor:
    """The value of a variable; checkpoints of older versions have some variables under other names."""
    stored = name if name in checkpoint else next((old for old in checkpoint if modern(old) == name), None)
    if stored is None:
        raise ModelFileError(
            f"{checkpoint.path} has no variable {name}; the store has one of shape {tuple(variable.shape)}. Restore "
            "under another scope, or give the cell and its scope the names of the program that saved it."
        )
    value = checkpoint.read(stored)
    if value.shape != variable.shape or value.dtype != variable.dtype:
        raise ModelFileError(
            f"{checkpoint.path} has variable {stored} of shape {tuple(value.shape)} and {value.dtype}; the store's is "
            f"{tuple(variable.shape)} and {variable.dtype}. Build the model that was saved."
        )
    return value
