"""Converts recurrent layers and activations to Keras 3."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from holdfast.cells import CellSpec
from holdfast.cells.activation_names import PARAMETERS, parse_activation
from holdfast.cells.parameter_names import layer_suffix
from holdfast.errors import ConversionError
from holdfast.interop.keras.export_layers import KerasLayer
from holdfast.interop.layouts import KERAS
from holdfast.interop.nodes import Recurrent
from holdfast.layers import parameters
from holdfast.layers.recurrent_layer import RecurrentLayer

_CLASSES = {"lstm": "LSTM", "gru": "GRU", "rnn": "SimpleRNN"}
_MERGES = {"concat": "concat", "sum": "sum", "mean": "ave", "product": "mul"}
_EXPRESSED = ("activation", "recurrent_activation", "reset_after", "single_bias", "recurrent_dropout")
"""Options of a cell that Keras has, too."""
_SAME = re.compile("tanh|sigmoid|relu|linear|hard_sigmoid|softsign|softplus|elu|selu|exponential|relu6|silu|gelu|mish")
"""Activations with the same name and parameters in Keras."""
_WITH_SLOPE = {"leaky_relu": ("LeakyReLU", "negative_slope"), "elu": ("ELU", "alpha")}
_LEAKY = 0.2  # the slope of Keras's leaky_relu


def export_recurrent(part: Recurrent, label: str, *, sequences: bool, masked: bool) -> list[KerasLayer]:
    """The layers of Keras that compute the same as a recurrent part, with dropout between them.

    Args:
        part: The recurrent layers.
        label: Their name, for the messages.
        sequences: Whether to give the output of every step, or only the last one.
        masked: Whether Keras gives them a mask.

    Raises:
        ConversionError: One of their options has no counterpart.
    """
    layer, count = part.layer, part.layer.num_layers
    _check(part, label)
    result: list[KerasLayer] = []
    for number in range(count):
        each = sequences or number < count - 1
        zeros = masked and each and not part.repeat
        if layer.bidirectional and masked and each and part.repeat:
            raise _refused(label, "repeats its output at masked steps, in both directions, where Keras gives zeros")
        if layer.bidirectional:
            forwards, backwards = (
                _export_direction(layer, number, direction, label, sequences=each, zeros=each, backwards=direction == 1)
                for direction in range(2)
            )
            result.append(_wrap(forwards, backwards, _MERGES[layer.merge]))
        else:
            kind, config, weights = _export_direction(
                layer, number, 0, label, sequences=each, zeros=zeros, backwards=layer.reverse
            )
            result.append(KerasLayer(kind, config, weights={"cell": weights}))
        if layer.dropout and number < count - 1:
            result.append(
                KerasLayer("SpatialDropout1D" if layer.locked_dropout else "Dropout", {"rate": layer.dropout})
            )
    return result


def export_bidirectional(
    parts: Sequence[Recurrent], mode: str, labels: Sequence[str], *, sequences: bool, masked: bool
) -> KerasLayer:
    """A Bidirectional made of two separate parts.

    Raises:
        ConversionError: Keras cannot combine them, or one of their options has no counterpart.
    """
    directions = []
    for part, label in zip(parts, labels, strict=True):
        _check(part, label)
        if part.layer.num_layers > 1 or part.layer.bidirectional:
            raise _refused(label, "has several layers or directions, and is merged with another")
        if masked and sequences and part.repeat:
            raise _refused(
                label, "repeats its output at masked steps and is merged with another, where Keras gives zeros"
            )
        layer = part.layer
        direction = _export_direction(layer, 0, 0, label, sequences=sequences, zeros=sequences, backwards=layer.reverse)
        directions.append(direction)
    if [part.layer.reverse for part in parts] != [False, True]:
        raise _refused(labels[1], "does not run in the opposite direction of the layer that it is merged with")
    if mode not in _MERGES:
        raise _refused(labels[1], f"is merged by {mode!r}")
    return _wrap(directions[0], directions[1], _MERGES[mode])


def activation_layer(name: str, label: str) -> tuple[str, dict[str, Any]]:
    """The class and the options of the layer for an activation.

    Raises:
        ConversionError: Keras 3 has no such activation.
    """
    if name == "softmax":
        return "Activation", {"activation": name}
    base, values = parse_activation(name)
    if _SAME.fullmatch(base) and values == PARAMETERS[base]:
        return "Activation", {"activation": base}
    if base in _WITH_SLOPE:
        kind, option = _WITH_SLOPE[base]
        return kind, {option: values[0]}
    raise _no_activation(name, label)


def _activation(name: Any, label: str) -> str:
    """Keras's name of an activation inside a recurrent layer."""
    base, values = parse_activation(name) if isinstance(name, str) else ("", ())
    if _SAME.fullmatch(base) and values == PARAMETERS[base]:
        return base
    if base == "leaky_relu" and values == (_LEAKY,):
        return base
    raise _no_activation(name, label)


