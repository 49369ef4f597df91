"""Makes a graph again from the calls in a ``.meta`` file.

Only registered functions, classes and methods that make operations are called (:mod:`recording` lists them), with
values of the kinds that :mod:`meta_writer` writes. What a file says is checked where it is used, and each call must
make the operations that the file lists; so a file cannot do more than a program could do to a graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from holdfast.errors import HoldfastError, ModelFileError
from holdfast.tf1.graph.graph import Graph
from holdfast.tf1.graph.meta_values_read import DEEPEST, ValueReader
from holdfast.tf1.graph.recording import CLASSES, EXTENDED
from holdfast.tf1.graph.scopes import GraphStore, VariableScope
from holdfast.tf1.graph.tensors import Operation
from holdfast.tf1.variables import VariableScope as Scope

_HELD = ("Const", "VariableV2")
_MOST_VALUES = 2**31
"""The largest number of values in all constants and variables of a file."""


class NotTheSameError(Exception):
    """The calls do not make the graph that was saved; the message says where."""


class Reader(ValueReader):
    """Makes the calls of a file again.

    Args:
        graph: The default graph.
        content: The JSON object of the file.
        arrays: The arrays of the file.

    Raises:
        NotTheSameError: A call does not make the operations that the file lists.
        ModelFileError: The content is damaged.
    """

    def __init__(self, graph: Graph, content: dict[str, Any], arrays: list[np.ndarray[Any, Any]]) -> None:
        super().__init__(graph, arrays)
        self.content = content
        self._operations = content["operations"]
        self._first = self._checked = len(graph.operations)
        self._limit()
        self._results: list[Any] = []
        self._callbacks: dict[int, Callable[..., Any]] = {}
        self._own: dict[int, Any] = {}
        self._own_bases: dict[int, type] = {}
        self._back: list[list[Any]] = []  # of each call that is running: what calls back
        self._open: dict[int, Any] = {}  # scopes of variables

    def _limit(self) -> None:
        """Keeps the graph from growing beyond what the file lists, as a call with other sizes would make it."""
        sizes = [_count(each) for *_, outputs, _ in self._operations for _, each in outputs]
        total = sum(_count(outputs[0][1]) for _, kind, *_, outputs, _ in self._operations if kind in _HELD)
        if total > _MOST_VALUES:
            raise ModelFileError(
                f"its constants and variables have {total:,} values; at most {_MOST_VALUES:,} are made"
            )
        self.graph.most_operations = self._first + len(self._operations)
        self.graph.most_values = max([*sizes, *(len(outputs) for *_, outputs, _ in self._operations), 1])

    def calls(self, calls: list[Any], depth: int = 0) -> None:
        """Makes calls."""
        if depth > DEEPEST:
            raise ModelFileError(f"calls are in each other more than {DEEPEST} deep")
        for call in calls:
            self._call(call)

    def _call(self, call: dict[str, Any]) -> None:
        name, args = call["do"], [self.value(each) for each in call.get("args", [])]
        options = {key: self.value(each) for key, each in call.get("options", {}).items()}
        function = self._callable(name, call)
        self._set_state(self.content["states"][call["state"]])
        number = len(self._results)
        self._results.append(None)
        self._back.append(list(reversed(call.get("back", []))))
        try:
            self._results[number] = function(*args, **options)
        except Exception as error:
            if not call.get("failed") or isinstance(error, ModelFileError | NotTheSameError):
                raise
        else:
            if call.get("failed"):
                raise NotTheSameError(f"the call of {name} did not fail")
        if self._back.pop():
            raise NotTheSameError(f"the call of {name} did not call the program's function")
        self._check_names()

    def _callable(self, name: str, call: dict[str, Any]) -> Callable[..., Any]:
        if name == "scope opened":
            return self._scope_opened
        if name == "scope closed":
            return self._scope_closed
        if "on" not in call:
            return self.registered(name)
        owner = call["on"]
        target = self.value(owner)
        kind: type = type(target)
        if isinstance(owner, dict) and "own" in owner:
            kind = self._own_bases[owner["own"]]
            if isinstance(name, str) and name in {CLASSES.get(each) for each in kind.__mro__}:
                init: Any = kind.__init__  # type: ignore[misc]
                return lambda *args, **options: init(target, *args, **options)
        method = getattr(kind, name, None) if isinstance(name, str) else None
        if not getattr(method, "recorded_method", False):
            raise ModelFileError(f"{name!r} is not a method of {kind.__name__} that makes a graph")
        return lambda *args, **options: method(target, *args, **options)  # type: ignore[misc]

    def _scope_opened(self, number: int, name: str, again: bool) -> None:
        self._open[number] = self._store().opened(name, again=again)
        self._open[number].__enter__()

    def _scope_closed(self, number: int) -> None:
        self._open.pop(number).__exit__(None, None, None)

    def _store(self) -> GraphStore:
        if self.graph.store is None:
            self.graph.store = GraphStore(self.graph)
        store: GraphStore = self.graph.store
        return store

    def _set_state(self, state: Any) -> None:
        scope, controls, seed, variables = state
        self._store()
        self.graph.scope, self.graph.seed = str(scope), None if seed is None else int(seed)
        self.graph.controls = [self.graph.get_operation_by_name(name) for name in controls]
        self.graph.variable_scope = VariableScope(Scope()) if variables is None else self.value(variables)

    def called_back(self, owner: Any, name: str) -> Any:
        """What a function of the program returned at this place."""
        if not self._back:
            raise HoldfastError(
                "A function of the program that made this graph runs in each run, so the graph that a .meta file holds "
                "cannot run it. Make the graph by the program's own code, and restore the checkpoint."
            )
        waiting = self._back[-1]
        if not waiting or waiting[-1][:2] != [owner, name]:
            raise NotTheSameError("a function of the program is called at another place")
        _, _, calls, result, failed = waiting.pop()
        graph = self.graph
        before = graph.scope, graph.controls, graph.seed, graph.variable_scope
        self.calls(calls, len(self._back))
        graph.scope, graph.controls, graph.seed, graph.variable_scope = before
        if failed:
            raise ValueError("a function of the program failed here when the graph was made")
        return self.value(result)

    def _check_names(self) -> None:
        """That the operations of the last call have the names that the file lists."""
        made = self.graph.operations
        for number in range(self._checked, len(made)):
            place = number - self._first
            expected = self._operations[place][0] if place < len(self._operations) else "no further operation"
            if made[number].name != expected:
                raise NotTheSameError(f"there is operation {made[number].name}; expected {expected}")
        self._checked = len(made)

    def result(self, number: int) -> Any:
        """What a call made."""
        return self._results[number]

    def callback(self, number: int) -> Callable[..., Any]:
        """A function of the program: it does what it did."""
        if number not in self._callbacks:

            def function(*args: Any, **options: Any) -> Any:
                return self.called_back({"callback": number}, "")

            self._callbacks[number] = function
        return self._callbacks[number]

    def own(self, number: int) -> Any:
        """An object of a class of the program, whose methods return what they returned."""
        if number in self._own:
            return self._own[number]
        name, base_name, methods, properties, values = self.content["classes"][number]
        bases: dict[str, type] = {CLASSES.get(each, each.__name__): each for each in (*EXTENDED, object)} | {
            known: each for each, known in CLASSES.items() if issubclass(each, tuple(EXTENDED))
        }  # fmt: skip
        if base_name not in bases or not str(name).isidentifier():
            raise ModelFileError(f"{name!r} is not a class that extends one of Holdfast's")
        owner, base = {"own": number}, bases[base_name]
        parts: dict[str, Any] = {"__module__": "a .meta file"}
        for each in [*methods, *properties, *(key for key, _ in values)]:
            if not str(each).isidentifier() or (each.startswith("__") and each != "__call__"):
                raise ModelFileError(f"{each!r} is not the name of a method")
        for each in methods:
            parts[each] = self._replayed(owner, each)
        for each in properties:
            parts[each] = property(self._replayed(owner, each))
        for each, value in values:
            parts[each] = self.value(value)
        kind: Any = type(str(name), (base,), parts)
        self._own_bases[number] = base
        self._own[number] = made = kind.__new__(kind)
        return made

    def _replayed(self, owner: Any, name: str) -> Callable[..., Any]:
        def function(itself: Any, *args: Any, **options: Any) -> Any:
            return self.called_back(owner, name)

        return function


def _count(sizes: Any) -> int:
    return math.prod(int(size or 0) for size in sizes or ())


def check(graph: Graph, first: int, content: dict[str, Any]) -> None:
    """Compares the operations of a graph, from number ``first``, with the list of a file; gives them their lines.

    Raises:
        NotTheSameError: An operation differs.
    """
    listed, lines = content["operations"], content["lines"]
    made = graph.operations[first:]
    if len(made) != len(listed):
        raise NotTheSameError(f"there are {len(made)} operations; expected {len(listed)}")
    for op, (*expected, line) in zip(made, listed, strict=True):
        if described(op) != expected:
            raise NotTheSameError(f"operation {op.name} is {described(op)}; expected {expected}")
        op.line = str(lines[line])


def described(op: Operation) -> list[Any]:
    """What a file says of an operation, but for the line that made it."""
    outputs = [
        [out.dtype.name, None if out.sizes is None else [_size(size) for size in out.sizes]] for out in op.outputs
    ]
    return [op.name, op.type, [each.name for each in op.inputs], [each.name for each in op.control_inputs], outputs]


def _size(size: Any) -> int | None:
    return None if size is None else int(size)
