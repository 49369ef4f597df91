"""The weights of Keras's recurrent layers, in each of the ways that its versions lay them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from holdfast.cells import CellSpec, make_spec
from holdfast.errors import ConversionError, OptionError
from holdfast.interop.keras.options import RecurrentOptions
from holdfast.interop.layouts import KERAS, KERAS1, Layout, Weights


def count(options: RecurrentOptions) -> int:
    """How many arrays a recurrent layer of Keras 2 or 3 has."""
    return 2 + options.use_bias


def parameters(
    options: RecurrentOptions, arrays: Sequence[Tensor], label: str
) -> tuple[RecurrentOptions, CellSpec, dict[str, Tensor]]:
    """The cell of a recurrent layer, and its parameters by Holdfast's names.

    Args:
        options: Those of the layer.
        arrays: Kernel, recurrent kernel and bias of Keras 2 and 3; or of Keras 1, these three for each gate.
        label: The layer, for the messages.

    Returns:
        The options, as the weights have them: a file of an LSTM may hold those of a CuDNNLSTM, and Keras reads it;
        the cell; and its parameters.

    Raises:
        ConversionError: The arrays are not those of such a layer.
    """
    layout, weights = _laid_out(options, arrays, label)
    doubled = weights.bias is not None and tuple(weights.bias.shape) == (2 * weights.recurrent.shape[1],)
    if options.cudnn or (doubled and options.kind != "rnn"):
        options = replace(options, cudnn=True, reset_after=True, activation="tanh", recurrent_activation="sigmoid")
        weights = _of_cudnn(weights, options, label)
    elif options.kind == "gru" and options.reset_after and weights.bias is not None and weights.bias.ndim == 2:
        weights = weights._replace(bias=weights.bias[0], recurrent_bias=weights.bias[1:].flatten())
    sizes = {"input_size": weights.input.shape[0], "hidden_size": options.units}
    try:
        spec = make_spec(options.kind, {**sizes, **options.of_cell()})
    except OptionError as error:
        raise ConversionError(f"{label} cannot be built: {error}") from error
    return options, spec, layout.inward(spec, weights, label)


def _laid_out(options: RecurrentOptions, arrays: Sequence[Tensor], label: str) -> tuple[Layout, Weights]:
    gates = len(KERAS.gates[options.kind])
    layout = KERAS
    if gates > 1 and len(arrays) == gates * count(options):
        layout, each = KERAS1, count(options)
        if any(array.ndim != 2 for array in _without(arrays, 2, each)):
            raise _mismatch(arrays, options, label)
        sizes = {tuple(array.shape) for array in arrays[::each]}, {tuple(array.shape) for array in arrays[1::each]}
        if any(len(size) != 1 for size in sizes):
            raise _mismatch(arrays, options, label)
        arrays = [torch.cat(list(arrays[part::each]), -1) for part in range(each)]
    if len(arrays) != count(options) or arrays[0].ndim != 2 or arrays[1].ndim != 2 or 0 in arrays[0].shape:
        raise _mismatch(arrays, options, label)
    return layout, Weights(arrays[0], arrays[1], arrays[2] if options.use_bias else None)


def _without(arrays: Sequence[Tensor], part: int, each: int) -> list[Tensor]:
    return [array for number, array in enumerate(arrays) if number % each != part]


def _of_cudnn(weights: Weights, options: RecurrentOptions, label: str) -> Weights:
    """Weights as cuDNN has them, each gate [H, I] written into a block of [I, H], as the other layers have them."""
    H, gates = options.units, len(KERAS.gates[options.kind])
    bias = weights.bias
    I = weights.input.shape[0]  # noqa: E741  (the letter of the equations)
    shapes = [tuple(weights.input.shape), tuple(weights.recurrent.shape), None if bias is None else tuple(bias.shape)]
    if bias is None or shapes != [(I, gates * H), (H, gates * H), (2 * gates * H,)]:
        raise ConversionError(
            f"{label} has weights of the shapes {shapes}; expected {(I, gates * H)}, {(H, gates * H)} and "
            f"{(2 * gates * H,)} for {H} units as cuDNN has them. Its weights and its settings are not from the same "
            "model."
        )
    turned = [
        torch.cat([block.reshape(H, -1) for block in array.chunk(gates, 1)]).T
        for array in (weights.input, weights.recurrent)
    ]
    return Weights(turned[0], turned[1], *bias.chunk(2))


def _mismatch(arrays: Sequence[Tensor], options: RecurrentOptions, label: str) -> ConversionError:
    shapes = ", ".join("x".join(map(str, array.shape)) for array in arrays[:12]) or "none"
    wanted = "kernel, recurrent kernel and bias" if options.use_bias else "kernel and recurrent kernel"
    return ConversionError(
        f"{label} has {len(arrays)} arrays ({shapes}); expected {wanted}. Its weights and its settings are not from "
        "the same model."
    )
