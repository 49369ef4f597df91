"""The layers of converted networks without torch; :mod:`holdfast.interop.nodes` has the same as modules of torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from holdfast.cells.options import Kind
from holdfast.cells.parameter_names import layer_suffix
from holdfast.cells.spec import make_spec
from holdfast.errors import OptionError
from holdfast.layers.chain import Chain
from holdfast.layers.chain import parts as chain_parts
from holdfast.runtime.converted_operators import ACTIVATIONS, OPERATORS, softmax
from holdfast.runtime.network import Array, StreamNetwork
from holdfast.runtime.stream import Stream

Compute = Callable[..., tuple[Any, ...]]
"""From the inputs of a node, None for a missing one, to its outputs."""
_NOT_THE_CELLS = ("num_layers", "bidirectional", "merge", "residual", "reverse", "dropout", "locked_dropout")
_NOT_HERE = ("repeat", "stateful")
_MERGES: dict[str, Callable[[Array, Array], Array]] = {
    "concat": lambda a, b: np.concatenate((a, b), -1),
    "sum": np.add,
    "mean": lambda a, b: (a + b) / np.asarray(2, a.dtype),
    "product": np.multiply,
}


def make(kind: str, options: dict[str, Any], tensors: Mapping[str, Array], name: str) -> Compute:
    """What a node computes.

    Args:
        kind: The name of its class in :mod:`holdfast.interop.nodes`.
        options: The arguments of that class.
        tensors: Its tensors.
        name: Its name, for messages.

    Raises:
        OptionError: It is of a kind, or has an option, that is not computed here.
        LookupError: A tensor or an option is missing; or, as TypeError or ValueError, of another form.
    """
    if kind not in _KINDS:
        raise OptionError(f"The node {name!r} is a {kind}, which needs torch. {_WITH_TORCH}")
    return _KINDS[kind](options, tensors, name)


_WITH_TORCH = "Open the file with the whole of Holdfast: holdfast.interop.formats.read."


def _constant(options: dict[str, Any], tensors: Mapping[str, Array], name: str) -> Compute:
    value = tensors["value"]
    return lambda: (value,)


def _operator(options: dict[str, Any], tensors: Mapping[str, Array], name: str) -> Compute:
    op = options.pop("op")
    if op not in OPERATORS:
        raise OptionError(f"The node {name!r} is the operator {op}, which needs torch. {_WITH_TORCH}")
    function = OPERATORS[op]

    def compute(*inputs: Array | None) -> tuple[Any, ...]:
        outputs = function(*inputs, **options)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    return compute


def _linear(options: dict[str, Any], tensors: Mapping[str, Array], name: str) -> Compute:
    weight = np.ascontiguousarray(tensors["weight"].T)
    bias = tensors.get("bias")
    return lambda x: (x @ weight if bias is None else x @ weight + bias,)


def _embedding(options: dict[str, Any], tensors: Mapping[str, Array], name: str) -> Compute:
    table, masks = tensors["weight"], bool(options.get("mask_zero"))

    def compute(ids: Array) -> tuple[Any, ...]:
        ids = ids.astype(np.int64)
        if ids.size and ids.min() < 0:
            raise ValueError(f"an id is {ids.min()}; expected 0 to {len(table) - 1}")
        return table[ids], (ids != 0 if masks else None)

    return compute


def _activation(options: dict[str, Any], tensors: Mapping[str, Array], name: str) -> Compute:
    which, axis = options["name"], int(options.get("dim", -1))
    if which == "softmax":
        return lambda x: (softmax(x, axis=axis),)
    if which not in ACTIVATIONS:
        raise OptionError(f"The node {name!r} is the activation {which}, which needs torch. {_WITH_TORCH}")
    return lambda x: (ACTIVATIONS[which](x),)


def _dropout(options: dict[str, Any], tensors: Mapping[str, Array], name: str) -> Compute:
    return lambda x: (x,)


class _Recurrent:
    """Recurrent layers: a stream for each layer and direction, which begins at the initial state of the call.

    Outputs: the output of every step [B, T, O]; the last layer's h after the last step, its directions merged, [B, O];
    and the parts of the final state, [layers * directions, B, size] each (tuples of arrays if the sizes differ).
    """

    def __init__(self, options: dict[str, Any], tensors: Mapping[str, Array], name: str) -> None:
        if lacking := [option for option in _NOT_HERE if options.get(option)]:
            raise OptionError(f"The node {name!r} has {lacking[0]}, which needs torch. {_WITH_TORCH}")
        kind: Kind = options.pop("cell")
        given = {key: value for key, value in options.items() if key not in (*_NOT_THE_CELLS, *_NOT_HERE)}
        sizes, count = given.pop("hidden_size"), int(options.get("num_layers", 1))
        if not 1 <= count <= len(tensors):  # before memory is taken for each layer
            raise ValueError(f"{name} has {count} layers and {len(tensors)} tensors")
        sizes = sizes if isinstance(sizes, list) else [sizes] * count
        width, self._directions = given.pop("input_size"), 1 + bool(options.get("bidirectional"))
        self._merge, self._residual = _MERGES[options.get("merge", "concat")], bool(options.get("residual"))
        self._reverse, self._name = bool(options.get("reverse")), name
        self._one_size = len(set(sizes)) == 1
        self._networks: list[StreamNetwork] = []
        for number, size in enumerate(sizes):
            spec = make_spec(kind, {**given, "input_size": width, "hidden_size": size})
            for direction in range(self._directions):
                suffix = layer_suffix(number, direction)
                arrays = {key + layer_suffix(0): tensors[f"layer.{key}{suffix}"].copy() for key in spec.parameter_names}
                self._networks.append(StreamNetwork(Chain((chain_parts.Recurrent("", (spec,)),)), arrays))
            wide = self._directions == 2 and options.get("merge", "concat") == "concat"
            width = spec.output_size * (2 if wide else 1)

    def __call__(self, x: Array, counts: Array | None = None, *initial: Array | None) -> tuple[Any, ...]:
        """Runs the layers over x [B, T, I]."""
        if counts is not None:
            raise OptionError(f"The node {self._name!r} reads lengths or a mask, which needs torch. {_WITH_TORCH}")
        finals, last = [], x
        for number in range(0, len(self._networks), self._directions):
            results = [self._run(number + k, x, initial) for k in range(self._directions)]
            finals += [state for _, state in results]
            y = results[0][0] if self._directions == 1 else self._merge(results[0][0], results[1][0])
            h = [state[0][0] for _, state in results]
            last = h[0] if self._directions == 1 else self._merge(h[0], h[1])
            x = x + y if self._residual and number else y
        parts = list(zip(*finals, strict=True))
        return (x, last, *(map(np.concatenate, parts) if self._one_size else parts))

    def _run(self, place: int, x: Array, initial: tuple[Array | None, ...]) -> tuple[Array, tuple[Array, ...]]:
        """The outputs of one layer in one direction, and its final state, [1, B, size] per part."""
        network = self._networks[place]
        stream = Stream(network, len(x))
        if any(part is not None for part in initial):
            sizes = network.specs[0].state_sizes.values()
            given = [*initial, *[None] * (len(sizes) - len(initial))]
            state = tuple(
                np.zeros((1, len(x), size), network.dtype) if part is None else np.ascontiguousarray(part[[place]])
                for part, size in zip(given, sizes, strict=True)
            )
            stream.state = state if len(state) > 1 else state[0]
        backwards = place % 2 == 1 if self._directions == 2 else self._reverse
        y = stream.run(x[:, ::-1] if backwards else x)
        state = stream.state
        return (y[:, ::-1] if backwards else y), state if isinstance(state, tuple) else (state,)


_KINDS: dict[str, Callable[[dict[str, Any], Mapping[str, Array], str], Compute]] = {
    "Activation": _activation,
    "Constant": _constant,
    "Dropout": _dropout,
    "Embedding": _embedding,
    "Linear": _linear,
    "Operator": _operator,
    "Recurrent": _Recurrent,
}
