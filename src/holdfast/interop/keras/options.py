"""Interprets the options of Keras's layers, version by version; refuses unknown options by name."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from holdfast.cells import Kind
from holdfast.errors import ConversionError, ModelFileError
from holdfast.interop.keras.model import Layer

_MAX = 2**31 - 1
_WITHOUT_EFFECT = re.compile(  # names, settings of training, and ways to compute the same
    r"(\w+_)?(initializer|regularizer|constraint|init)|unit_forget_bias|weights|name|trainable|dtype|autocast|seed|"
    r"(batch_)?(input_)?shape|input_(dim|length|dtype)|optional|implementation|unroll|consume_less|use_cudnn|"
    r"build_config"
)
_ACTIVATIONS = {
    **{name: name for name in ("tanh", "sigmoid", "relu", "linear", "softsign", "softplus", "elu", "selu")},
    **{name: name for name in ("exponential", "relu6", "silu", "gelu", "mish")},
    "swish": "silu",
    "leaky_relu": "leaky_relu(0.2)",
}
"""Holdfast's name for each of Keras's; the hard sigmoid depends on the version."""


class Options:
    """The options of a layer. Each is taken once, and :meth:`done` refuses options that are left.

    Attributes:
        label: The layer's name, for messages.
        major: The first number of the version of Keras.
    """

    def __init__(self, label: str, config: Mapping[str, Any], major: int) -> None:
        self.label, self.major, self._left = label, major, dict(config)
        policy = self._left.get("dtype")
        if isinstance(policy, dict) and policy.get("class_name") not in ("DTypePolicy", "Policy", "FloatDTypePolicy"):
            raise self.refused("dtype", policy.get("class_name"), "a floating-point type")

    def __contains__(self, name: str) -> bool:
        """Whether the option exists and is not taken yet."""
        return name in self._left

    def take(self, *names: str, default: Any = None) -> Any:
        """The value under the first of these names that exists."""
        values = [self._left.pop(name) for name in names if name in self._left]
        return values[0] if values else default

    def size(self, *names: str) -> int:
        """A whole number from 1 on."""
        value = self.take(*names)
        if type(value) is not int or not 1 <= value <= _MAX:
            raise self.damaged(names[0], value, "a whole number from 1 on")
        return value

    def whole(self, *names: str, default: int) -> int:
        """A whole number from 1 on, or the default if it is missing or null."""
        if all(self._left.get(name) is None for name in names):
            self.take(*names)
            return default
        return self.size(*names)

    def flag(self, *names: str, default: bool) -> bool:
        """A boolean."""
        value = self.take(*names, default=default)
        if not isinstance(value, bool):
            raise self.damaged(names[0], value, "true or false")
        return value

    def number(self, *names: str, default: float) -> float:
        """A finite number, also in Keras 3's form of an array of one number; the default if it is missing or null."""
        value = self.take(*names, default=default)
        if isinstance(value, dict) and isinstance(value.get("config"), dict):
            value = value["config"].get("value")
        value = default if value is None else value
        if type(value) not in (int, float) or not abs(value) <= _MAX or not math.isfinite(value):
            raise self.damaged(names[0], value, "a number")
        return float(value)

    def rate(self, *names: str) -> float:
        """A dropout rate."""
        value = self.number(*names, default=0.0)
        if not 0 <= value < 1:
            raise self.damaged(names[0], value, "a probability from 0 to below 1")
        return value

    def activation(self, *names: str, default: str = "linear", softmax: bool = False) -> str:
        """An activation, by Holdfast's name.

        Args:
            *names: The names of the option.
            default: Holdfast's name for a missing option.
            softmax: Whether softmax is allowed.

        Raises:
            ConversionError: Holdfast does not have it.
        """
        if not any(name in self for name in names):
            return default
        value = self.take(*names)
        if value is None:
            return "linear"
        if value == "hard_sigmoid":
            return "hard_sigmoid" if self.major >= 3 else "hard_sigmoid_02"
        if value == "softmax" and softmax:
            return "softmax"
        if not isinstance(value, str) or value not in _ACTIVATIONS:
            known = ", ".join(sorted({"hard_sigmoid", *_ACTIVATIONS} | ({"softmax"} if softmax else set())))
            raise self.refused(names[0], value, f"one of {known}")
        return _ACTIVATIONS[value]

    def done(self) -> None:
        """Refuses an option that is not taken, unless it has no effect or is off."""
        for name, value in self._left.items():
            if not _WITHOUT_EFFECT.fullmatch(name) and value not in (None, False, 0, [], {}):
                raise self.refused(name, value, "no such option")

    def refused(self, name: str, value: Any, expected: str) -> ConversionError:
        """The error of an option that has no counterpart."""
        return ConversionError(
            f"{self.label} has {name}={_shorten(value)}, which Holdfast does not have; expected {expected}."
        )

    def damaged(self, name: str, value: Any, expected: str) -> ModelFileError:
        """The error of an option with an invalid value."""
        return ModelFileError(
            f"{self.label} has {name}={_shorten(value)}; expected {expected}. Its configuration is damaged."
        )


