"""What a program does to make a graph, call by call: ``.meta`` files hold it, and make the graph again from it.

Each graph keeps a list of the calls by which the program changed it: those of registered functions and classes, and of
methods that have :func:`method`. Only the outermost call counts; what it calls itself follows from it. A function of
the program that such a call calls back, such as the body of a loop, has a list of its own within the call's entry. The
scopes that are open at a call are part of its entry, so that leaving and entering them need no entries.

Nothing here runs within a session: plans call the functions of operations, not those of the program.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from functools import partial, update_wrapper, wraps
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)

_MODULES = {
    "alignments", "arithmetic", "arrays", "bidirectional", "cells", "clipping", "conditional_fields", "conditions",
    "convert", "convolution_layers", "convolutions", "decoding_helpers", "decoding_loops", "dense_layers",
    "differentiation", "engine_cells", "filling", "free_loops", "indexing", "initial_values", "layer_functions",
    "legacy_decoders", "loops", "loops_over_rows", "loss_functions", "maths", "matrices", "measures", "networks",
    "normalizing", "optimizer_rules", "optimizers", "ordering", "picking", "products", "randoms", "rearranging",
    "reductions", "regularised_optimizers", "regularizers", "rnn", "row_updates", "schedules", "scopes",
    "sequence_losses", "sparse_tensors", "summaries", "tensor_arrays", "variables", "wrapping_cells",
}  # fmt: skip
"""The modules whose functions and classes make operations. Nothing else is recorded, so nothing else runs again."""

_NOT_RECORDED = {
    "control_dependencies", "device", "name_scope", "op_scope", "explain", "train.global_step", "summary.FileWriter",
    "IndexedSlices", "VariableScope", "GraphKeys", "SparseTensorValue", "losses.Reduction",
    "contrib.seq2seq.BasicDecoderOutput", "contrib.rnn.LSTMStateTuple",
}  # fmt: skip
_FUNCTIONS = (FunctionType, MethodType, BuiltinFunctionType, partial)
_ITERATORS = (Iterator, KeysView, ValuesView, ItemsView)
_MARKS = ("recorded_name", "made_by", "of_the_program")
_SMALL = 2**16  # bytes: a larger array is shared with the constant that was made from it, if there is one

CLASSES: dict[type, str] = {}
"""The recorded classes with their names."""
EXTENDED: list[type] = []
"""The classes that a program may extend; what it overrides is recorded as its functions are."""
_PLAIN: set[type] = {int, float, bool, str, bytes, type(None), complex, slice, type(Ellipsis)}
_SNAPSHOTS: dict[type, Callable[[Any], Any]] = {}


class Entry:
    """A call by which a program changed a graph.

    Attributes:
        name: The registered name of the function or class, or the name of the method.
        target: The object whose method it is; None for a function or class.
        args, options: Its arguments as they were at the call.
        graph: The graph that it changed.
        state: What was open: the scope of names, the control inputs, the seed and the scope of variables.
        first, last: The numbers of the operations that it made: from the first, before the last.
        calls: The functions of the program that it called, in order.
        failed: Whether it raised an error.
        changed: Whether it changed the graph.
    """

    __slots__ = ("args", "calls", "changed", "failed", "first", "graph", "last", "name", "options", "state", "target")

    def __init__(self, name: str, target: Any, args: Any, options: Any, graph: Any) -> None:
        self.name, self.target, self.args, self.options, self.graph = name, target, args, options, graph
        scope = graph.variable_scope
        self.state = (
            graph.scope, graph.controls, graph.seed,
            None if scope is None else (scope.scope, scope.original_name_scope, scope.regularizer),
        )  # fmt: skip
        self.first = self.last = len(graph.operations)
        self.calls: list[Called] = []
        self.failed = self.changed = False


class Snapshot:
    """The state of an object at the time of a call: its kind, and its parts."""

    __slots__ = ("kind", "parts")

    def __init__(self, kind: str, *parts: Any) -> None:
        self.kind, self.parts = kind, parts


class Called:
    """A call of a program's function, or of a method of its own class, within a recorded call."""

    __slots__ = ("entries", "failed", "name", "owner", "result")

    def __init__(self, owner: Any, name: str, entries: list[Entry]) -> None:
        self.owner, self.name, self.entries = owner, name, entries
        self.result: Any = None
        self.failed = False


