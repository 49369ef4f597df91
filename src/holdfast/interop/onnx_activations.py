"""The activations of ONNX's recurrent operators and the names that Holdfast has for them.

A node lists the functions of each direction in turn: f, g and h of an LSTM (gates, candidate, cell state on its way
out), f and g of a GRU, f of an RNN. Their parameters stand in two lists of their own, alpha and beta, from which each
function takes what it needs, in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from holdfast.cells import CellSpec, Kind
from holdfast.errors import ConversionError, did_you_mean
from holdfast.interop.onnx_graph import OnnxNode

OPTIONS: dict[Kind, tuple[str, ...]] = {
    "lstm": ("recurrent_activation", "activation", "output_activation"),
    "gru": ("recurrent_activation", "activation"),
    "rnn": ("activation",),
}
"""The option of a cell that each function of a direction is."""


class _Function(NamedTuple):
    """A function of ONNX: Holdfast's name for it, and what its alpha and beta are when they are left out."""

    name: str
    defaults: tuple[float, ...] = ()


_FUNCTIONS = {
    "Relu": _Function("relu"),
    "Tanh": _Function("tanh"),
    "Sigmoid": _Function("sigmoid"),
    "Softsign": _Function("softsign"),
    "Softplus": _Function("softplus"),
    "Affine": _Function("affine", (1.0, 0.0)),
    "LeakyRelu": _Function("leaky_relu", (0.01,)),
    "ThresholdedRelu": _Function("thresholded_relu", (1.0,)),
    "ScaledTanh": _Function("scaled_tanh", (1.0, 1.0)),
    "HardSigmoid": _Function("hard_sigmoid", (0.2, 0.5)),
    "Elu": _Function("elu", (1.0,)),
}
_SHORT = {("hard_sigmoid", (0.2, 0.5)): "hard_sigmoid_02", ("affine", (1.0, 0.0)): "linear", ("elu", (1.0,)): "elu"}
"""Names that say parameters by themselves."""


def read(node: OnnxNode, kind: Kind, directions: int) -> Iterator[dict[str, Any]]:
    """For each direction the options of its cell that are not at their defaults.

    Raises:
        ConversionError: A function is unknown, or there are more or fewer functions or parameters than the node takes.
    """
    options = OPTIONS[kind]
    names = node.attributes.get("activations", [])
    if not isinstance(names, list) or (names and len(names) != len(options) * directions):
        raise ConversionError(
            f"{node.label} has activations {names!r}; expected {len(options)} for each of {directions} directions."
        )
    alphas, betas = (_numbers(node, f"activation_{letter}") for letter in ("alpha", "beta"))
    if not names:
        if alphas or betas:
            raise ConversionError(f"{node.label} has parameters of activations, and names none. Name the activations.")
        yield from ({} for _ in range(directions))
        return
    chosen = [_named(name, alphas, betas, node) for name in names]
    if alphas or betas:
        raise ConversionError(
            f"{node.label} has more parameters than its activations {', '.join(map(str, names))} take: alpha "
            f"{alphas}, beta {betas} are left. Expected one for each function that takes one."
        )
    defaults = {field: getattr(CellSpec(kind=kind, input_size=1, hidden_size=1), field, None) for field in options}
    for start in range(0, len(chosen), len(options)):
        found = dict(zip(options, chosen[start : start + len(options)], strict=True))
        if found.get("output_activation") == found["activation"]:
            del found["output_activation"]
        yield {option: name for option, name in found.items() if name != defaults[option]}


def _numbers(node: OnnxNode, name: str) -> list[float]:
    values = node.attributes.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, float) and np.isfinite(value) for value in values):
        raise ConversionError(f"{node.label} has {name} = {values!r}; expected a list of numbers.")
    return list(values)


def _named(name: Any, alphas: list[float], betas: list[float], node: OnnxNode) -> str:
    """Holdfast's name of a function with its parameters, which are taken off the two lists."""
    known = {one.lower(): one for one in _FUNCTIONS}
    if str(name).lower() not in known:
        raise ConversionError(f"{node.label} has the activation {name!r}: {did_you_mean(str(name), _FUNCTIONS)}")
    function = _FUNCTIONS[known[str(name).lower()]]
    lists = (alphas, betas)[: len(function.defaults)]
    values = [
        exact(one.pop(0)) if one else default for one, default in zip(lists, function.defaults, strict=True)
    ]
    return joined(function.name, tuple(values))


def exact(value: float) -> float:
    """The number with the fewest digits that is the same in float32, in which ONNX stores attributes: 0.2, not 0.20000000298."""
    return float(str(np.float32(value)))


def joined(name: str, values: tuple[float, ...]) -> str:
    """``"leaky_relu"`` and (0.1,) -> ``"leaky_relu(0.1)"``; without what the name says by itself."""
    if (name, values) in _SHORT or not values:
        return _SHORT.get((name, values), name)
    if name == "hard_sigmoid" and np.float32(values[0]) == np.float32(1 / 6) and values[1] == 0.5:
        return name
    return f"{name}({', '.join(map(repr, values))})"


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
        own = {function.name: (theirs, function) for theirs, function in _FUNCTIONS.items()}
        if name not in own:
            raise ConversionError(
                f"{label} has the activation {activation!r}, which ONNX's operators lack; expected one of "
                f"{', '.join(sorted(own))}. Train with one of these to export."
            )
        theirs, function = own[name]
        names.append(theirs)
        for one, value in zip(parameters, values, strict=False):
            one.append(value)
    if names == _DEFAULTS[spec.kind]:
        return {}
    attributes: dict[str, Any] = {"activations": names * directions}
    for letter, one in zip(("alpha", "beta"), parameters, strict=True):
        if one:
            attributes[f"activation_{letter}"] = one * directions
    return attributes
