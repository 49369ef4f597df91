"""Scopes of names and of variables, and ``get_variable``; by the scopes of :mod:`holdfast.tf1`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from holdfast.tf1 import variables as eager
from holdfast.tf1.graph.call_entries import Snapshot
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.dtypes import as_dtype, float32
from holdfast.tf1.graph.graph import Graph, get_default_graph
from holdfast.tf1.graph.initial_values import Initializer, as_initializer, glorot_uniform
from holdfast.tf1.graph.names import public, publish
from holdfast.tf1.graph.recording import scope_closed, scope_opened, snapshot
from holdfast.tf1.graph.tensors import Tensor
from holdfast.tf1.graph.variables import Variable

publish(eager.AUTO_REUSE, "AUTO_REUSE")


class GraphStore(eager.VariableStore):
    """The variables of a graph by name. A variable of a cell is a parameter of that cell too."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.of: dict[int, Variable] = {}  # by the parameter

    def get(
        self, scope: eager.VariableScope, name: str, shape: Sequence[int] | None, dtype: torch.dtype, initializer: Any,
        device: Any, trainable: bool,
    ) -> nn.Parameter:  # fmt: skip
        """Finds or makes the parameter; a new one gets a variable of the graph."""
        full = scope.inner(name)
        if full in self.variables:
            return super().get(scope, name, shape, dtype, None, device, trainable)
        first = as_initializer(initializer if initializer is not None else scope.initializer)
        if first is None:
            first = glorot_uniform()
        with self.graph.name_scope(None), self.graph.control_dependencies(None), self.graph.name_scope(f"{full}/"):
            if isinstance(first, Initializer):
                if shape is None:
                    return super().get(scope, name, None, dtype, None, device, trainable)  # its error
                value = first(shape, dtype)
            else:
                value = convert_to_tensor(first, dtype)
                shape = tuple(size or 0 for size in value.sizes or ())
        self.graph.allow(math.prod(shape))
        parameter = super().get(scope, name, shape, dtype, lambda tensor: None, device, True)
        self.of[id(parameter)] = Variable.of_parameter(full, value, parameter, trainable)
        return parameter

    @contextmanager
    def opened(self, name: str, *, again: bool) -> Iterator[None]:
        """As of the base, and kept for ``.meta`` files: the names of later scopes depend on it."""
        number = scope_opened(self.graph, name, again)
        try:
            with super().opened(name, again=again):
                yield
        finally:
            scope_closed(self.graph, number)


@public("VariableScope")
class VariableScope:
    """An open scope of variables, whose ``reuse`` a program may change."""

    def __init__(self, scope: eager.VariableScope, name_scope: str = "", regularizer: Any = None) -> None:
        self.scope, self.original_name_scope, self.regularizer = scope, name_scope, regularizer

    @property
    def name(self) -> str:
        """The beginning of the names, without the last slash."""
        return self.scope.name

    @property
    def reuse(self) -> Any:
        """Whether variables are shared."""
        return self.scope.reuse

    @property
    def initializer(self) -> Any:
        """What initializes variables without an initializer of their own."""
        return self.scope.initializer

    def reuse_variables(self) -> None:
        """From now on, variables of the scope are shared."""
        self.scope = replace(self.scope, reuse=True)

    def set_initializer(self, initializer: Any) -> None:
        """Sets the initializer of the variables that follow."""
        self.scope = replace(self.scope, initializer=as_initializer(initializer))

    def set_regularizer(self, regularizer: Any) -> None:
        """Sets the regularizer of the variables that follow."""
        self.regularizer = regularizer

    def global_variables(self) -> list[Any]:
        """The variables of this scope."""
        return get_default_graph().get_collection("variables", f"{self.name}/" if self.name else None)

    def trainable_variables(self) -> list[Any]:
        """The trainable variables of this scope."""
        return get_default_graph().get_collection("trainable_variables", f"{self.name}/" if self.name else None)


snapshot(VariableScope, lambda scope: Snapshot("scope", scope.scope, scope.original_name_scope, scope.regularizer))


def _current(graph: Graph) -> VariableScope:
    if graph.store is None:
        graph.store, graph.variable_scope = GraphStore(graph), VariableScope(eager.VariableScope())
    scope: VariableScope = graph.variable_scope
    return scope


@public("get_variable_scope")
def get_variable_scope() -> VariableScope:
    """The scope in which variables are made now."""
    return _current(get_default_graph())


@contextmanager
def cells_make_variables_here() -> Iterator[GraphStore]:
    """Within the block, cells of :mod:`holdfast.tf1` make their variables in the graph and its open scope."""
    graph = get_default_graph()
    scope = _current(graph)
    known = len(graph.variables)
    with eager.within(graph.store, scope.scope):
        yield graph.store
    for variable in graph.variables[known:]:
        _penalize(variable, scope.regularizer)


def _penalize(variable: Variable, regularizer: Any) -> None:
    """Adds what a regularizer says of a new variable to the regularization losses."""
    penalty = None if regularizer is None else regularizer(variable)
    if penalty is not None:
        variable.graph.add_to_collection("regularization_losses", penalty)