class Large:
    """A large array; it is copied, or found in the graph, after the call that it was given to."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array


class _Local(threading.local):
    def __init__(self) -> None:
        self.large: list[Large] = []

    depth = 0  # of recorded calls in each other
    entry: Entry | None = None  # the innermost one
    inner: list[Entry] | None = None  # the entries of the program's function that this one is calling


LOCAL = _Local()
_CURRENT: list[Callable[[], Any]] = []


def graphs_by(default_graph: Callable[[], Any]) -> None:
    """Says how the graph in which operations are made is found."""
    _CURRENT[:] = [default_graph]


def plain(*kinds: type) -> None:
    """Says of types that their values need no copy."""
    _PLAIN.update(kinds)


def snapshot(kind: type, function: Callable[[Any], Any]) -> None:
    """Says how the state of an object at the time of a call is kept."""
    _SNAPSHOTS[kind] = function


def registered(thing: Any, name: str) -> Any:
    """What a program gets for a thing that is registered under a name: the thing itself, or one that is recorded."""
    module = getattr(thing, "__module__", None) or ""
    if not module.startswith("holdfast.tf1.graph.") or module.rpartition(".")[2] not in _MODULES:
        return thing
    if name in _NOT_RECORDED or name.startswith(("python.framework.ops.", "colocate")):
        return thing
    if isinstance(thing, type):
        if thing not in CLASSES and not issubclass(thing, BaseException):
            CLASSES[thing] = name
            _record_constructor(thing, name)
        return thing
    if not isinstance(thing, FunctionType) or hasattr(thing, "recorded_name"):
        return thing
    return _with_callbacks(thing) if name == "variable_scope" else _function(thing, name)


def _function(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if LOCAL.depth:
            return function(*args, **options)
        return _outermost(function, name, None, args, options, _CURRENT[0]())

    call.recorded_name = name  # type: ignore[attr-defined]
    return call


def _with_callbacks(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that opens a scope: it has no entry, but what the program gives it may be called back later."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        given = [_kept(value)[0] for value in args]
        return function(*given, **{key: _kept(value)[0] for key, value in options.items()})

    return call


def method(function: F) -> F:
    """Records a method that makes operations; a ``.meta`` file can call it again."""

    @wraps(function)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        if LOCAL.depth:
            return function(self, *args, **options)
        graph = getattr(self, "graph", None) or _CURRENT[0]()

        def bound(*given: Any, **more: Any) -> Any:
            return function(self, *given, **more)

        return _outermost(bound, function.__name__, self, args, options, graph)

    call.recorded_method = True  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


def graph_method(function: F) -> F:
    """:func:`method` of a graph."""

    @wraps(function)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        if LOCAL.depth:
            return function(self, *args, **options)
        return _outermost(partial(function, self), function.__name__, self, args, options, self)

    call.recorded_method = True  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


def _record_constructor(cls: Any, name: str) -> None:
    if "__new__" in vars(cls) and not hasattr(cls, "_fields"):
        new = cls.__new__

        def made(kind: type, *args: Any, **options: Any) -> Any:
            if LOCAL.depth or kind is not cls:
                return new(kind, *args, **options)
            return _outermost(partial(new, kind), name, None, args, options, _CURRENT[0]())

        cls.__new__ = staticmethod(wraps(new)(made))
    if "__init__" not in vars(cls):
        return
    init = cls.__init__

    def initialized(self: Any, *args: Any, **options: Any) -> None:
        if LOCAL.depth:
            init(self, *args, **options)
            return
        own = is_own(type(self))
        kind = name if own else CLASSES.get(type(self), name)

        def bound(*given: Any, **more: Any) -> None:
            init(self, *given, **more)

        _outermost(bound, kind, self if own else None, args, options, _CURRENT[0](), made=self)

    cls.__init__ = wraps(init)(initialized)


def is_own(kind: type) -> bool:
    """Whether a class is a program's own, which extends one of Holdfast's."""
    return not kind.__module__.startswith("holdfast.")


def extended(cls: C) -> C:
    """Records what a program's subclasses override, when a recorded call calls it."""

    def init_subclass(kind: Any, **options: Any) -> None:
        super(cls, kind).__init_subclass__(**options)
        if not is_own(kind):
            return
        for name, value in list(vars(kind).items()):
            if isinstance(value, FunctionType) and (not name.startswith("__") or name == "__call__"):
                setattr(kind, name, _own(name, value))
            elif isinstance(value, property) and value.fget is not None:
                setattr(kind, name, property(_own(name, value.fget), value.fset, value.fdel, value.__doc__))

    cls.__init_subclass__ = classmethod(init_subclass)  # type: ignore[assignment]
    EXTENDED.append(cls)
    return cls


