"""Values of a program as JSON and arrays, for ``.meta`` files; :mod:`meta_writer` has the format."""

from __future__ import annotations

import math
from types import FunctionType
from typing import Any

import numpy as np
import torch

from holdfast.tf1.graph.call_entries import Large, Snapshot
from holdfast.tf1.graph.decoding_loops import BasicDecoderOutput
from holdfast.tf1.graph.differentiation import IndexedSlices
from holdfast.tf1.graph.dtypes import DType, as_dtype
from holdfast.tf1.graph.graph import Graph
from holdfast.tf1.graph.initial_values import Filled
from holdfast.tf1.graph.ordering import TopKV2
from holdfast.tf1.graph.shapes import Dimension, TensorShape
from holdfast.tf1.graph.sparse_tensors import SparseTensor, SparseTensorValue
from holdfast.tf1.graph.tensors import Operation, Tensor
from holdfast.tf1.rnn_cell import LSTMStateTuple
from holdfast.tf1.variables import AUTO_REUSE, VariableScope

NAMED = {kind.__name__: kind for kind in (LSTMStateTuple, BasicDecoderOutput, SparseTensorValue, TopKV2)}
"""The classes of named tuples that files know by their names."""
TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
"""Python's types that stand for dtypes."""


class CannotStoreError(Exception):
    """A graph, or a value, that a ``.meta`` file cannot hold; the message says why."""


class ValueWriter:
    """Puts values into JSON. A subclass says how objects and functions are stored.

    Args:
        graph: The graph whose tensors are stored by their names.

    Attributes:
        arrays: The arrays among the values.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.arrays: list[np.ndarray[Any, Any]] = []
        self._arrays: dict[int, int] = {}

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
        return self.object(value)

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

    def function(self, value: Any) -> Any:
        """A function as JSON."""
        raise NotImplementedError

    def object(self, value: Any) -> Any:
        """Something else as JSON."""
        raise NotImplementedError

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


def _slice(writer: ValueWriter, value: slice) -> Any:
    return {"slice": [writer.value(each) for each in (value.start, value.stop, value.step)]}


def _number(writer: ValueWriter, value: np.generic) -> Any:
    if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
        return writer.array(np.asarray(value)) if value.dtype.kind in "OSU" else writer.object(value)
    return {"number": [value.dtype.name, writer.value(value.item())]}


def _slices(writer: ValueWriter, value: IndexedSlices) -> Any:
    return {"rows": [writer.value(each) for each in (value.values, value.indices, value.dense_shape, value.rows)]}


def _scope(writer: ValueWriter, value: VariableScope) -> Any:
    return [value.name, {"auto": None} if value.reuse is AUTO_REUSE else value.reuse, writer.value(value.initializer)]


def _graph(writer: ValueWriter, value: Graph) -> Any:
    if value is not writer.graph:
        raise CannotStoreError("another graph is an argument")
    return {"graph": None}


def _snapshot(writer: ValueWriter, value: Snapshot) -> Any:
    first, *rest = value.parts
    start = _scope(writer, first) if value.kind == "scope" else [writer.value(first)]
    return {value.kind: [*start, *(writer.value(each) for each in rest)]}


_WRITERS: list[tuple[Any, Any]] = [
    (str, lambda writer, value: str(value)),
    (bytes, lambda writer, value: {"bytes": value.hex()}),
    (DType, lambda writer, value: {"dtype": value.name}),
    (torch.dtype, lambda writer, value: {"dtype": as_dtype(value).name}),
    (np.dtype, lambda writer, value: {"dtype": as_dtype(value).name}),
    (np.ndarray | Large, ValueWriter.array),
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
    (Filled, lambda writer, value: {"filled": [writer.value(value.function)]}),
    (FunctionType, lambda writer, value: writer.function(value)),
]
