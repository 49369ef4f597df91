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

import math
from types import FunctionType
from typing import Any

import numpy as np
import torch

from holdfast.tf1.graph.decoding_loops import BasicDecoderOutput
from holdfast.tf1.graph.differentiation import IndexedSlices
from holdfast.tf1.graph.dtypes import DType, as_dtype
from holdfast.tf1.graph.graph import Graph
from holdfast.tf1.graph.initial_values import Filled
from holdfast.tf1.graph.ordering import TopKV2
from holdfast.tf1.graph.recording import CLASSES, EXTENDED, Called, Entry, Large, Snapshot, is_own
from holdfast.tf1.graph.shapes import Dimension, TensorShape
from holdfast.tf1.graph.sparse_tensors import SparseTensor, SparseTensorValue
from holdfast.tf1.graph.tensors import Operation, Tensor
from holdfast.tf1.rnn_cell import LSTMStateTuple
from holdfast.tf1.variables import AUTO_REUSE, VariableScope

NAMED = {kind.__name__: kind for kind in (LSTMStateTuple, BasicDecoderOutput, SparseTensorValue, TopKV2)}
"""The classes of named tuples that files know by their names."""
TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
"""Python's types that stand for dtypes."""
_RECENT = 100
"""The last states that a new one is compared with: an equal one is used again."""
_NEVER = {"py_func": "tf.py_func runs a Python function in each run"}


class CannotStoreError(Exception):
    """A graph, or a value, that a ``.meta`` file cannot hold; the message says why."""


