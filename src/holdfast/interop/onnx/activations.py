"""The activations of ONNX's recurrent operators and the names that Holdfast has for them.

A node lists the functions of each direction in turn: f, g and h of an LSTM (gates, candidate, cell state on its way
out), f and g of a GRU, f of an RNN. Their parameters stand in two lists of their own, alpha and beta, from which each
function takes what it needs, in order.
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

OPTIONS: dict[Kind, tuple[str, ...]] = {
    "lstm": ("recurrent_activation", "activation", "output_activation"),
    "gru": ("recurrent_activation", "activation"),
    "rnn": ("activation",),
}
"""The option of a cell that each function of a direction is."""


class _Function(NamedTuple):
    """A function of ONNX: Holdfast's name for it, and what its alpha and beta are when they are left out.

    None stands where ONNX does not say it; onnxruntime takes 0 there.
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
"""Names that say parameters by themselves."""


def read(node: OnnxNode, kind: Kind, directions: int) -> Iterator[dict[str, Any]]:
    """For each direction the options of its cell that are not at their defaults.

    Raises:
        ConversionError: A function is unknown, or there are more or fewer functions or parameters than the node takes.
    """
    options = OPTIONS[kind]
    names = node.attributes.get("activations") or _DEFAULTS[kind] * directions
    if not isinstance(names, list) or len(names) != len(options) * directions:
        raise ConversionError(
            f"{node.label} has activations {names!r}; expected {len(options)} for each of {directions} directions."
        )
    functions = [_function(name, node) for name in names]
    alphas, betas = (_parameters(node, functions, number) for number in range(2))
    chosen = [joined(one.name, values) for one, *values in zip(functions, alphas, betas, strict=True)]
    defaults = {field: getattr(CellSpec(kind=kind, input_size=1, hidden_size=1), field, None) for field in options}
    for start in range(0, len(chosen), len(options)):
        found = dict(zip(options, chosen[start : start + len(options)], strict=True))
        if found.get("output_activation") == found["activation"]:
            del found["output_activation"]
        yield {option: name for option, name in found.items() if name != defaults[option]}


def _function(name: Any, node: OnnxNode) -> _Function:
    known = {one.lower(): function for one, function in _FUNCTIONS.items()}  # onnxruntime takes them so
    if str(name).lower() not in known:
        raise ConversionError(f"{node.label} has the activation {name!r}: {did_you_mean(str(name), _FUNCTIONS)}")
    return known[str(name).lower()]


def _parameters(node: OnnxNode, functions: list[_Function], number: int) -> list[float | None]:
    """Each function's alpha (number 0) or beta (1); None for one that takes none.

    The list holds those of the functions that take one. A list with one for every function is read where both readings
    say the same.
    """
    name = ("activation_alpha", "activation_beta")[number]
    values = node.attributes.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, float) and math.isfinite(value) for value in values):
        raise ConversionError(f"{node.label} has {name} = {values!r}; expected a list of numbers.")
    takers = [place for place, function in enumerate(functions) if len(function.defaults) > number]
    one_each = [values[place] for place in takers] if len(values) == len(functions) else None
    if len(values) > len(takers) and values[: len(takers)] != one_each:
        raise ConversionError(
            f"{node.label} has {name} = {values}, and {len(takers)} of its activations take one; expected one for each "
            "of these."
        )
    found: list[float | None] = [None] * len(functions)
    for place, value in itertools.zip_longest(takers, values[: len(takers)]):
        found[place] = functions[place].defaults[number] if value is None else exact(value)
        if found[place] is None:
            raise ConversionError(
                f"{node.label} has the activation {functions[place].name!r} and no {name} for it; expected a number: "
                "ONNX says none."
            )
    return found


def exact(value: float) -> float:
    """The number with the fewest digits that is the same in float32, in which ONNX has attributes: 0.2 and its like."""
    return float(str(np.float32(value)))


def joined(name: str, parameters: Sequence[float | None]) -> str:
    """``"leaky_relu"`` and (0.1, None) -> ``"leaky_relu(0.1)"``; a short name where there is one."""
    values = tuple(value for value in parameters if value is not None)
    if name == "hard_sigmoid" and np.float32(values[0]) == np.float32(1 / 6) and values[1] == 0.5:
        return name
    return _SHORT.get((name, values), f"{name}({', '.join(map(repr, values))})" if values else name)


def write(spec: CellSpec, directions: int, label: str) -> dict[str, Any]:
    """The attributes that say the activations of a cell; none where they are ONNX's own defaults.

    Raises:
        ConversionError: ONNX has no such activation.
    """
    names: list[str] = []
    parameters: tuple[list[float], list[float]] = ([], [])
    φ, σ, ψ = spec.activations
    for activation in {"lstm": (σ, φ, ψ), "gru": (σ, φ), "rnn": (φ,)}[spec.kind]:
        if callable(activation):
            raise ConversionError(f"{label} has an activation that is a function of its own; ONNX has names for some.")
        name, values = parse_activation(activation)
        name, values = {joined(*one): one for one in _SHORT}.get(name, (name, values))
        own = {function.name: theirs for theirs, function in _FUNCTIONS.items()}
        if name not in own:
            raise ConversionError(
                f"{label} has the activation {activation!r}, which ONNX's operators lack; expected one of "
                f"{', '.join(sorted(own))}. Train with one of these to export."
            )
        names.append(own[name])
        for one, value in zip(parameters, values, strict=False):
            one.append(value)
    if names == _DEFAULTS[spec.kind]:
        return {}
    attributes: dict[str, Any] = {"activations": names * directions}
    for letter, one in zip(("alpha", "beta"), parameters, strict=True):
        if one:
            attributes[f"activation_{letter}"] = one * directions
    return attributes
