"""What a program does to make a graph, call by call: ``.meta`` files hold it, and make the graph again from it.

Each graph keeps a list of the calls by which the program changed it; :mod:`recorded_names` says which functions,
classes and methods count. Only the outermost call counts; what it calls itself follows from it. A function of the
program that such a call calls back, such as the body of a loop, has a list of its own within the call's entry. The
scopes that are open at a call are part of its entry, so that leaving and entering them need no entries.

Nothing here runs within a session: plans call the functions of operations, not those of the program.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from functools import partial, update_wrapper, wraps
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np

from holdfast.tf1.graph.call_entries import LOCAL, Called, Entry, Large, Now

_FUNCTIONS = (FunctionType, MethodType, BuiltinFunctionType, partial)
_MARKS = ("recorded_name", "made_by", "of_the_program")
_ITERATORS = (Iterator, KeysView, ValuesView, ItemsView)
_LIBRARIES = ("holdfast.", "torch", "numpy")  # not a program's own
_SMALL = 2**16  # bytes: a larger array is shared with the constant that was made from it, if there is one

CLASSES: dict[type, str] = {}
"""The recorded classes with their names."""
EXTENDED: list[type] = []
"""The classes that a program may extend; what it overrides is recorded as its functions are."""
OWN: set[type] = set()
"""The classes of a program that extend none of Holdfast's and are recorded too, as their objects were called."""
_PLAIN: set[type] = {int, float, bool, str, bytes, type(None), complex, slice, type(Ellipsis)}
_SNAPSHOTS: dict[type, Callable[[Any], Any]] = {}

_CURRENT: list[Callable[[], Any]] = []
NOTHING: Any = object()
"""Stands for an argument that there is not."""


def graphs_by(default_graph: Callable[[], Any]) -> None:
    """Says how the graph in which operations are made is found."""
    _CURRENT[:] = [default_graph]


def plain(*kinds: type) -> None:
    """Says of types that their values need no copy."""
    _PLAIN.update(kinds)


def snapshot(kind: type, function: Callable[[Any], Any]) -> None:
    """Says how the state of an object at the time of a call is kept."""
    _SNAPSHOTS[kind] = function


def record(
    now: Now, function: Callable[..., Any], name: str, args: tuple[Any, ...], options: dict[str, Any],
    target: Any = NOTHING, graph: Any = None, made: Any = None,
) -> Any:  # fmt: skip
    """Runs a call of the program and keeps an entry of it, if it changes the graph or makes an object.

    Args:
        now: Where the thread is.
        function: What is called.
        name: Its name in the entry.
        args, options: What the program gave it.
        target: The object whose method it is, which comes before the arguments.
        graph: The graph that it changes; None for the default one.
        made: The object that it makes; None for what it returns.
    """
    if graph is None:
        graph = _CURRENT[0]()
    stored: Any = args
    for value in args:
        if type(value) not in _PLAIN:
            pairs = [_kept(value) for value in args]
            args, stored = tuple([pair[0] for pair in pairs]), [pair[1] for pair in pairs]
            break
    stored_options: dict[str, Any] = options
    if options:
        both = {key: _kept(value) for key, value in options.items()}
        options = {key: pair[0] for key, pair in both.items()}
        stored_options = {key: pair[1] for key, pair in both.items()}
    kind = type(target)
    kept_target = None if target is NOTHING else _SNAPSHOTS[kind](target) if kind in _SNAPSHOTS else target
    entry = Entry(name, kept_target, stored, stored_options, graph)
    before, parent = graph.changes, now.entry
    now.depth, now.entry = True, entry
    try:
        result = function(*args, **options) if target is NOTHING else function(target, *args, **options)
    except BaseException:
        entry.failed = True
        raise
    finally:
        now.depth, now.entry = False, parent
        if now.large:
            _settle(now, graph, entry.first)
        if graph.changes != before:
            _keep(now, entry)
    object_made = result if made is None else made
    if type(object_made) not in _PLAIN:
        _remember(object_made, entry)
    return result


def _keep(now: Now, entry: Entry) -> None:
    graph = entry.graph
    entry.changed, entry.last = True, len(graph.operations)
    inner = now.inner if now.entry is not None and now.entry.graph is graph else None
    (graph.tape if inner is None else inner).append(entry)


def _remember(made: Any, entry: Entry) -> None:
    """Lets an object know which call made it."""
    known = isinstance(made, FunctionType) or type(made) in CLASSES or isinstance(made, tuple(EXTENDED))
    if known and type(made) not in _SNAPSHOTS and "made_by" not in vars(made):
        made.made_by = entry


