"""Variables of a graph: their initial values, assignments and collections."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.dtypes import as_dtype
from holdfast.tf1.graph.failures import InvalidArgumentError
from holdfast.tf1.graph.graph import action, get_default_graph, node
from holdfast.tf1.graph.names import public, publish
from holdfast.tf1.graph.recorded_names import method
from holdfast.tf1.graph.recording import plain
from holdfast.tf1.graph.shapes import Sizes, merged, sizes_of, written
from holdfast.tf1.graph.tensors import Operation, Tensor

GLOBAL, LOCAL, TRAINABLE = "variables", "local_variables", "trainable_variables"


@public("GraphKeys")
class GraphKeys:
    """The names of the collections that TensorFlow fills."""

    GLOBAL_VARIABLES = GLOBAL
    VARIABLES = GLOBAL
    LOCAL_VARIABLES = LOCAL
    TRAINABLE_VARIABLES = TRAINABLE
    SUMMARIES = "summaries"
    LOSSES = "losses"
    REGULARIZATION_LOSSES = "regularization_losses"
    UPDATE_OPS = "update_ops"
    GLOBAL_STEP = "global_step"
    MODEL_VARIABLES = "model_variables"
    INIT_OP = "init_op"
    TRAIN_OP = "train_op"
    SAVERS = "savers"


@public("Variable")
class Variable(Tensor):
    """A tensor that keeps its value from run to run of a session, until something assigns another.

    Args:
        initial_value: Its first value, or a function that returns it.
        trainable: Whether optimisers change it.
        collections: Where it is listed; None for the global variables.
        validate_shape: Whether its shape is fixed.
        name: Its name; ``Variable``, ``Variable_1``, ... by default.
        dtype: Its dtype; None for the dtype of the initial value.
        expected_shape: What the shape must be.

    Raises:
        ValueError: There is no initial value, or its shape is not known.
    """

    def __init__(
        self, initial_value: Any = None, trainable: bool = True, collections: Any = None, validate_shape: bool = True,
        caching_device: Any = None, name: str | None = None, variable_def: Any = None, dtype: Any = None,
        expected_shape: Any = None, import_scope: str | None = None, constraint: Callable[..., Any] | None = None,
    ) -> None:  # fmt: skip
        if initial_value is None:
            raise ValueError("tf.Variable got no initial_value; expected a value, an array or a tensor.")
        graph = get_default_graph()
        with graph.name_scope(name or "Variable") as scope, graph.control_dependencies(None):
            if callable(initial_value):
                initial_value = initial_value()
            first = convert_to_tensor(initial_value, _wanted(initial_value, dtype), "initial_value")
            sizes = merged(first.sizes, sizes_of(expected_shape)) if expected_shape is not None else first.sizes
            self._make(scope, first, sizes, validate_shape)
        self._list(trainable, collections)
        self.constraint = constraint

    def _make(self, scope: str, first: Tensor, sizes: Sizes, validate_shape: bool = True) -> None:
        if validate_shape and (sizes is None or None in sizes):
            raise ValueError(
                f"The initial value of variable {scope[:-1]} has shape {written(sizes)}; expected known sizes. Give "
                "them, or validate_shape=False."
            )
        graph = get_default_graph()
        op = Operation(graph, "VariableV2", graph.unique_name(scope), [], None)
        super().__init__(op, 0, first.dtype, sizes if validate_shape else None)
        op.outputs, op.prepare = [self], self._prepared
        known = [size or 0 for size in sizes or ()]
        graph.allow(math.prod(known))
        empty = torch.empty(known, dtype=self.dtype.torch)
        self.parameter: torch.Tensor = nn.Parameter(empty) if self.dtype.is_floating else empty
        self.validate_shape, self.initial_value = validate_shape, first
        self.initializer = self._assign(first, "Assign", lambda old, new: new, initializes=True).op
        graph.variables.append(self)

    def _list(self, trainable: bool, collections: Any) -> None:
        self.trainable = trainable
        names = [GLOBAL] if collections is None else list(collections)
        if trainable and TRAINABLE not in names:
            names.append(TRAINABLE)
        for name in names:
            self.graph.add_to_collection(name, self)

    @classmethod
    def of_parameter(cls, name: str, first: Tensor, parameter: nn.Parameter, trainable: bool) -> Variable:
        """The variable of the graph for a parameter of a cell of :mod:`holdfast.tf1`."""
        variable = cls.__new__(cls)
        variable.constraint = None
        variable._make(f"{name}/", first, tuple(parameter.shape))
        variable.parameter = parameter
        variable._list(trainable, None)
        return variable

    def _prepared(self, plan: Any) -> Callable[[], torch.Tensor]:
        plan.variables.add(self)
        return lambda: self.parameter

    def _assign(
        self, value: Tensor, type_: str, function: Any, name: str | None = None, initializes: bool = False
    ) -> Tensor:
        sizes = self.sizes
        if self.validate_shape:
            try:
                merged(value.sizes, sizes)
            except ValueError as error:
                raise ValueError(f"Cannot assign to variable {self.op.name}: {error}") from None

        def prepare(plan: Any) -> Callable[..., Any]:
            initialized = plan.session.initialized
            if not initializes:
                plan.variables.add(self)

            def assign(new: torch.Tensor) -> torch.Tensor:
                parameter = self.parameter
                with torch.no_grad():
                    made = function(parameter, new)
                    if made.shape == parameter.shape:
                        parameter.copy_(made)
                    elif self.validate_shape:
                        raise InvalidArgumentError(
                            None, self.op, f"Variable {self.op.name} has shape {written(tuple(parameter.shape))}; "
                            f"expected the same of its new value, which has {written(tuple(made.shape))}.",
                        )  # fmt: skip
                    else:
                        parameter.data = made.clone()
                initialized.add(self)
                return parameter

            return assign

        return node(
            type_, None, [value], self.dtype, sizes, name or f"{self.op.name.rsplit('/', 1)[-1]}/{type_}",
            effect=True, gradient=False, prepare=prepare,
        )  # fmt: skip

    @method
    def assign(self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True) -> Tensor:
        """An operation that sets the value, and its output: the new value."""
        return self._assign(convert_to_tensor(value, self.dtype), "Assign", lambda old, new: new, name, True)

    @method
    def assign_add(self, delta: Any, use_locking: bool = False, name: str | None = None) -> Tensor:
        """As :meth:`assign`, of the value with ``delta`` added."""
        return self._assign(convert_to_tensor(delta, self.dtype), "AssignAdd", lambda old, new: old + new, name)

    @method
    def assign_sub(self, delta: Any, use_locking: bool = False, name: str | None = None) -> Tensor:
        """As :meth:`assign`, of the value less ``delta``."""
        return self._assign(convert_to_tensor(delta, self.dtype), "AssignSub", lambda old, new: old - new, name)

    def initialized_value(self) -> Tensor:
        """The initial value, for another variable's."""
        return self.initial_value

    @method
    def read_value(self) -> Tensor:
        """The value when this operation runs."""
        return node("Identity", lambda x: x, [self], self.dtype, self.sizes, "read")

    def value(self) -> Tensor:
        """The variable as a tensor."""
        return self

    def load(self, value: Any, session: Any = None) -> None:
        """Sets the value in a session; None for the default one."""
        session = self.graph.session(session)
        session.run(self.initializer, {self.initial_value: value})

    def __repr__(self) -> str:
        return f"<tf.Variable {self.name!r} shape={written(self.sizes)} dtype={self.dtype.name}>"


