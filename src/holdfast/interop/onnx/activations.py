"""The activations of ONNX's recurrent operators, and Holdfast's names for them.

A node lists the functions of each direction in turn: f, g and h of an LSTM (gates, candidate, cell state on its way to
the output), f and g of a GRU, f of an RNN. Their parameters are in two lists, alpha and beta; each function takes the
parameters that it needs, in order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from holdfast.cells import CellSpec, Kind
from holdfast.cells.activation_names import parse_activation
from holdfast.errors import ConversionError, did_you_mean
from holdfast.interop.onnx.graph import OnnxNode

_OPTIONS: dict[Kind, tuple[str, ...]] = {
    "lstm": ("recurrent_activation", "activation", "output_activation"),
    "gru": ("recurrent_activation", "activation"),
    "rnn": ("activation",),
}
"""The option of the cell for each function of a direction."""


class _Function(NamedTuple):
    """A function of ONNX: Holdfast's name, and the defaults of alpha and beta.

    A default is None where ONNX does not state one; onnxruntime takes 0 there.
    """

    name: str
    defaults: tuple[float | None, ...] = ()


_FUNCTIONS = {
    "Relu": _Function("relu"),
    "Tanh": _Function("tanh"),
    "Sigmoid": _Function("sigmoid"),
    "Softsign": _Function("softsign"),
    "Softplus": _Function("softplus"),
    "Affine": _Function("affine", (None, None)),
    "LeakyRelu": _Function("leaky_relu", (0.01,)),
    "ThresholdedRelu": _Function("thresholded_relu", (1.0,)),
    "ScaledTanh": _Function("scaled_tanh", (None, None)),
    "HardSigmoid": _Function("hard_sigmoid", (0.2, 0.5)),
    "Elu": _Function("elu", (1.0,)),
}
_DEFAULTS: dict[Kind, list[str]] = {"lstm": ["Sigmoid", "Tanh", "Tanh"], "gru": ["Sigmoid", "Tanh"], "rnn": ["Tanh"]}
_SHORT = {("hard_sigmoid", (0.2, 0.5)): "hard_sigmoid_02", ("affine", (1.0, 0.0)): "linear", ("elu", (1.0,)): "elu"}
"""Names that include the parameters."""


def read_options(node: OnnxNode, kind: Kind, directions: int) -> Iterator[dict[str, Any]]:
    """The options of the cell of each direction that are not at their defaults.

    Raises:
        ConversionError: A function is unknown, or the number of functions or parameters is wrong.
    """
    options = _OPTIONS[kind]
    names = node.attributes.get("activations") or _DEFAULTS[kind] * directions
    if not isinstance(names, list) or len(names) != len(options) * directions:
        raise ConversionError(
            f"{node.label} has activations {names!r}; expected {len(options)} for each of {directions} directions."
        )
    functions = [_function(name, node) for name in names]
    alphas, betas = (_parameters(node, functions, number) for number in range(2))
    activations = [
        _with_parameters(function.name, values) for function, *values in zip(functions, alphas, betas, strict=True)
    ]
    defaults = {option: getattr(CellSpec(kind=kind, input_size=1, hidden_size=1), option, None) for option in options}
    for start in range(0, len(activations), len(options)):
        cell = dict(zip(options, activations[start : start + len(options)], strict=True))
        if cell.get("output_activation") == cell["activation"]:
            del cell["output_activation"]
        yield {option: name for option, name in cell.items() if name != defaults[option]}


def _function(name: Any, node: OnnxNode) -> _Function:
    by_lower_name = {known.lower(): function for known, function in _FUNCTIONS.items()}  # as in onnxruntime
    if str(name).lower() not in by_lower_name:
        raise ConversionError(f"{node.label} has the activation {name!r}: {did_you_mean(str(name), _FUNCTIONS)}")
    return by_lower_name[str(name).lower()]


def _parameters(node: OnnxNode, functions: list[_Function], number: int) -> list[float | None]:
    """The alpha (number 0) or beta (number 1) of each function; None for a function that takes none.

    The list has a value for each function that takes one. A list with a value for every function is accepted if both
    readings give the same.
    """
    name = ("activation_alpha", "activation_beta")[number]
    values = node.attributes.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, float) and math.isfinite(value) for value in values):
        raise ConversionError(f"{node.label} has {name} = {values!r}; expected a list of numbers.")
    takers = [place for place, function in enumerate(functions) if len(function.defaults) > number]
    one_for_each = [values[place] for place in takers] if len(values) == len(functions) else None
    if len(values) > len(takers) and values[: len(takers)] != one_for_each:
        raise ConversionError(
            f"{node.label} has {name} = {values}, and {len(takers)} of its activations take one; expected one for each "
            "of these."
        )
    parameters: list[float | None] = [None] * len(functions)
    for place, value in itertools.zip_longest(takers, values[: len(takers)]):
        parameters[place] = functions[place].defaults[number] if value is None else shortest(value)
        if parameters[place] is None:
            raise ConversionError(
                f"{node.label} has the activation {functions[place].name!r} and no {name} for it; expected a number: "
                "ONNX has no default."
            )
    return parameters


def shortest(value: float) -> float:
    """The number with the fewest digits, such as 0.2, that is the same in float32, the type of ONNX's attributes."""
    return float(str(np.float32(value)))


def _with_parameters(name: str, parameters: Sequence[float | None]) -> str:
    """``"leaky_relu"`` and (0.1, None) -> ``"leaky_relu(0.1)"``; a short name where there is one."""
    values = tuple(value for value in parameters if value is not None)
    if name == "hard_sigmoid" and np.float32(values[0]) == np.float32(1 / 6) and values[1] == 0.5:
        return name
    return _SHORT.get((name, values), f"{name}({', '.join(map(repr, values))})" if values else name)


def write_attributes(spec: CellSpec, directions: int, label: str) -> dict[str, Any]:
    """The attributes for the activations of a cell; none if they are ONNX's defaults.

    Raises:
        ConversionError: ONNX does not have the activation.
    """
    names: list[str] = []
    parameters: tuple[list[float], list[float]] = ([], [])
    φ, σ, ψ = spec.activations
    by_short_name = {_with_parameters(*key): key for key in _SHORT}
    onnx_names = {function.name: name for name, function in _FUNCTIONS.items()}
    for activation in {"lstm": (σ, φ, ψ), "gru": (σ, φ), "rnn": (φ,)}[spec.kind]:
        if callable(activation):
            raise ConversionError(f"{label} has a Python function as an activation; ONNX has named activations alone.")
        name, values = parse_activation(activation)
        name, values = by_short_name.get(name, (name, values))
        if name not in onnx_names:
            raise ConversionError(
                f"{label} has the activation {activation!r}, which ONNX's operators lack; expected one of "
                f"{', '.join(sorted(onnx_names))}. Train with one of these to export."
            )
        names.append(onnx_names[name])
        for column, value in zip(parameters, values, strict=False):
            column.append(value)
    if names == _DEFAULTS[spec.kind]:
        return {}
    attributes: dict[str, Any] = {"activations": names * directions}
    for letter, column in zip(("alpha", "beta"), parameters, strict=True):
        if column:
            attributes[f"activation_{letter}"] = column * directions
    return attributes