def call_back(owner: Any, name: str, function: Callable[..., Any], args: Any, options: Any) -> Any:
    """Calls a function of the program within a recorded call, and keeps what it does."""
    now = LOCAL.now
    entry, before = now.entry, now.inner
    assert entry is not None
    called = Called(owner, name)
    entry.calls = [*entry.calls, called]
    now.depth, now.inner = False, called.entries
    try:
        result, called.result = _kept(function(*args, **options))
        return result
    except BaseException:
        called.failed = True
        raise
    finally:
        now.depth, now.inner, now.entry = True, before, entry


def _callback(function: Any) -> Callable[..., Any]:
    """A function of the program, whose calls by recorded calls are recorded too."""

    def call(*args: Any, **options: Any) -> Any:
        if not LOCAL.now.depth:
            return function(*args, **options)
        return call_back(call, "", function, args, options)

    update_wrapper(call, function.func if isinstance(function, partial) else function)
    call.of_the_program = True  # type: ignore[attr-defined]
    return call


def is_own(kind: type) -> bool:
    """Whether a class is a program's own, which extends one of Holdfast's."""
    return not kind.__module__.startswith("holdfast.")


def record_methods(kind: Any) -> None:
    """Records the methods and properties of a program's own class, when a recorded call calls them."""
    for name, value in list(vars(kind).items()):
        if isinstance(value, FunctionType) and (not name.startswith("__") or name == "__call__"):
            setattr(kind, name, _own(name, value))
        elif isinstance(value, property) and value.fget is not None:
            setattr(kind, name, property(_own(name, value.fget), value.fset, value.fdel, value.__doc__))


def _record_object(kind: Any) -> None:
    """:func:`record_methods` of a class whose objects act as a cell or a function, and that extends none of ours."""
    for each in kind.__mro__:
        if each is not object and each not in OWN and not each.__module__.startswith(_LIBRARIES):
            OWN.add(each)
            record_methods(each)


def _own(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        if not LOCAL.now.depth:
            return function(self, *args, **options)
        return call_back(self, name, partial(function, self), args, options)

    call.own = True  # type: ignore[attr-defined]
    return call


def with_callbacks(value: Any) -> Any:
    """A value of the program for a scope: the functions in it may be called back by later calls."""
    return _kept(value)[0]


def _kept(value: Any) -> tuple[Any, Any]:
    """What a call gets for a value of the program, and what its entry keeps of it."""
    kind = type(value)
    if kind in _PLAIN:
        return value, value
    if kind is list or kind is tuple or (isinstance(value, tuple) and hasattr(value, "_fields")):
        build: Any = kind if kind is list or kind is tuple else kind._make
        if all(type(part) in _PLAIN for part in value):
            return value, build(value)
        pairs = [_kept(part) for part in value]
        same = all(pair[0] is part for pair, part in zip(pairs, value, strict=True))
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
        LOCAL.now.large.append(large)
        return value, large
    if kind in _SNAPSHOTS:
        return value, _SNAPSHOTS[kind](value)
    if isinstance(value, _FUNCTIONS) and not any(hasattr(value, mark) for mark in _MARKS):
        wrapped = _callback(value)
        return wrapped, wrapped
    if callable(value) and isinstance(kind.__call__, FunctionType) and not kind.__module__.startswith(_LIBRARIES):
        _record_object(kind)
    return _kept(list(value)) if isinstance(value, _ITERATORS) else (value, value)


def _settle(now: Now, graph: Any, first: int) -> None:
    """Keeps large arrays: as the constants that the call made from them, or else as copies."""
    waiting, now.large = now.large, []
    for large in waiting:
        made = (op.settings["value"] for op in graph.operations[first:] if op.type == "Const")
        same = (value.numpy() for value in made if tuple(value.shape) == large.array.shape)
        shared = next((array for array in same if array.dtype == large.array.dtype), None)
        equal = shared is not None and np.array_equal(shared, large.array, equal_nan=shared.dtype.kind == "f")
        large.array = shared if equal else large.array.copy()


def scope_opened(graph: Any, name: str, again: bool) -> int | None:
    """Keeps that the program opened a scope of variables; returns a number for :func:`scope_closed`, or None."""
    now = LOCAL.now
    if now.depth:
        return None
    graph.changes += 1
    _keep(now, Entry("scope opened", None, [graph.changes, name, again], {}, graph))
    number: int = graph.changes
    return number


def scope_closed(graph: Any, number: int | None) -> None:
    """Keeps that a scope was closed."""
    if number is not None:
        _keep(LOCAL.now, Entry("scope closed", None, [number], {}, graph))