plain(Variable)


def _wanted(value: Any, dtype: Any) -> Any:
    """The dtype to convert an initial value to: an array of any dtype may be one of a given dtype."""
    if dtype is None or (isinstance(value, Tensor) and value.dtype == as_dtype(dtype)):
        return dtype
    return as_dtype(dtype)


def _assignment(method: str, *names: str) -> None:
    def function(ref: Any, value: Any, *args: Any, **options: Any) -> Tensor:
        options = {key: option for key, option in options.items() if key == "name"}
        changed: Tensor = getattr(ref, method)(value, **options)
        return changed

    function.__doc__ = f"``ref.{method}(value)``."
    publish(function, *names)


_assignment("assign", "assign")
_assignment("assign_add", "assign_add")
_assignment("assign_sub", "assign_sub")


def _listing(collection: str, *names: str) -> Callable[..., list[Any]]:
    def listing(scope: str | None = None) -> list[Any]:
        return get_default_graph().get_collection(collection, scope)

    listing.__doc__ = f"The graph's {collection}, in the order of their making."
    publish(listing, *names)
    return listing


global_variables = _listing(GLOBAL, "global_variables", "all_variables")
local_variables = _listing(LOCAL, "local_variables")
trainable_variables = _listing(TRAINABLE, "trainable_variables")


@public("variables_initializer", "initialize_variables")
def variables_initializer(var_list: Any, name: str = "init") -> Operation:
    """An operation that gives variables their initial values, those that others depend on first."""
    variables = list(var_list)

    def nothing() -> None:
        return None

    op = action("NoOp", nothing, [], name)
    op.control_inputs += [variable.initializer for variable in variables]
    return op


@public("global_variables_initializer", "initialize_all_variables")
def global_variables_initializer() -> Operation:
    """:func:`variables_initializer` of all global variables that there are now."""
    return variables_initializer(global_variables())


@public("local_variables_initializer", "initialize_local_variables")
def local_variables_initializer() -> Operation:
    """:func:`variables_initializer` of all local variables that there are now."""
    return variables_initializer(local_variables())


@public("is_variable_initialized")
def is_variable_initialized(variable: Variable) -> Tensor:
    """Whether a variable has a value in the session."""

    def prepare(plan: Any) -> Callable[[], torch.Tensor]:
        return lambda: torch.tensor(variable in plan.session.initialized)

    return node("IsVariableInitialized", None, [], "bool", (), prepare=prepare, gradient=False)


@public("get_collection_ref")
def get_collection_ref(key: Any) -> list[Any]:
    """A collection itself: what is added to the list is in the collection."""
    found: list[Any] = get_default_graph().collections.setdefault(key, [])
    return found


@public("get_collection")
def get_collection(key: Any, scope: str | None = None) -> list[Any]:
    """What was added to a collection of the graph."""
    return get_default_graph().get_collection(key, scope)


@public("add_to_collection")
def add_to_collection(name: Any, value: Any) -> None:
    """Adds a value to a collection of the graph."""
    get_default_graph().add_to_collection(name, value)
