"""The entries of :mod:`recording`: calls of a program, what they call back, and where a thread is."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

State = tuple[str, list[Any], Any, Any, Any, Any]
"""What is open at a call: the scope of names, the control inputs, the seed; and of the scope of variables the scope
itself, its scope of names and its regularizer, all None before there is one."""


class Entry:
    """A call by which a program changed a graph.

    Attributes:
        name: The registered name of the function or class, or the name of the method.
        target: The object whose method it is; None for a function or class.
        args, options: Its arguments as they were at the call.
        graph: The graph that it changed.
        state: What was open.
        first, last: The numbers of the operations that it made: from the first, before the last.
        calls: The functions of the program that it called, in order.
        failed: Whether it raised an error.
        changed: Whether it changed the graph.
    """

    __slots__ = ("args", "calls", "changed", "failed", "first", "graph", "last", "name", "options", "state", "target")

    def __init__(self, name: str, target: Any, args: Any, options: Mapping[str, Any], graph: Any) -> None:
        self.name, self.target, self.args, self.options, self.graph = name, target, args, options, graph
        self.state = state_of(graph)
        self.first = self.last = len(graph.operations)
        self.calls: list[Called] | tuple[()] = ()
        self.failed = self.changed = False

    def __deepcopy__(self, memo: Any) -> Entry:
        return self  # a copy of a cell was made by the same call, in the same graph


def state_of(graph: Any) -> State:
    """What is open, in one tuple for all calls between which nothing changes."""
    last: State = graph.last_state
    scope = graph.variable_scope
    inner, names, regularizer = (
        (None, None, None) if scope is None else (scope.scope, scope.original_name_scope, scope.regularizer)
    )
    if (
        last[3] is inner and last[0] == graph.scope and last[1] is graph.controls and last[2] == graph.seed
        and last[4] == names and last[5] is regularizer
    ):  # fmt: skip
        return last
    graph.last_state = last = (graph.scope, graph.controls, graph.seed, inner, names, regularizer)
    return last


class Snapshot:
    """The state of an object at the time of a call: its kind, and its parts."""

    __slots__ = ("kind", "parts")

    def __init__(self, kind: str, *parts: Any) -> None:
        self.kind, self.parts = kind, parts


class Called:
    """A call of a program's function, or of a method of its own class, within a recorded call.

    Attributes:
        owner: The function, or the object.
        name: The name of the method; empty for a function.
        entries: What it did.
        result: What it returned.
        failed: Whether it raised an error.
    """

    __slots__ = ("entries", "failed", "name", "owner", "result")

    def __init__(self, owner: Any, name: str) -> None:
        self.owner, self.name = owner, name
        self.entries: list[Entry] = []
        self.result: Any = None
        self.failed = False


class Large:
    """A large array; it is copied, or found in the graph, after the call that it was given to."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array


class Now:
    """Where a thread is.

    Attributes:
        depth: Whether a recorded call is running, and not a function of the program within it.
        entry: The innermost recorded call.
        inner: The entries of the function of the program that this call is calling; None for the graph's own.
        large: The large arrays that the call was given.
    """

    __slots__ = ("depth", "entry", "inner", "large")

    def __init__(self) -> None:
        self.depth = False
        self.entry: Entry | None = None
        self.inner: list[Entry] | None = None
        self.large: list[Large] = []


class _Local(threading.local):
    def __init__(self) -> None:
        self.now = Now()


LOCAL = _Local()
