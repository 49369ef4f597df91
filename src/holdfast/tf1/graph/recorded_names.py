"""Which functions, classes and methods make a graph: :mod:`recording` keeps them, a ``.meta`` file may call them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from types import FunctionType
from typing import Any, TypeVar

from holdfast.tf1.graph.call_entries import LOCAL
from holdfast.tf1.graph.recording import CLASSES, EXTENDED, is_own, record, record_methods, with_callbacks

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)

_MODULES = {
    "alignments", "arithmetic", "arrays", "bidirectional", "cells", "clipping", "conditional_fields", "conditions",
    "convert", "convolution_layers", "convolutions", "decoding_helpers", "decoding_loops", "dense_layers",
    "differentiation", "engine_cells", "filling", "free_loops", "indexing", "initial_values", "layer_functions",
    "legacy_decoders", "loops", "loops_over_rows", "loss_functions", "maths", "matrices", "measures", "networks",
    "normalizing", "older_arguments", "oldest_cells", "optimizer_rules", "optimizers", "ordering", "picking",
    "products", "randoms", "rearranging", "reductions", "regularised_optimizers", "regularizers", "rnn", "row_updates",
    "schedules", "scopes", "sequence_losses", "sparse_tensors", "summaries", "tensor_arrays", "variables",
    "wrapping_cells",
}  # fmt: skip
"""The modules whose functions and classes make operations. Nothing else is recorded, so nothing else runs again."""

_NOT_RECORDED = {
    "control_dependencies", "device", "name_scope", "op_scope", "explain", "train.global_step", "summary.FileWriter",
    "IndexedSlices", "VariableScope", "GraphKeys", "SparseTensorValue", "losses.Reduction",
    "contrib.seq2seq.BasicDecoderOutput", "contrib.rnn.LSTMStateTuple",
}  # fmt: skip
"""What makes no operations itself: scopes, whose state is part of each entry, and classes that are values."""

NEVER = {"py_func": "tf.py_func runs a Python function in each run"}
"""What is recorded, so that it is known, and never called by a file; with the reason."""


def registered(thing: Any, name: str) -> Any:
    """What a program gets for a thing that is registered under a name: the thing itself, or one that is recorded."""
    module = getattr(thing, "__module__", None) or ""
    if not module.startswith("holdfast.tf1.graph.") or module.rpartition(".")[2] not in _MODULES:
        return thing
    if name in _NOT_RECORDED:
        return thing
    if isinstance(thing, type):
        if thing not in CLASSES:
            CLASSES[thing] = name
            _record_constructor(thing, name)
        return thing
    if not isinstance(thing, FunctionType) or hasattr(thing, "recorded_name"):
        return thing
    return _scope(thing) if name == "variable_scope" else _function(thing, name)


def _function(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        now = LOCAL.now
        if now.depth:
            return function(*args, **options)
        return record(now, function, name, args, options)

    if name not in NEVER:
        call.recorded_name = name  # type: ignore[attr-defined]
    return call


def _scope(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that opens a scope. It has no entry; what the program gives it may be called back later."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        given = {key: with_callbacks(value) for key, value in options.items()}
        return function(*[with_callbacks(value) for value in args], **given)

    return call


def method(function: F) -> F:
    """Records a method that makes operations; a ``.meta`` file can call it again."""
    name = function.__name__

    @wraps(function)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        now = LOCAL.now
        if now.depth:
            return function(self, *args, **options)
        return record(now, function, name, args, options, self)

    call.recorded_method = True  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


def graph_method(function: F) -> F:
    """:func:`method` of a graph, or of a tensor whose graph it changes."""
    name = function.__name__

    @wraps(function)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        now = LOCAL.now
        if now.depth:
            return function(self, *args, **options)
        return record(now, function, name, args, options, self, getattr(self, "graph", self))

    call.recorded_method = True  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


def _record_constructor(cls: Any, name: str) -> None:
    if "__new__" in vars(cls):
        new = cls.__new__

        def made(kind: type, *args: Any, **options: Any) -> Any:
            now = LOCAL.now
            if now.depth or kind is not cls:
                return new(kind, *args, **options)
            return record(now, partial(new, kind), name, args, options)

        cls.__new__ = staticmethod(wraps(new)(made))
    if "__init__" not in vars(cls):
        return
    init = cls.__init__

    def initialized(self: Any, *args: Any, **options: Any) -> None:
        now = LOCAL.now
        if now.depth:
            init(self, *args, **options)
        elif is_own(type(self)):
            before = set(vars(self))
            record(now, init, name, args, options, self, made=self)
            self.set_by_base = vars(self).keys() - before
        else:
            record(now, partial(init, self), CLASSES.get(type(self), name), args, options, made=self)

    cls.__init__ = wraps(init)(initialized)


def extended(cls: C) -> C:
    """Records what a program's subclasses override, when a recorded call calls it."""
    base: type = cls

    def init_subclass(kind: type, /, **options: Any) -> None:
        super(base, kind).__init_subclass__(**options)  # type: ignore[arg-type]
        if is_own(kind):
            record_methods(kind)

    cls.__init_subclass__ = classmethod(init_subclass)  # type: ignore[assignment]
    EXTENDED.append(cls)
    return cls