class Writer:
    """Puts the calls of a graph into JSON.

    Args:
        graph: The graph.

    Attributes:
        arrays: The arrays that the calls were given.
        states, classes, left_out: As of the format.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.arrays: list[np.ndarray[Any, Any]] = []
        self.states: list[Any] = []
        self.classes: list[Any] = []
        self.left_out: list[str] = []
        self._results: dict[int, int] = {}  # the numbers of entries
        self._functions: dict[int, int] = {}
        self._own: dict[int, int] = {}
        self._known_states: dict[Any, int] = {}
        self._arrays: dict[int, int] = {}
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
        if entry.name in _NEVER:
            raise CannotStoreError(f"{_NEVER[entry.name]} ({self._line(entry)})")
        target = entry.target
        if entry.name == "add_to_collection":
            try:
                self.value(entry.args)
            except CannotStoreError as error:
                self.left_out.append(f"a value of collection {entry.args[0]!r}: {error}")
                return
        try:
            made = {
                "do": entry.name,
                "on": self.value(target),
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
        scope, controls, seed, variables = entry.state
        if entry.graph is not self.graph:
            scope, controls, seed, variables = "", [], None, None
        key = (scope, tuple(controls), seed, variables and (id(variables[0]), variables[1], id(variables[2])))
        if key not in self._known_states:
            names = [op.name for op in controls]
            open_scope = None if variables is None else self.value(Snapshot("scope", *variables))
            state = [scope, names, None if seed is None else int(seed), open_scope]
            if state not in self.states[-_RECENT:]:
                self.states.append(state)
            self._known_states[key] = len(self.states) - 1 - self.states[::-1].index(state)
        return self._known_states[key]

    def value(self, value: Any) -> Any:
        """A value as JSON.

        Raises:
            CannotStoreError: It cannot be stored.
        """
        if value is None or value is True or value is False or type(value) in (int, str):
            return value
        if isinstance(value, float) and not isinstance(value, np.generic):
            return float(value) if math.isfinite(value) else {"float": str(float(value))}
        if isinstance(value, Tensor | Operation):
            return self._node(value)
        if isinstance(value, list):
            return [self.value(each) for each in value]
        if isinstance(value, tuple):
            return self._tuple(value)
        if isinstance(value, dict):
            return {"dict": [[self.value(key), self.value(each)] for key, each in value.items()]}
        for kinds, write in _WRITERS:
            if isinstance(value, kinds):
                return write(self, value)
        return self._object(value)

    def _node(self, value: Tensor | Operation) -> Any:
        if value.graph is not self.graph:
            raise CannotStoreError(f"{value.name} is of another graph")
        return {"tensor" if isinstance(value, Tensor) else "operation": value.name}

    def _tuple(self, value: Any) -> Any:
        parts = [self.value(each) for each in value]
        if isinstance(value, SparseTensor):
            return {"sparse": parts}
        if hasattr(value, "_fields"):
            own = NAMED.get(type(value).__name__) is not type(value)
            return {"named": [type(value).__name__, list(value._fields) if own else None, parts]}
        return {"tuple": parts}

    def _function(self, value: Any) -> Any:
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

    def _object(self, value: Any) -> Any:
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
        if is_own(kind) and isinstance(value, tuple(EXTENDED)):
            return self._own_object(value)
        if hasattr(value, "made_by"):
            return self._result(value)
        if kind in CLASSES and not vars(value):
            value.made_by = Entry(CLASSES[kind], None, [], {}, self.graph)
            return self._result(value)
        raise CannotStoreError(f"an object of the class {kind.__name__} cannot be stored")

    def _own_object(self, value: Any) -> Any:
        if id(value) in self._own:
            return {"own": self._own[id(value)]}
        kind = type(value)
        base = next(each for each in kind.__mro__ if not is_own(each))
        if base not in CLASSES and base not in EXTENDED:
            raise CannotStoreError(f"an object of the class {kind.__name__} cannot be stored")
        names: list[list[str]] = [[], []]
        values: dict[str, Any] = {}
        parts = {name: part for each in reversed(kind.__mro__) if is_own(each) for name, part in vars(each).items()}
        for name, part in {**parts, **vars(value)}.items():
            if hasattr(part, "own") or hasattr(getattr(part, "fget", None), "own"):
                names[isinstance(part, property)].append(name)
            elif hasattr(base, name) and not name.startswith("__") and name != "made_by":
                values[name] = part
        number = self._own[id(value)] = len(self.classes)
        self.classes.append(None)
        stored = [[name, self.value(each)] for name, each in values.items()]
        self.classes[number] = [kind.__name__, CLASSES.get(base, base.__name__), *names, stored]
        if hasattr(value, "made_by"):
            self._call(value.made_by)
        return {"own": number}

    def array(self, value: Any) -> Any:
        """An array: its number, or its strings."""
        array = value.array if isinstance(value, Large) else value
        if array.dtype.kind in "OSU":
            parts = array.ravel().tolist()
            if not all(isinstance(part, str | bytes) for part in parts):
                raise CannotStoreError("an array of objects cannot be stored")
            return {"strings": [list(array.shape), [self.value(part) for part in parts]]}
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise CannotStoreError(f"an array of {array.dtype.name} cannot be stored")
        if id(array) not in self._arrays:
            self._arrays[id(array)] = len(self.arrays)
            self.arrays.append(array)
        return {"array": self._arrays[id(array)]}


def _slice(writer: Writer, value: slice) -> Any:
    return {"slice": [writer.value(each) for each in (value.start, value.stop, value.step)]}


def _number(writer: Writer, value: np.generic) -> Any:
    if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
        return writer.array(np.asarray(value)) if value.dtype.kind in "OSU" else writer._object(value)
    return {"number": [value.dtype.name, writer.value(value.item())]}


def _slices(writer: Writer, value: IndexedSlices) -> Any:
    return {"rows": [writer.value(each) for each in (value.values, value.indices, value.dense_shape, value.rows)]}


def _scope(writer: Writer, value: VariableScope) -> Any:
    return [value.name, {"auto": None} if value.reuse is AUTO_REUSE else value.reuse, writer.value(value.initializer)]


def _graph(writer: Writer, value: Graph) -> Any:
    if value is not writer.graph:
        raise CannotStoreError("another graph is an argument")
    return {"graph": None}


def _snapshot(writer: Writer, value: Snapshot) -> Any:
    first, *rest = value.parts
    start = _scope(writer, first) if value.kind == "scope" else [writer.value(first)]
    return {value.kind: [*start, *(writer.value(each) for each in rest)]}


_WRITERS: list[tuple[Any, Any]] = [
    (str, lambda writer, value: str(value)),
    (bytes, lambda writer, value: {"bytes": value.hex()}),
    (DType, lambda writer, value: {"dtype": value.name}),
    (torch.dtype, lambda writer, value: {"dtype": as_dtype(value).name}),
    (np.dtype, lambda writer, value: {"dtype": as_dtype(value).name}),
    (np.ndarray | Large, Writer.array),
    (np.generic, _number),
    (torch.Tensor, lambda writer, value: writer.array(value.detach().numpy())),
    (slice, _slice),
    (type(Ellipsis), lambda writer, value: {"ellipsis": None}),
    (range, lambda writer, value: {"range": [value.start, value.stop, value.step]}),
    (TensorShape, lambda writer, value: {"shape": value.dims and [size.value for size in value.dims]}),
    (Dimension, lambda writer, value: {"dimension": value.value}),
    (Graph, _graph),
    (type(AUTO_REUSE), lambda writer, value: {"auto": None}),
    (IndexedSlices, _slices),
    (Snapshot, _snapshot),
    (Filled, lambda writer, value: {"filled": writer.value(value.function)}),
    (FunctionType, Writer._function),
]
