"""Keras's cells in Holdfast's terms: the description of a cell, or the reason why Keras has to run it."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import activations, ops

from holdfast.cells import CellSpec, Kind

_KINDS: dict[type, Kind] = {
    keras.layers.LSTMCell: "lstm",
    keras.layers.GRUCell: "gru",
    keras.layers.SimpleRNNCell: "rnn",
}
# Holdfast's names of the activations of Keras that its kernels have. Most are in keras.activations and in keras.ops.
_SAME_NAMES = (
    "tanh",
    "sigmoid",
    "relu",
    "linear",
    "hard_sigmoid",
    "softsign",
    "softplus",
    "elu",
    "selu",
    "exponential",
    "relu6",
)
_ACTIVATIONS = {**{name: name for name in _SAME_NAMES}, "leaky_relu": "leaky_relu(0.2)"}


class Masks(NamedTuple):
    """The dropout masks of one call, drawn by Keras's cell; None without dropout.

    Attributes:
        inputs: [B, I] for all gates, or [B, gates, I] with a mask for each of Keras's gates.
        state: [B, H] or [B, gates, H], likewise.
    """

    inputs: Any | None
    state: Any | None


def why_not(cell: Any) -> str | None:
    """One sentence that says why Keras has to run a cell, or None when Holdfast can.

    Args:
        cell: A cell of Keras, or any object that Keras accepts as a cell.
    """
    name = type(cell).__name__
    if type(cell) not in _KINDS:
        known = ", ".join(kind.__name__ for kind in _KINDS)
        return f"{name} is not one of the cells of Keras that Holdfast knows: {known}."
    for option in ("activation", "recurrent_activation"):
        function = getattr(cell, option, activations.linear)
        if _name(function) is None:
            shown = getattr(function, "__name__", type(function).__name__)
            return f"{option} is {shown}; the kernels have {', '.join(_ACTIVATIONS)}."
    if _KINDS[type(cell)] == "rnn" and cell.recurrent_dropout == 1:
        return f"recurrent_dropout of {name} is 1; the kernels have probabilities below 1."
    return None


def spec(cell: Any, input_size: int, training: bool) -> CellSpec:
    """The description of a cell for which :func:`why_not` returned None.

    Args:
        cell: The cell.
        input_size: I, values in a step of its input.
        training: Whether dropout is on.
    """
    kind = _KINDS[type(cell)]
    options: dict[str, Any] = {"activation": _name(cell.activation)}
    if kind != "rnn":
        options["recurrent_activation"] = _name(cell.recurrent_activation)
    if kind == "gru":
        options["reset_after"] = cell.reset_after
    if training and _drops(cell, "recurrent_dropout"):
        options["recurrent_dropout"] = cell.recurrent_dropout
        options["recurrent_dropout_mode"] = "state" if kind == "rnn" else "gates"
    two_biases = kind == "gru" and cell.reset_after
    return CellSpec(
        kind=kind,
        input_size=input_size,
        hidden_size=cell.units,
        bias=cell.use_bias,
        single_bias=cell.use_bias and not two_biases,
        **options,
    )


def weights(cell: Any) -> tuple[Any, Any, Any]:
    """Kernel, recurrent kernel, and bias or None."""
    return cell.kernel, cell.recurrent_kernel, cell.bias


def masks(cell: Any, step: Any, h: Any, training: bool) -> Masks:
    """The masks of a call, drawn by Keras from the cell's seed.

    Args:
        cell: The cell.
        step: A step of its inputs, [B, I].
        h: Its initial state, [B, H].
        training: Whether dropout is on.
    """
    return Masks(
        _stack_gates(cell.get_dropout_mask(step)) if training and _drops(cell, "dropout") else None,
        _stack_gates(cell.get_recurrent_dropout_mask(h)) if training and _drops(cell, "recurrent_dropout") else None,
    )


def dropped(inputs: Any, kernel: Any, mask: Any) -> tuple[Any, Any]:
    """Applies dropout to the inputs; returns the new inputs and the kernel for them.

    With a mask for each gate, each gate has its own inputs. The result has them side by side, [B, T, gates * I], and a
    block-diagonal kernel, [gates * I, gates * H]. If it takes fewer multiplications, the result has the products of
    inputs and kernel instead, [B, T, gates * H], and the identity as kernel.

    Args:
        inputs: [B, T, I].
        kernel: [I, gates * H].
        mask: As in :class:`Masks`.
    """
    if len(mask.shape) == 2:
        return inputs * ops.expand_dims(mask, 1), kernel
    gates, (size, columns) = mask.shape[1], kernel.shape
    gate_inputs = [inputs * mask[:, gate : gate + 1] for gate in range(gates)]
    if (gates - 1) * size > columns:
        products = [ops.matmul(*pair) for pair in zip(gate_inputs, ops.split(kernel, gates, 1), strict=True)]
        return ops.concatenate(products, -1), ops.eye(columns, dtype=kernel.dtype)
    blocks = ops.repeat(ops.repeat(ops.eye(gates, dtype=kernel.dtype), size, 0), columns // gates, 1)
    return ops.concatenate(gate_inputs, -1), ops.tile(kernel, (gates, 1)) * blocks


def _stack_gates(mask: Any) -> Any:
    return ops.stack(mask, 1) if isinstance(mask, list) else mask


def _name(function: Any) -> str | None:
    """Holdfast's name of an activation of Keras; None if it does not have it."""
    for name, holdfast_name in _ACTIVATIONS.items():
        if any(getattr(module, name, None) is function for module in (activations, ops)):
            return holdfast_name
    return None


def _drops(cell: Any, option: str) -> bool:
    """Whether a dropout is on while training; in cells with gates, a rate of 1 drops nothing."""
    rate = getattr(cell, option)
    return bool(0 < rate < 1 or (rate == 1 and _KINDS[type(cell)] == "rnn"))
