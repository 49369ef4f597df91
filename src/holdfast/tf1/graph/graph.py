"""Graphs: what they hold, their names and scopes, and how an operation is recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from holdfast.tf1.graph.call_entries import Entry
from holdfast.tf1.graph.dtypes import as_dtype
from holdfast.tf1.graph.names import public, publish
from holdfast.tf1.graph.recorded_names import graph_method
from holdfast.tf1.graph.recording import graphs_by
from holdfast.tf1.graph.shapes import Sizes
from holdfast.tf1.graph.tensors import Compute, Operation, Tensor


@public("Graph")
class Graph:
    """Operations and variables, made in the ``with`` blocks of :meth:`as_default` or by default."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.collections: dict[str, list[Any]] = {}
        self.seed: int | None = None
        self.active: Any = None  # the session whose values the variables have now
        self.controls: list[Operation] = []
        self.scope = ""  # of names, with its last slash
        self.variables: list[Any] = []
        self.store: Any = None  # what scopes.py keeps of variables by name
        self.variable_scope: Any = None
        self._by_name: dict[str, Operation] = {}
        self._used: dict[str, int] = {}
        self.lock = threading.RLock()
        self.tape: list[Entry] = []  # the program's calls that made it
        self.changes = 0  # counts every change
        self.most_operations: int | None = None  # while a .meta file is read: what the file lists
        self.most_values: int | None = None
        self.last_state: Any = ("", self.controls, None, None, None, None)  # of recording.py

    def add(self, op: Operation) -> int:
        """Records an operation and returns its number."""
        if self.most_operations is not None and len(self.operations) >= self.most_operations:
            raise ValueError(f"there is an operation {op.name} more than the file lists")
        self._by_name[op.name] = op
        self.changes += 1
        self.operations.append(op)
        return len(self.operations) - 1

    def allow(self, values: int) -> None:
        """Refuses to make more values at once than the ``.meta`` file that is being read lists.

        Raises:
            ValueError: There are more.
        """
        if self.most_values is not None and values > self.most_values:
            raise ValueError(f"there are {values:,} values; the largest tensor that the file lists has fewer")

    @graph_method
    def unique_name(self, name: str) -> str:
        """``name`` in the open scope, with ``_1``, ``_2``, ... if it is taken; as it is if it ends with a slash."""
        if name.endswith("/"):
            return name[:-1]
        self.changes += 1
        full = f"{self.scope}{name}"
        key = full.lower()
        count = self._used.get(key, 0)
        self._used[key] = count + 1
        if not count:
            return full
        candidate = f"{full}_{count}"
        while candidate.lower() in self._used:
            count += 1
            candidate = f"{full}_{count}"
        self._used[key] = count + 1
        self._used[candidate.lower()] = 1
        return candidate

    @contextmanager
    def name_scope(self, name: str | None) -> Iterator[str]:
        """Within the block, names of operations begin with the name; ``None`` or ``""`` leaves all scopes."""
        before = self.scope
        self.scope = f"{self.unique_name(name)}/" if name else ""
        try:
            yield self.scope
        finally:
            self.scope = before

    @contextmanager
    def control_dependencies(self, control_inputs: Any) -> Iterator[None]:
        """Operations made within the block run after ``control_inputs``; None forgets the outer blocks' ones."""
        before = self.controls
        new = [getattr(each, "op", each) for each in control_inputs or ()]
        self.controls = [] if control_inputs is None else [*before, *new]
        try:
            yield
        finally:
            self.controls = before

    @contextmanager
    def device(self, device_name_or_function: Any) -> Iterator[None]:
        """Accepted; the kernels choose the device."""
        yield

    @contextmanager
    def as_default(self) -> Iterator[Graph]:
        """Makes this the graph in which operations and variables are made."""
        _stack().append(self)
        try:
            yield self
        finally:
            _stack().remove(self)

    def session(self, session: Any = None) -> Any:
        """The session, or the default one.

        Raises:
            ValueError: There is none.
        """
        open_sessions = session_stack()
        found = session or (open_sessions[-1] if open_sessions else None)
        if found is None:
            raise ValueError(
                "There is no default session for eval() and run(); expected one: write `with tf.Session():`, use "
                "tf.InteractiveSession, or pass session=."
            )
        return found

    def has_name(self, name: str) -> bool:
        """Whether a name of an operation or a scope is taken; upper and lower case are the same."""
        return name.lower() in self._used

    def get_operations(self) -> list[Operation]:
        """All operations, in the order in which they were made."""
        return list(self.operations)

    def get_operation_by_name(self, name: str) -> Operation:
        """The operation of that name.

        Raises:
            KeyError: There is none.
        """
        if name not in self._by_name:
            raise KeyError(f"The graph has no operation {name!r}; get_operations() lists them.")
        return self._by_name[name]

    def get_tensor_by_name(self, name: str) -> Tensor:
        """The tensor of that name, such as ``"x:0"``.

        Raises:
            KeyError: There is none.
            ValueError: The name has no number of an output.
        """
        operation, colon, index = name.rpartition(":")
        if not colon or not index.isdigit():
            raise ValueError(f"{name!r} is not the name of a tensor; expected an operation and an output: 'x:0'.")
        outputs = self.get_operation_by_name(operation).outputs
        if int(index) >= len(outputs):
            raise KeyError(f"{operation!r} has {len(outputs)} outputs, so there is no {name!r}.")
        return outputs[int(index)]

    def as_graph_element(self, obj: Any, allow_tensor: bool = True, allow_operation: bool = True) -> Any:
        """The tensor or operation that ``obj`` is, or names.

        Raises:
            TypeError: It is neither.
            ValueError: It is of another graph.
        """
        if isinstance(obj, str):
            obj = self.get_tensor_by_name(obj) if ":" in obj else self.get_operation_by_name(obj)
        if not ((allow_tensor and isinstance(obj, Tensor)) or (allow_operation and isinstance(obj, Operation))):
            raise TypeError(f"Got {obj!r} ({type(obj).__name__}); expected a tensor or an operation of the graph.")
        if obj.graph is not self:
            raise ValueError(f"{obj!r} is of another graph; expected one of the session's own graph.")
        return obj

    def get_collection(self, name: Any, scope: str | None = None) -> list[Any]:
        """What was added to a collection; with ``scope``, what has a name that begins with it."""
        found = self.collections.get(name, [])
        return [each for each in found if not scope or getattr(each, "name", "").startswith(scope)]

    @graph_method
    def add_to_collection(self, name: Any, value: Any) -> None:
        """Adds a value to a collection."""
        self.changes += 1
        self.collections.setdefault(name, []).append(value)

    def finalize(self) -> None:
        """Accepted; a graph of Holdfast may always grow."""


