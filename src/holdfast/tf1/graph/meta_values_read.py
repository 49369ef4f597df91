"""Values from the JSON and the arrays of a ``.meta`` file; :mod:`meta_writer` has the format."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from holdfast.errors import ModelFileError
from holdfast.tf1.graph.differentiation import IndexedSlices
from holdfast.tf1.graph.dtypes import as_dtype
from holdfast.tf1.graph.graph import Graph
from holdfast.tf1.graph.initial_values import as_initializer
from holdfast.tf1.graph.meta_values_written import NAMED, TYPES
from holdfast.tf1.graph.names import find
from holdfast.tf1.graph.recording import CLASSES
from holdfast.tf1.graph.scopes import VariableScope
from holdfast.tf1.graph.shapes import Dimension, TensorShape
from holdfast.tf1.graph.sparse_tensors import SparseTensor
from holdfast.tf1.graph.tensor_arrays import TensorArray
from holdfast.tf1.graph.tensors import Tensor
from holdfast.tf1.variables import AUTO_REUSE
from holdfast.tf1.variables import VariableScope as Scope

DEEPEST = 60  # lists and objects in each other, and calls
_MOST_FIELDS = 1000  # of a named tuple
_LONGEST = 10_000_000  # a range


class ValueReader:
    """Makes values from JSON.

    Args:
        graph: The graph whose tensors the values name.
        arrays: The arrays of the file.
    """

    def __init__(self, graph: Graph, arrays: list[np.ndarray[Any, Any]]) -> None:
        self.graph, self.arrays = graph, arrays

    def value(self, stored: Any, depth: int = 0) -> Any:
        """A value from JSON."""
        if depth > DEEPEST:
            raise ModelFileError(f"values are in each other more than {DEEPEST} deep")
        if isinstance(stored, list):
            return [self.value(each, depth + 1) for each in stored]
        if not isinstance(stored, dict):
            return stored
        if len(stored) != 1:
            raise ModelFileError(f"a value has {len(stored)} kinds")
        ((kind, content),) = stored.items()
        if kind not in _READERS:
            raise ModelFileError(f"there is no kind of value {kind!r}")
        if kind in _WITH_PARTS:
            content = [self.value(each, depth + 1) for each in content]
        return _READERS[kind](self, content)

    def array(self, number: int) -> np.ndarray[Any, Any]:
        """An array of the file."""
        if not isinstance(number, int) or not 0 <= number < len(self.arrays):
            raise ModelFileError(f"there is no array {number!r}")
        return self.arrays[number]

    @staticmethod
    def registered(name: Any) -> Callable[..., Any]:
        """A function or class that makes operations."""
        thing: Any = find(name) if isinstance(name, str) else None
        known = thing in CLASSES if isinstance(thing, type) else isinstance(thing, FunctionType)
        if not known or not (isinstance(thing, type) or hasattr(thing, "recorded_name")):
            raise ModelFileError(f"{name!r} is not a function that makes a graph")
        function: Callable[..., Any] = thing
        return function

    def result(self, number: int) -> Any:
        """What a call made."""
        raise NotImplementedError

    def callback(self, number: int) -> Callable[..., Any]:
        """A function of the program."""
        raise NotImplementedError

    def own(self, number: int) -> Any:
        """An object of a class of the program."""
        raise NotImplementedError


def _named(reader: ValueReader, content: Any) -> Any:
    name, fields, parts = content
    values = [reader.value(each) for each in parts]
    if fields is not None and len(fields) > _MOST_FIELDS:
        raise ModelFileError(f"a named tuple has {len(fields)} fields")
    kind: Any = NAMED[name] if fields is None else namedtuple(name, fields)
    return kind._make(values)


def _scope(reader: ValueReader, content: Any) -> VariableScope:
    name, reuse, initializer, names, regularizer = content
    if not isinstance(name, str) or (reuse is not AUTO_REUSE and not isinstance(reuse, bool | None)):
        raise ModelFileError(f"{name!r} is not a scope of variables")
    return VariableScope(Scope(name, reuse, initializer), str(names), regularizer)


def _rows(reader: ValueReader, content: Any) -> IndexedSlices:
    made = IndexedSlices(*content[:3])
    made.rows = content[3]
    return made


def _tensor_array(reader: ValueReader, content: Any) -> TensorArray:
    dtype, flow, sizes, count = content
    if not isinstance(flow, Tensor):
        raise ModelFileError("a TensorArray has no tensor")
    made = TensorArray(dtype, flow=flow)
    made.element_shape, made._count = None if sizes is None else tuple(sizes), count
    return made


def _range(reader: ValueReader, content: Any) -> range:
    made = range(*content)
    if len(made) > _LONGEST:
        raise ModelFileError(f"a range has {len(made)} numbers")
    return made


def _number(reader: ValueReader, content: Any) -> Any:
    return np.dtype(as_dtype(content[0]).as_numpy_dtype).type(reader.value(content[1]))


def _strings(reader: ValueReader, content: Any) -> Any:
    sizes, parts = content
    made = np.empty(len(parts), np.object_)
    made[:] = [reader.value(each) for each in parts]
    return made.reshape(sizes)


_READERS: dict[str, Callable[[ValueReader, Any], Any]] = {
    "float": lambda reader, content: float(content),
    "tensor": lambda reader, content: reader.graph.get_tensor_by_name(content),
    "operation": lambda reader, content: reader.graph.get_operation_by_name(content),
    "tuple": lambda reader, content: tuple(content),
    "dict": lambda reader, content: {_hashable(key): each for key, each in content},
    "sparse": lambda reader, content: tuple.__new__(SparseTensor, content),
    "named": _named,
    "function": lambda reader, content: reader.registered(content),
    "class": lambda reader, content: reader.registered(content),
    "result": lambda reader, content: reader.result(content),
    "callback": lambda reader, content: reader.callback(content),
    "own": lambda reader, content: reader.own(content),
    "type": lambda reader, content: TYPES[content] if content in TYPES else as_dtype(content).as_numpy_dtype,
    "bytes": lambda reader, content: bytes.fromhex(content),
    "dtype": lambda reader, content: as_dtype(content),
    "array": ValueReader.array,
    "strings": _strings,
    "number": _number,
    "slice": lambda reader, content: slice(*content),
    "ellipsis": lambda reader, content: ...,
    "range": _range,
    "shape": lambda reader, content: TensorShape(content),
    "dimension": lambda reader, content: Dimension(content),
    "graph": lambda reader, content: reader.graph,
    "auto": lambda reader, content: AUTO_REUSE,
    "rows": _rows,
    "scope": _scope,
    "tensor_array": _tensor_array,
    "filled": lambda reader, content: as_initializer(content[0]),
}
_WITH_PARTS = {"tuple", "dict", "sparse", "slice", "rows", "scope", "tensor_array", "filled"}


def _hashable(key: Any) -> Any:
    if isinstance(key, list | dict):
        raise ModelFileError("a key of a dict is a list")
    return key