@dataclass(frozen=True)
class RecurrentOptions:
    """The options of a recurrent layer of Keras.

    Attributes:
        kind: The kind of cell.
        units: H.
        activation: Holdfast's name of the activation.
        recurrent_activation: Holdfast's name of the gates' activation; unused for the simple RNN.
        use_bias: Whether there are biases.
        reset_after: GRU only.
        cudnn: Whether its weights are in cuDNN's layout: a class of Keras 2.
        return_sequences: Whether it gives the output of every step.
        return_state: Whether it also gives its final state.
        go_backwards: Whether it begins with the last step; its outputs are then in that order.
        stateful: Whether it keeps its state from call to call.
        zero_output: Whether masked steps give zeros instead of the previous output.
        dropout: The rate for the inputs.
        recurrent_dropout: The rate for the state on its way into the products.
    """

    kind: Kind
    units: int
    activation: str
    recurrent_activation: str
    use_bias: bool
    reset_after: bool
    cudnn: bool
    return_sequences: bool
    return_state: bool
    go_backwards: bool
    stateful: bool
    zero_output: bool
    dropout: float
    recurrent_dropout: float

    def layer_options(self) -> dict[str, Any]:
        """The keyword arguments of Holdfast's layer without sizes and directions."""
        result: dict[str, Any] = {"bias": self.use_bias}
        if self.activation != "tanh":
            result["activation"] = self.activation
        if self.kind != "rnn" and self.recurrent_activation != "sigmoid":
            result["recurrent_activation"] = self.recurrent_activation
        if self.kind == "gru" and not self.reset_after:
            result["reset_after"] = False
        if self.use_bias and not self.cudnn and not (self.kind == "gru" and self.reset_after):
            result["single_bias"] = True
        if self.recurrent_dropout:
            result["recurrent_dropout"] = self.recurrent_dropout
        return result


_CELLS: dict[str, Kind] = {
    "LSTM": "lstm",
    "GRU": "gru",
    "SimpleRNN": "rnn",
    "CuDNNLSTM": "lstm",
    "CuDNNGRU": "gru",
    "LSTMCell": "lstm",
    "GRUCell": "gru",
    "SimpleRNNCell": "rnn",
}
RECURRENT = ("LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU", "RNN")
"""The classes that :func:`recurrent_options` reads."""


def recurrent_options(layer: Layer, version: int) -> RecurrentOptions:
    """The options of a recurrent layer.

    Args:
        layer: A layer of a class in :data:`RECURRENT`.
        version: The first number of the version of Keras; defaults and names differ.

    Raises:
        ConversionError: An option has no counterpart.
        ModelFileError: An option has an invalid value.
    """
    kind, config = layer.kind, dict(layer.options)
    if kind == "RNN":
        cell = config.pop("cell", None)
        if (
            not isinstance(cell, dict)
            or cell.get("class_name") not in _CELLS
            or not isinstance(cell.get("config"), dict)
        ):
            cell_class = cell.get("class_name") if isinstance(cell, dict) else cell
            raise ConversionError(
                f"{layer.label} runs the cell {_shorten(cell_class)}; expected LSTMCell, GRUCell or SimpleRNNCell."
            )
        kind, config = cell["class_name"], {**cell["config"], **config}
    cudnn = kind.startswith("CuDNN")
    options = Options(layer.label, config, version)
    if options.take("time_major"):
        raise options.refused("time_major", True, "batches first")
    result = RecurrentOptions(
        kind=_CELLS[kind],
        units=options.size("units", "output_dim"),
        activation=options.activation("activation", default="tanh"),
        recurrent_activation=options.activation(
            "recurrent_activation", "inner_activation", default=_gate_default(version, cudnn)
        ),
        use_bias=options.flag("use_bias", default=True),
        reset_after=options.flag("reset_after", default=version >= 3 or cudnn),
        cudnn=cudnn,
        return_sequences=options.flag("return_sequences", default=False),
        return_state=options.flag("return_state", default=False),
        go_backwards=options.flag("go_backwards", default=False),
        stateful=options.flag("stateful", default=False),
        zero_output=options.flag("zero_output_for_mask", default=False),
        dropout=options.rate("dropout", "dropout_W"),
        recurrent_dropout=options.rate("recurrent_dropout", "dropout_U"),
    )
    options.done()
    return result


def backwards(forwards: RecurrentOptions) -> RecurrentOptions:
    """The options of the backward direction, for a Bidirectional with one layer."""
    return replace(forwards, go_backwards=not forwards.go_backwards)


def _gate_default(version: int, cudnn: bool) -> str:
    return "sigmoid" if version >= 3 or cudnn else "hard_sigmoid_02"


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