_GRAPHS = threading.local()
_SESSIONS = threading.local()
_DEFAULT = [Graph()]


def _stack() -> list[Graph]:
    if not hasattr(_GRAPHS, "stack"):
        _GRAPHS.stack = []
    stack: list[Graph] = _GRAPHS.stack
    return stack


def session_stack() -> list[Any]:
    """The sessions of this thread's ``with`` blocks, the innermost last."""
    if not hasattr(_SESSIONS, "stack"):
        _SESSIONS.stack = []
    stack: list[Any] = _SESSIONS.stack
    return stack


@public("get_default_graph")
def get_default_graph() -> Graph:
    """The graph in which operations are made now."""
    stack = _stack()
    return stack[-1] if stack else _DEFAULT[0]


@public("reset_default_graph")
def reset_default_graph() -> None:
    """Begins with a new, empty default graph.

    Raises:
        RuntimeError: A ``with graph.as_default()`` block is open.
    """
    if _stack():
        raise RuntimeError("reset_default_graph() was called within `with graph.as_default()`; call it outside.")
    _DEFAULT[0] = Graph()


def nodes(
    type_: str,
    compute: Compute | None,
    inputs: Sequence[Tensor],
    outputs: Sequence[tuple[Any, Sizes]],
    name: str | None = None,
    **options: Any,
) -> list[Tensor]:
    """Records an operation and returns its outputs, each with a dtype and sizes; ``compute`` returns a tuple."""
    op = _record(type_, compute, inputs, name, **options)
    op.several = True
    op.outputs = [Tensor(op, index, as_dtype(dtype), sizes) for index, (dtype, sizes) in enumerate(outputs)]
    return op.outputs


def node(
    type_: str,
    compute: Compute | None,
    inputs: Sequence[Tensor],
    dtype: Any,
    sizes: Sizes,
    name: str | None = None,
    **options: Any,
) -> Tensor:
    """Records an operation with one output and returns that."""
    op = _record(type_, compute, inputs, name, **options)
    op.outputs = [Tensor(op, 0, as_dtype(dtype), sizes)]
    return op.outputs[0]


def action(
    type_: str, compute: Compute | None, inputs: Sequence[Tensor], name: str | None = None, **options: Any
) -> Operation:
    """Records an operation without outputs, which changes something."""
    return _record(type_, compute, inputs, name, **{"effect": True, "gradient": False, **options})


def _record(
    type_: str,
    compute: Compute | None,
    inputs: Sequence[Tensor],
    name: str | None,
    *,
    gradient: bool = True,
    effect: bool = False,
    prepare: Callable[[Any], Compute] | None = None,
    **settings: Any,
) -> Operation:
    graph = get_default_graph()
    for tensor in inputs:
        if tensor.graph is not graph:
            raise ValueError(
                f"Tensor {tensor.name} is of another graph than the one in which {name or type_} is made; make both in "
                "one `with graph.as_default()` block."
            )
    op = Operation(graph, type_, graph.unique_name(name or type_), inputs, compute)
    op.gradient, op.effect, op.prepare, op.settings = gradient, effect, prepare, settings
    return op


publish(Graph, "python.framework.ops.Graph")
graphs_by(get_default_graph)