def _no_activation(name: Any, label: str) -> ConversionError:
    why = " (Keras 3 has 1/6 where Keras 1 and 2 had 0.2)" if name == "hard_sigmoid_02" else ""
    return _refused(label, f"has the activation {name!r}{why}")


def _export_direction(
    layer: RecurrentLayer, number: int, direction: int, label: str, *, sequences: bool, zeros: bool, backwards: bool
) -> tuple[str, dict[str, Any], list[Tensor]]:
    """A layer in one direction: its class, its options and its weights."""
    spec = layer.specs[number]
    for name, value in spec.computing_options().items():
        if name not in _EXPRESSED:
            raise _refused(label, f"has {name}={value!r}")
    config: dict[str, Any] = {
        "return_sequences": sequences,
        "go_backwards": backwards,
        "zero_output_for_mask": zeros,
        "units": spec.hidden_size,
        "activation": _activation(spec.activation, label),
        "use_bias": spec.bias,
        "recurrent_dropout": spec.recurrent_dropout,
    }
    if spec.kind != "rnn":
        config["recurrent_activation"] = _activation(spec.recurrent_activation, label)
    if spec.kind == "gru":
        config["reset_after"] = spec.reset_after
    tensors = parameters.collect(layer, spec, layer_suffix(number, direction))
    return _CLASSES[spec.kind], config, _arrays(spec, tensors)


def _arrays(spec: CellSpec, tensors: Mapping[str, Tensor]) -> list[Tensor]:
    """Kernel, recurrent kernel and bias; where Keras has one bias and the layer two, their sum."""
    weights = KERAS.outward(spec, {name: tensor.detach() for name, tensor in tensors.items()})
    result, bias, second = [weights.input, weights.recurrent], weights.bias, weights.recurrent_bias
    if bias is None:
        return result
    if spec.kind == "gru" and spec.reset_after:
        return [*result, torch.stack([bias, torch.zeros_like(bias) if second is None else second])]
    return [*result, bias if second is None else bias + second]


def _wrap(
    forwards: tuple[str, dict[str, Any], list[Tensor]], backwards: tuple[str, dict[str, Any], list[Tensor]], mode: str
) -> KerasLayer:
    config: dict[str, Any] = {"merge_mode": mode}
    for option, name, (kind, inner, _) in (("layer", "forward", forwards), ("backward_layer", "backward", backwards)):
        config[option] = {
            "module": "keras.layers",
            "class_name": kind,
            "config": {"name": f"{name}_{kind.lower()}", **inner},
            "registered_name": None,
        }
    weights = {"forward_layer/cell": forwards[2], "backward_layer/cell": backwards[2]}
    return KerasLayer("Bidirectional", config, weights=weights)


def _check(part: Recurrent, label: str) -> None:
    layer = part.layer
    if part.stateful:
        raise _refused(label, "is stateful, for which Keras must know the number of rows of a batch")
    if layer.residual and layer.num_layers > 1:
        raise _refused(label, "adds the input of each layer to its output (residual)")
    if layer.reverse and layer.num_layers > 1:
        raise _refused(label, "has several layers that run in reverse")


def _refused(label: str, reason: str) -> ConversionError:
    return ConversionError(f"{label} {reason}; Keras has no counterpart.")