@public("variable_scope")
@contextmanager
def variable_scope(
    name_or_scope: Any, default_name: str | None = None, values: Any = None, initializer: Any = None,
    regularizer: Any = None, caching_device: Any = None, partitioner: Any = None, custom_getter: Any = None,
    reuse: Any = None, dtype: Any = None, use_resource: Any = None, constraint: Any = None,
    auxiliary_name_scope: bool = True,
) -> Iterator[VariableScope]:  # fmt: skip
    """Within the block, names of variables and operations begin with the name of the scope.

    Args:
        name_or_scope: A name, or a scope to open again.
        default_name: The name if there is none; made unique.
        initializer: Of variables without one of their own.
        regularizer: A function of each new variable, whose value goes to the regularization losses.
        reuse: Whether variables are shared: True, False or ``tf.AUTO_REUSE``.
        values, caching_device, partitioner, use_resource, dtype: Accepted.

    Raises:
        ValueError: There is no name.
        NotImplementedError: A ``custom_getter`` or ``constraint`` is given.
    """
    for option, given in (("custom_getter", custom_getter), ("constraint", constraint)):
        if given is not None:
            raise NotImplementedError(f"variable_scope got {option}; expected None: Holdfast's graphs have none.")
    graph = get_default_graph()
    before = _current(graph)
    if isinstance(name_or_scope, VariableScope):
        wanted: Any = name_or_scope.scope
    else:
        wanted = name_or_scope.rstrip("/") if isinstance(name_or_scope, str) else name_or_scope
    with (
        eager.within(graph.store, before.scope),
        eager.variable_scope(wanted, default_name, reuse, as_initializer(initializer)) as scope,
        graph.name_scope(scope.name.rsplit("/", 1)[-1] or None) as names,
    ):
        outer = name_or_scope if isinstance(name_or_scope, VariableScope) else before
        graph.variable_scope = VariableScope(scope, names, regularizer or outer.regularizer)
        try:
            yield graph.variable_scope
        finally:
            graph.variable_scope = before


@public("name_scope")
@contextmanager
def name_scope(name: Any, default_name: str | None = None, values: Any = None) -> Iterator[str]:
    """Within the block, names of operations begin with the name."""
    with get_default_graph().name_scope(name if name is not None else default_name) as scope:
        yield scope


@public("op_scope")
@contextmanager
def op_scope(values: Any, name: Any, default_name: str | None = None) -> Iterator[str]:
    """:func:`name_scope` with the arguments of before TensorFlow 1.0."""
    with name_scope(name, default_name) as scope:
        yield scope


@public("get_variable")
def get_variable(
    name: str, shape: Any = None, dtype: Any = None, initializer: Any = None, regularizer: Any = None,
    trainable: bool = True, collections: Any = None, caching_device: Any = None, partitioner: Any = None,
    validate_shape: bool = True, use_resource: Any = None, custom_getter: Any = None, constraint: Any = None,
) -> Variable:  # fmt: skip
    """The variable of that name in the open scope: a new one, or a shared one as the scope's ``reuse`` says.

    Args:
        name: Its name in the scope.
        shape: Its shape; not needed if it exists or the initializer is a value.
        dtype: Its dtype; float32 by default.
        initializer: An initializer or a value; None for the scope's, or Glorot's.
        regularizer: A function of the variable, whose value goes to the regularization losses.
        trainable: Whether optimisers change it.

    Raises:
        ValueError: It exists and is not to be shared, or does not exist and is to be.
    """
    graph = get_default_graph()
    scope = _current(graph)
    if initializer is not None and not callable(initializer) and dtype is None:
        dtype = convert_to_tensor(initializer).dtype
    kind = as_dtype(dtype or float32)
    if initializer is not None and not callable(initializer) and shape is not None:
        raise ValueError(f"get_variable {name!r} got a shape and a value as initializer; expected one of the two.")
    sizes = None if shape is None else tuple(int(size) for size in ([shape] if isinstance(shape, int) else shape))
    full = scope.scope.inner(name)
    known = full in graph.store.variables
    if kind.is_floating or known:
        parameter = graph.store.get(scope.scope, name, sizes, kind.torch, initializer, None, trainable)
        variable: Variable = graph.store.of[id(parameter)]
    else:
        variable = _whole_number(graph, scope, full, sizes, kind, initializer, trainable)
    if not known:
        _penalize(variable, regularizer or scope.regularizer)
    return variable


def _whole_number(
    graph: Graph, scope: VariableScope, full: str, sizes: Any, kind: Any, initializer: Any, trainable: bool
) -> Variable:
    """A variable of whole numbers, which no cell shares."""
    found: Variable | None = next((each for each in graph.variables if each.op.name == full), None)
    if found is not None and scope.reuse:
        return found
    if (found is None and scope.reuse is True) or found is not None:
        state = "exists already" if found is not None else "does not exist"
        raise ValueError(f"Variable {full} {state}; set reuse of its variable_scope, or give another name.")
    first = as_initializer(initializer if initializer is not None else 0)
    with graph.name_scope(None):
        value = first(sizes, kind) if isinstance(first, Initializer) else convert_to_tensor(first, kind)
        return Variable(value, trainable, name=full)


def variables_of(parameters: Any) -> list[Tensor]:
    """The graph's variables for parameters of cells."""
    store = get_default_graph().store
    return [store.of[id(parameter)] for parameter in parameters]
