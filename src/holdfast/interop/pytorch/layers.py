"""The layers in a state dict, recognised by the names and shapes of its tensors."""

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
        name: The prefix of its tensors' names; empty for a layer that was saved alone.
        kind: ``"lstm"``, ``"gru"`` or ``"rnn"``; with ``"_cell"`` added for a module of one step; ``"linear"``;
            ``"matrix"`` for an embedding or a linear layer without a bias; ``"other"``.
        tensors: Its tensors, by their names in the layer.
        input_size: Values in, per step for a recurrent layer; 0 if unknown.
        output_size: Values out.
        options: The other arguments of a recurrent module.
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
        names: The modules to look at; None for all.

    Raises:
        ConversionError: A recurrent layer is incomplete, or its tensors do not fit one another.
    """
    return [_layer(name, group) for name, group in _groups(tensors).items() if names is None or name in names]


def _groups(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The tensors of each module, by their names in the module."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        prefix, _, key = name.rpartition(".")
        if ".parametrizations." in f".{name}":  # they belong to the module that is parametrised
            start, _, rest = f".{name}".partition(".parametrizations.")
            prefix, key = start[1:], rest
        groups.setdefault(prefix, {})[key] = tensor
    return groups


def find_recurrent(tensors: Mapping[str, Tensor]) -> tuple[list[Layer], dict[str, str], list[str]]:
    """The recurrent layers in a state dict, in its order.

    Args:
        tensors: By name.

    Returns:
        The layers; why other layers with such names cannot be read, by name; and the names of all other modules.
    """
    recurrent, refused, others = [], {}, []
    for name, group in _groups(tensors).items():
        try:
            layer = _layer(name, group) if any(_RECURRENT.match(own) for own in group) else None
        except ConversionError as error:
            refused[name] = str(error)
            continue
        if layer is not None and layer.is_recurrent:
            recurrent.append(layer)
        else:
            others.append(name)
    return recurrent, refused, others


def _layer(name: str, tensors: dict[str, Tensor]) -> Layer:
    matches = [_RECURRENT.fullmatch(key) for key in tensors]
    if any(matches):
        if not all(matches):
            unexpected = next(key for key, match in zip(tensors, matches, strict=True) if match is None)
            raise ConversionError(
                f"{_label(name)} has {unexpected!r} beside the tensors of a recurrent layer; expected weight_ih, "
                "weight_hh, weight_hr, bias_ih and bias_hh only. It is not a layer of torch.nn, or its weights are "
                "parametrised: save it after torch.nn.utils.parametrize.remove_parametrizations."
            )
        numbered = {match[2] is not None for match in matches if match}
        if len(numbered) == 2:
            raise ConversionError(
                f"{_label(name)} has the tensors of a layer and of a cell; expected those of one of them."
            )
        return _recurrent(name, tensors) if numbered == {True} else _cell(name, tensors)
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    matrix, bias = shapes.get("weight", ()), shapes.get("bias")
    if len(matrix) == 2 and shapes.keys() <= {"weight", "bias"} and bias in (None, matrix[:1]):
        return Layer(name, "linear" if bias else "matrix", tensors, matrix[1], matrix[0])
    return Layer(name, "other", tensors)


def _recurrent(name: str, tensors: dict[str, Tensor]) -> Layer:
    sizes = _sizes(name, tensors, layer_suffix(0))
    layers = 1 + max(int(match[2]) for key in tensors if (match := _RECURRENT.fullmatch(key)))
    directions = 2 if f"weight_ih{layer_suffix(0, 1)}" in tensors else 1
    width = sizes.input_size
    expected: dict[str, tuple[int, ...]] = {}
    for number in range(layers):
        for direction in range(directions):
            suffix = layer_suffix(number, direction)
            expected |= {key + suffix: shape for key, shape in sizes.shapes(width).items()}
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
    """The kind and sizes of a recurrent layer, from its first tensors."""

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
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, input_size), "weight_hh": (rows, self.output_size)}
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        return shapes


def _sizes(name: str, tensors: dict[str, Tensor], suffix: str) -> _Sizes:
    """Kind and sizes, from the weights of the first layer."""
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    weights: list[tuple[int, ...]] = []
    for key in ("weight_ih" + suffix, "weight_hh" + suffix):
        if key not in shapes:
            raise ConversionError(f"{_label(name)} has no {key}: the state dict is incomplete. Save all of it.")
        if len(shapes[key]) != 2 or 0 in shapes[key]:
            raise ConversionError(f"{_label(name)} has {key} of shape {shapes[key]}; expected two sizes from 1 on.")
        weights.append(shapes[key])
    (rows, inputs), (recurrent_rows, outputs) = weights
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
            f"{_label(name)} has weight_ih{suffix} of shape {weights[0]} and weight_hh{suffix} of shape {weights[1]}; "
            f"expected {hidden} rows for each gate: 4 gates (LSTM), 3 (GRU) or 1 (RNN)."
        )
    bias = "bias_ih" + suffix in shapes or "bias_hh" + suffix in shapes
    return _Sizes(_KINDS[gates], gates, inputs, hidden, projection[0] if projection else 0, bias)


def _compare(name: str, tensors: dict[str, Tensor], expected: dict[str, tuple[int, ...]]) -> None:
    """Refuses a recurrent layer with a missing or extra tensor, or with one of a wrong shape or an integer dtype."""
    for key, shape in expected.items():
        if key not in tensors:
            raise ConversionError(
                f"{_label(name)} has no {key}; expected one of shape {shape}: the state dict is incomplete, or of "
                "another kind of layer. Save all of it."
            )
        if tuple(tensors[key].shape) != shape:
            raise ConversionError(f"{_label(name)} has {key} of shape {tuple(tensors[key].shape)}; expected {shape}.")
        if not tensors[key].is_floating_point():
            raise ConversionError(f"{_label(name)} has {key} of {tensors[key].dtype}; expected real numbers.")
    if extra := tensors.keys() - expected.keys():
        raise ConversionError(f"{_label(name)} has {min(extra)}, which its other tensors have no place for.")


def _label(name: str) -> str:
    return f"The layer {name!r}" if name else "The state dict"
