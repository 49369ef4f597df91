"""What Holdfast makes of a cell of Keras: its description, or the reason why Keras has to run it."""

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
# What Holdfast calls the activations of Keras that its kernels have. Most are in Keras's activations and in its ops.
_SAME = (
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
_ACTIVATIONS = {**{name: name for name in _SAME}, "leaky_relu": "leaky_relu(0.2)"}


class Masks(NamedTuple):
    """The dropout masks of one call, as Keras's cell drew them; None for none.

    Attributes:
        inputs: [B, I] for all gates, or [B, gates, I] with one for each of Keras's gates.
        state: [B, H] or [B, gates, H], likewise.
    """

    inputs: Any | None
    state: Any | None


def why_not(cell: Any) -> str | None:
    """One sentence that says why Keras has to run a cell, or None when Holdfast can.

    Args:
        cell: A cell of Keras, or anything that Keras takes for one.
    """
    name = type(cell).__name__
    if type(cell) not in _KINDS:
        known = ", ".join(kind.__name__ for kind in _KINDS)
        return f"{name} is a cell of its own; Holdfast knows those of Keras: {known}."
    for option in ("activation", "recurrent_activation"):
        function = getattr(cell, option, activations.linear)
        if _name(function) is None:
            shown = getattr(function, "__name__", type(function).__name__)
            return f"{option} is {shown}; the kernels have {', '.join(_ACTIVATIONS)}."
    if _KINDS[type(cell)] == "rnn" and cell.recurrent_dropout == 1:
        return f"recurrent_dropout of {name} is 1; the kernels have probabilities below 1."
    return None


def spec(cell: Any, input_size: int, training: bool) -> CellSpec:
    """The description of a cell that :func:`why_not` has nothing against.

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
    """Kernel, recurrent kernel and bias, which is None without one."""
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
        _of_gates(cell.get_dropout_mask(step)) if training and _drops(cell, "dropout") else None,
        _of_gates(cell.get_recurrent_dropout_mask(h)) if training and _drops(cell, "recurrent_dropout") else None,
    )


def dropped(inputs: Any, kernel: Any, mask: Any) -> tuple[Any, Any]:
    """The inputs with their dropout, and the kernel that takes them.

    With a mask for each gate, every gate sees inputs of its own. They lie side by side, [B, T, gates * I], and the
    kernel, [gates * I, gates * H], has zeros where a gate meets those of another; or, where that takes fewer
    multiplications, their products do, [B, T, gates * H], and the kernel is the identity.

    Args:
        inputs: [B, T, I].
        kernel: [I, gates * H].
        mask: As in :class:`Masks`.
    """
    if len(mask.shape) == 2:
        return inputs * ops.expand_dims(mask, 1), kernel
    gates, (size, columns) = mask.shape[1], kernel.shape
    seen = [inputs * mask[:, gate : gate + 1] for gate in range(gates)]
    if (gates - 1) * size > columns:
        products = [ops.matmul(*pair) for pair in zip(seen, ops.split(kernel, gates, 1), strict=True)]
        return ops.concatenate(products, -1), ops.eye(columns, dtype=kernel.dtype)
    own = ops.repeat(ops.repeat(ops.eye(gates, dtype=kernel.dtype), size, 0), columns // gates, 1)
    return ops.concatenate(seen, -1), ops.tile(kernel, (gates, 1)) * own


def _of_gates(mask: Any) -> Any:
    return ops.stack(mask, 1) if isinstance(mask, list) else mask


def _name(function: Any) -> str | None:
    """What Holdfast calls an activation of Keras; None for one that it has not."""
    places = (activations, ops)
    found = (own for name, own in _ACTIVATIONS.items() if any(getattr(at, name, None) is function for at in places))
    return next(found, None)


def _drops(cell: Any, option: str) -> bool:
    """Whether a dropout is on while training: a rate of 1 drops nothing in the cells that have gates."""
    rate = getattr(cell, option)
    return bool(0 < rate < 1 or (rate == 1 and _KINDS[type(cell)] == "rnn"))