def _own(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        if not LOCAL.depth:
            return function(self, *args, **options)
        return _called(self, name, partial(function, self), args, options)

    call.own = True  # type: ignore[attr-defined]
    return call


def _callback(function: Any) -> Callable[..., Any]:
    """A function of the program, whose calls by recorded calls are recorded too."""

    def call(*args: Any, **options: Any) -> Any:
        if not LOCAL.depth:
            return function(*args, **options)
        return _called(call, "", function, args, options)

    inner = function.func if isinstance(function, partial) else function
    update_wrapper(call, inner)
    call.of_the_program = True  # type: ignore[attr-defined]
    return call


def _called(owner: Any, name: str, function: Callable[..., Any], args: Any, options: Any) -> Any:
    entry, before, depth = LOCAL.entry, LOCAL.inner, LOCAL.depth
    assert entry is not None
    record = Called(owner, name, [])
    entry.calls.append(record)
    LOCAL.depth, LOCAL.inner = 0, record.entries
    try:
        result, record.result = _kept(function(*args, **options))
        return result
    except BaseException:
        record.failed = True
        raise
    finally:
        LOCAL.depth, LOCAL.inner, LOCAL.entry = depth, before, entry


def _outermost(
    function: Callable[..., Any], name: str, target: Any, args: Any, options: Any, graph: Any, made: Any = None
) -> Any:
    """Runs a call of the program and keeps an entry of it, if it changes the graph or makes an object."""
    pairs = [_kept(value) for value in args]
    named = {key: _kept(value) for key, value in options.items()}
    stored = [pair[1] for pair in pairs]
    entry = Entry(name, target, stored, {key: pair[1] for key, pair in named.items()}, graph)
    before, parent = graph.changes, LOCAL.entry
    LOCAL.depth, LOCAL.entry = 1, entry
    try:
        result = function(*[pair[0] for pair in pairs], **{key: pair[0] for key, pair in named.items()})
    except BaseException:
        entry.failed = True
        raise
    finally:
        LOCAL.depth, LOCAL.entry = 0, parent
        if LOCAL.large:
            _settle(graph, entry.first)
        if graph.changes != before:
            _keep(entry)
    _remember(result if made is None else made, entry)
    return result


def _keep(entry: Entry) -> None:
    graph, parent = entry.graph, LOCAL.entry
    entry.changed, entry.last = True, len(graph.operations)
    within = LOCAL.inner is not None and parent is not None and parent.graph is graph
    (LOCAL.inner if within else graph.tape).append(entry)


def _remember(made: Any, entry: Entry) -> None:
    """Lets an object know which call made it."""
    if type(made) in _PLAIN or type(made) in _SNAPSHOTS:
        return
    known = isinstance(made, FunctionType) or type(made) in CLASSES or isinstance(made, tuple(EXTENDED))
    if known and "made_by" not in vars(made):
        made.made_by = entry


def scope_opened(graph: Any, name: str, again: bool) -> int | None:
    """Keeps that the program opened a scope of variables; returns a number for :func:`scope_closed`, or None."""
    if LOCAL.depth:
        return None
    graph.changes += 1
    _keep(Entry("scope opened", None, [graph.changes, name, again], {}, graph))
    number: int = graph.changes
    return number


def scope_closed(graph: Any, number: int | None) -> None:
    """Keeps that a scope was closed."""
    if number is not None:
        _keep(Entry("scope closed", None, [number], {}, graph))


def _kept(value: Any) -> tuple[Any, Any]:
    """What a call gets for a value of the program, and what its entry keeps of it."""
    kind = type(value)
    if kind in _PLAIN:
        return value, value
    if isinstance(value, _ITERATORS):
        return _kept(list(value))
    if kind is list or kind is tuple or (isinstance(value, tuple) and hasattr(value, "_fields")):
        pairs = [_kept(part) for part in value]
        same = all(pair[0] is part for pair, part in zip(pairs, value, strict=True))
        build: Any = kind if kind is list or kind is tuple else kind._make
        return value if same else build([pair[0] for pair in pairs]), build([pair[1] for pair in pairs])
    if isinstance(value, dict):
        parts = {key: _kept(part) for key, part in value.items()}
        same = all(pair[0] is value[key] for key, pair in parts.items())
        given = value if same else {key: pair[0] for key, pair in parts.items()}
        return given, {key: pair[1] for key, pair in parts.items()}
    if kind is np.ndarray:
        if value.nbytes <= _SMALL:
            return value, value.copy()
        large = Large(value)
        LOCAL.large.append(large)
        return value, large
    if kind in _SNAPSHOTS:
        return value, _SNAPSHOTS[kind](value)
    if isinstance(value, _FUNCTIONS) and not any(hasattr(value, mark) for mark in _MARKS):
        wrapped = _callback(value)
        return wrapped, wrapped
    return value, value


def _settle(graph: Any, first: int) -> None:
    """Keeps large arrays: as the constants that the call made from them, or else as copies."""
    waiting, LOCAL.large = LOCAL.large, []
    for large in waiting:
        made = (op.settings["value"] for op in graph.operations[first:] if op.type == "Const")
        same = (value.numpy() for value in made if tuple(value.shape) == large.array.shape)
        shared = next((array for array in same if array.dtype == large.array.dtype), None)
        equal = shared is not None and np.array_equal(shared, large.array, equal_nan=shared.dtype.kind == "f")
        large.array = shared if equal else large.array.copy()
