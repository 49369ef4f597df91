"""The calls that made a graph, as JSON and arrays: the content of a ``.meta`` file.

The format, version 1, is a container of :mod:`holdfast.files.container` with the kind ``tf1 graph``. Its tensor
``graph`` has the bytes of a JSON object; the others are the arrays that the calls were given, by their numbers.

========== =============================================================================================================
key        content
========== =============================================================================================================
calls      the calls in order; each an object: ``do`` its name; ``on`` whose method it is; ``args`` and ``options``;
           ``state`` the number of its state; ``back`` the functions of the program that it called: the owner, the name
           of the method, the calls in it, the result, whether it failed; ``failed`` whether the call itself failed
states     what was open at a call: the scope of names, the control inputs, the seed, the scope of variables
classes    the classes of the program: name, base, names of methods and properties, values of attributes
operations each operation: name, type, inputs, control inputs, dtypes and sizes of outputs, number of its line
lines      the lines of the program
saver      the names of the saved variables and the options of the ``Saver``; null without variables
left_out   what could not be stored and is not needed
refused    why the graph cannot be made again; null if it can
========== =============================================================================================================

Numbers, strings, true, false, null and lists are themselves. Everything else is an object with one key, the kind of the
value: ``{"tensor": "x:0"}``. A call's result is ``{"result": NUMBER}``: calls are numbered in the order in which they
begin.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from holdfast.tf1.graph.call_entries import Called, Entry, Snapshot, State
from holdfast.tf1.graph.dtypes import as_dtype
from holdfast.tf1.graph.graph import Graph
from holdfast.tf1.graph.meta_values_written import TYPES, CannotStoreError, ValueWriter
from holdfast.tf1.graph.nested import flatten, is_structure
from holdfast.tf1.graph.recorded_names import NEVER
from holdfast.tf1.graph.recording import CLASSES, EXTENDED, OWN, is_own
from holdfast.tf1.graph.shapes import Dimension

_NO_STATE: State = ("", [], None, None, None, None)
"""Of an object that was made in another graph."""
_FEW = 100
_RECENT = 100
"""The last states that a new one is compared with: an equal one is used again."""


class Writer(ValueWriter):
    """Puts the calls of a graph into JSON.

    Args:
        graph: The graph.

    Attributes:
        states, classes, left_out: As of the format.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.states: list[Any] = []
        self.classes: list[Any] = []
        self.left_out: list[str] = []
        self._results: dict[int, int] = {}  # the numbers of entries
        self._functions: dict[int, int] = {}
        self._own: dict[int, int] = {}
        self._known_states: dict[Any, int] = {}
        self._calls: list[Any] = []  # the list that is being written

    def calls(self, entries: list[Entry]) -> list[Any]:
        """The entries as JSON, with those of the objects that they need.

        Raises:
            CannotStoreError: One of them cannot be stored.
        """
        outer, self._calls = self._calls, []
        try:
            for entry in entries:
                self._call(entry)
            return self._calls
        finally:
            self._calls = outer

    def _call(self, entry: Entry) -> None:
        if id(entry) in self._results:
            return
        if entry.name in NEVER:
            raise CannotStoreError(f"{NEVER[entry.name]} ({self._line(entry)})")
        if entry.name == "add_to_collection":
            try:
                self.value(entry.args)
            except CannotStoreError as error:
                self.left_out.append(f"a value of collection {entry.args[0]!r}: {error}")
                return
        try:
            target = self.value(entry.target)
            if id(entry) in self._results:  # an object of the program's own class: its first call came with it
                return
            made = {
                "do": entry.name,
                "on": target,
                "args": [self.value(each) for each in entry.args],
                "options": {key: self.value(each) for key, each in entry.options.items()},
                "state": self._state(entry),
            }
        except CannotStoreError as error:
            raise error if "line " in str(error) else CannotStoreError(f"{error} ({self._line(entry)})") from None
        self._results[id(entry)] = len(self._results)
        self._calls.append({key: value for key, value in made.items() if value not in (None, [], {})})
        if entry.calls:
            self._calls[-1]["back"] = [self._back(each) for each in entry.calls]
        if entry.failed:
            self._calls[-1]["failed"] = True

    def _line(self, entry: Entry) -> str:
        operations = self.graph.operations[entry.first : entry.last] if entry.graph is self.graph else []
        return f"{operations[0].line}: tf.{entry.name}" if operations else f"tf.{entry.name}"

    def _back(self, called: Called) -> list[Any]:
        inner = self.calls(called.entries)
        outer, self._calls = self._calls, inner
        try:
            result = None if called.failed else self.value(called.result)
        finally:
            self._calls = outer
        return [self.value(called.owner), called.name, inner, result, called.failed]

    def _state(self, entry: Entry) -> int:
        stored = entry.state if entry.graph is self.graph else _NO_STATE
        if id(stored) not in self._known_states:
            scope, controls, seed, *variables = stored
            open_scope = None if variables[0] is None else self.value(Snapshot("scope", *variables))
            state = [scope, [op.name for op in controls], None if seed is None else int(seed), open_scope]
            if state not in self.states[-_RECENT:]:
                self.states.append(state)
            self._known_states[id(stored)] = len(self.states) - 1 - self.states[::-1].index(state)
        return self._known_states[id(stored)]

    def function(self, value: Any) -> Any:
        """A registered function, one that a call made, or one of the program."""
        if hasattr(value, "recorded_name"):
            return {"function": value.recorded_name}
        if hasattr(value, "made_by"):
            return self._result(value)
        if not hasattr(value, "of_the_program"):
            raise CannotStoreError(f"the function {getattr(value, '__name__', value)!r} is not one of the graph's")
        if (value.__module__ or "").startswith(("torch", "numpy")):
            raise CannotStoreError(f"the function {value.__module__}.{value.__name__} runs in each run")
        return {"callback": self._functions.setdefault(id(value), len(self._functions))}

    def _result(self, value: Any) -> Any:
        entry = value.made_by
        if id(entry) not in self._results:
            if entry.changed and entry.graph is not self.graph:
                raise CannotStoreError(f"{type(value).__name__} was made in another graph")
            self._call(entry)
        return {"result": self._results[id(entry)]}

    def object(self, value: Any) -> Any:
        """A class, or an object that a call made."""
        kind = type(value)
        if isinstance(value, type):
            if value in CLASSES:
                return {"class": CLASSES[value]}
            name = next((name for name, known in TYPES.items() if known is value), None)
            if name is not None:
                return {"type": name}
            if issubclass(value, np.generic):
                return {"type": as_dtype(value).name}
            raise CannotStoreError(f"the class {value.__name__} is not one of the graph's")
        if kind in OWN or (is_own(kind) and isinstance(value, tuple(EXTENDED))):
            return self._own_object(value)
        if hasattr(value, "made_by"):
            return self._result(value)
        if kind in CLASSES and not vars(value):
            value.made_by = Entry(CLASSES[kind], None, [], {}, self.graph)
            return self._result(value)
        raise CannotStoreError(f"an object of the class {kind.__name__} cannot be stored")

    def _own_object(self, value: Any) -> Any:
        """An object of a class of the program: its methods by their names, and what it has in place of its base's."""
        if id(value) in self._own:
            return {"own": self._own[id(value)]}
        kind = type(value)
        base = next(each for each in kind.__mro__ if not is_own(each) or each is object)
        names: list[list[str]] = [[], []]
        values: dict[str, Any] = {}
        known = {"made_by", "set_by_base", *getattr(value, "set_by_base", ())}
        own = kind.__mro__[: kind.__mro__.index(base)]
        parts = {name: part for each in reversed(own) for name, part in vars(each).items()}
        for name, part in {**parts, **vars(value)}.items():
            if hasattr(part, "own") or hasattr(getattr(part, "fget", None), "own"):
                names[isinstance(part, property)].append(name)
            elif name in known or name.startswith("__"):
                continue
            elif hasattr(base, name) or (base is object and _is_size(part)):
                values[name] = part
        number = self._own[id(value)] = len(self.classes)
        self.classes.append(None)
        stored = [[name, self.value(each)] for name, each in values.items()]
        self.classes[number] = [kind.__name__, CLASSES.get(base, base.__name__), *names, stored]
        if hasattr(value, "made_by"):
            self._call(value.made_by)
        return {"own": number}


def _is_size(value: Any) -> bool:
    """Whether a value is a number, a text, or a few of them, such as the size of a state."""
    leaves = flatten(value) if is_structure(value) and len(value) < _FEW else [value]
    return all(type(leaf) in (int, float, bool, str, Dimension) for leaf in leaves)
