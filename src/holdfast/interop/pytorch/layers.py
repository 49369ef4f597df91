"""The layers in a state dict, told by the names and shapes of its tensors: it has nothing else to say of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from holdfast.cells import NAMES, Kind
from holdfast.cells.parameter_names import layer_suffix
from holdfast.errors import ConversionError

_KINDS: dict[int, Kind] = {4: "lstm", 3: "gru", 1: "rnn"}
_RECURRENT = re.compile(r"(weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)(?:_l(0|[1-9]\d{0,3})(_reverse)?)?")


@dataclass(frozen=True)
class Layer:
    """A layer of a state dict.

    Attributes:
        name: What its tensors' names begin with; empty for a layer that was saved alone.
        kind: ``"lstm"``, ``"gru"`` or ``"rnn"``; the same with ``"_cell"`` for a module of one step; ``"linear"``;
            ``"matrix"`` for one without a bias, which embeddings and linear layers both are; ``"other"``.
        tensors: Its tensors, by their names in the layer.
        input_size: Values that go into it, at each step for a recurrent one; 0 where that is not known.
        output_size: Values that come out.
        options: What else the module of a recurrent layer is built with.
    """

    name: str
    kind: str
    tensors: Mapping[str, Tensor]
    input_size: int = 0
    output_size: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_recurrent(self) -> bool:
        """Whether it is a recurrent layer or cell."""
        return self.kind.removesuffix("_cell") in NAMES


def find_layers(tensors: Mapping[str, Tensor], names: Collection[str] | None = None) -> list[Layer]:
    """The layers in a state dict, in its order.

    Args:
        tensors: By name.
        names: Those of the modules to look at; None for all.

    Raises:
        ConversionError: A recurrent layer is incomplete, or its tensors do not fit one another.
    """
    return [_layer(name, group) for name, group in _groups(tensors).items() if names is None or name in names]


def _groups(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The tensors of each module, by their names in it."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        prefix, _, own = name.rpartition(".")
        if ".parametrizations." in f".{name}":  # of the module that is parametrised
            start, _, rest = f".{name}".partition(".parametrizations.")
            prefix, own = start[1:], rest
        groups.setdefault(prefix, {})[own] = tensor
    return groups


def find_recurrent(tensors: Mapping[str, Tensor]) -> tuple[list[Layer], dict[str, str], list[str]]:
    """The recurrent layers in a state dict, in its order; why others named so cannot be read; and all other modules.

    Args:
        tensors: By name.
    """
    found, refused, others = [], {}, []
    for name, group in _groups(tensors).items():
        try:
            layer = _layer(name, group) if any(_RECURRENT.match(own) for own in group) else None
        except ConversionError as error:
            refused[name] = str(error)
            continue
        if layer is not None and layer.is_recurrent:
            found.append(layer)
        else:
            others.append(name)
    return found, refused, others


def _layer(name: str, tensors: dict[str, Tensor]) -> Layer:
    found = [_RECURRENT.fullmatch(own) for own in tensors]
    if any(found):
        if not all(found):
            strange = next(own for own, match in zip(tensors, found, strict=True) if match is None)
            raise ConversionError(
                f"{_label(name)} has {strange!r} beside the tensors of a recurrent layer; expected weight_ih, "
                "weight_hh, weight_hr, bias_ih and bias_hh alone. It is a layer of another kind than torch.nn's, or "
                "its weights are parametrised: save it after torch.nn.utils.parametrize.remove_parametrizations."
            )
        several = {match[2] is not None for match in found if match}
        if len(several) == 2:
            raise ConversionError(f"{_label(name)} has the tensors of a layer and of a cell: one cannot be both.")
        return _recurrent(name, tensors) if several == {True} else _cell(name, tensors)
    shapes = {own: tuple(tensor.shape) for own, tensor in tensors.items()}
    matrix, bias = shapes.get("weight", ()), shapes.get("bias")
    if len(matrix) == 2 and shapes.keys() <= {"weight", "bias"} and bias in (None, matrix[:1]):
        return Layer(name, "linear" if bias else "matrix", tensors, matrix[1], matrix[0])
    return Layer(name, "other", tensors)


def _recurrent(name: str, tensors: dict[str, Tensor]) -> Layer:
    sizes = _sizes(name, tensors, layer_suffix(0))
    layers = 1 + max(int(match[2]) for own in tensors if (match := _RECURRENT.fullmatch(own)))
    directions = 2 if f"weight_ih{layer_suffix(0, 1)}" in tensors else 1
    width = sizes.input_size
    expected: dict[str, tuple[int, ...]] = {}
    for number in range(layers):
        for direction in range(directions):
            expected |= {own + layer_suffix(number, direction): shape for own, shape in sizes.shapes(width).items()}
        width = sizes.output_size * directions
    _compare(name, tensors, expected)
    options: dict[str, Any] = {"hidden_size": sizes.hidden_size, "num_layers": layers, "bias": sizes.bias}
    options["bidirectional"] = directions == 2
    if sizes.proj_size:
        options["proj_size"] = sizes.proj_size
    return Layer(name, sizes.kind, tensors, sizes.input_size, width, options)


def _cell(name: str, tensors: dict[str, Tensor]) -> Layer:
    sizes = _sizes(name, tensors, "")
    _compare(name, tensors, sizes.shapes(sizes.input_size))
    options = {"hidden_size": sizes.hidden_size, "bias": sizes.bias}
    return Layer(name, f"{sizes.kind}_cell", tensors, sizes.input_size, sizes.hidden_size, options)


@dataclass(frozen=True)
class _Sizes:
    """What the first tensors of a recurrent layer say of all of them."""

    kind: Kind
    gates: int
    input_size: int
    hidden_size: int
    proj_size: int
    bias: bool

    @property
    def output_size(self) -> int:
        return self.proj_size or self.hidden_size

    def shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        """The shapes of one layer and direction."""
        rows = self.gates * self.hidden_size
        found: dict[str, tuple[int, ...]] = {"weight_ih": (rows, input_size), "weight_hh": (rows, self.output_size)}
        if self.bias:
            found |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            found["weight_hr"] = (self.proj_size, self.hidden_size)
        return found


def _sizes(name: str, tensors: dict[str, Tensor], suffix: str) -> _Sizes:
    """Kind and sizes, from the weights of the first layer."""
    shapes = {own: tuple(tensor.shape) for own, tensor in tensors.items()}
    first: list[tuple[int, ...]] = []
    for own in ("weight_ih" + suffix, "weight_hh" + suffix):
        if own not in shapes:
            raise ConversionError(f"{_label(name)} has no {own}: the state dict is incomplete. Save all of it.")
        if len(shapes[own]) != 2 or 0 in shapes[own]:
            raise ConversionError(f"{_label(name)} has {own} of shape {shapes[own]}; expected two sizes from 1 on.")
        first.append(shapes[own])
    (rows, inputs), (recurrent_rows, outputs) = first
    projection = shapes.get("weight_hr" + suffix)
    if projection is not None and (len(projection) != 2 or projection[0] != outputs or 0 in projection):
        raise ConversionError(
            f"{_label(name)} has weight_hr{suffix} of shape {projection}; expected ({outputs}, hidden_size), as "
            f"weight_hh{suffix} has {outputs} columns."
        )
    hidden = projection[1] if projection else outputs
    gates = rows // hidden if rows == recurrent_rows and rows % hidden == 0 else 0
    if gates not in _KINDS or (projection and gates != 4):
        raise ConversionError(
            f"{_label(name)} has weight_ih{suffix} of shape {first[0]} and weight_hh{suffix} of shape {first[1]}; "
            f"expected {hidden} rows for each gate: 4 gates (LSTM), 3 (GRU) or 1 (RNN)."
        )
    bias = "bias_ih" + suffix in shapes or "bias_hh" + suffix in shapes
    return _Sizes(_KINDS[gates], gates, inputs, hidden, projection[0] if projection else 0, bias)


def _compare(name: str, tensors: dict[str, Tensor], expected: dict[str, tuple[int, ...]]) -> None:
    """Refuses a recurrent layer with a tensor too few, too many, of another shape, or without fractions."""
    for own, shape in expected.items():
        if own not in tensors:
            raise ConversionError(
                f"{_label(name)} has no {own}; expected one of shape {shape}: the state dict is incomplete, or of a "
                "layer of another kind. Save all of it."
            )
        if tuple(tensors[own].shape) != shape:
            raise ConversionError(f"{_label(name)} has {own} of shape {tuple(tensors[own].shape)}; expected {shape}.")
        if not tensors[own].is_floating_point():
            raise ConversionError(f"{_label(name)} has {own} of {tensors[own].dtype}; expected real numbers.")
    if extra := tensors.keys() - expected.keys():
        raise ConversionError(f"{_label(name)} has {min(extra)}, which its other tensors have no place for.")


def _label(name: str) -> str:
    return f"The layer {name!r}" if name else "The state dict"
