"""Converts the weights of Keras's recurrent layers, in the layouts of all its versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from holdfast.cells import CellSpec, make_spec
from holdfast.errors import ConversionError, OptionError
from holdfast.interop.keras.options import RecurrentOptions
from holdfast.interop.layouts import KERAS, KERAS1, Layout, Weights


def array_count(options: RecurrentOptions) -> int:
    """The number of arrays of a recurrent layer in Keras 2 or 3."""
    return 2 + options.use_bias


def parameters(
    options: RecurrentOptions, arrays: Sequence[Tensor], label: str
) -> tuple[RecurrentOptions, CellSpec, dict[str, Tensor]]:
    """The cell of a recurrent layer, and its parameters by Holdfast's names.

    Args:
        options: The options of the layer.
        arrays: Kernel, recurrent kernel and bias in Keras 2 and 3; these three per gate in Keras 1.
        label: The layer's name, for the messages.

    Returns:
        The options that fit the weights (the file of an LSTM may hold the weights of a CuDNNLSTM, and Keras reads it);
        the cell; and its parameters.

    Raises:
        ConversionError: The arrays are not those of such a layer.
    """
    layout, weights = _find_layout(options, arrays, label)
    two_biases = weights.bias is not None and tuple(weights.bias.shape) == (2 * weights.recurrent.shape[1],)
    if options.cudnn or (two_biases and options.kind != "rnn"):
        options = replace(options, cudnn=True, reset_after=True, activation="tanh", recurrent_activation="sigmoid")
        weights = _from_cudnn(weights, options, label)
    elif options.kind == "gru" and options.reset_after and weights.bias is not None and weights.bias.ndim == 2:
        weights = weights._replace(bias=weights.bias[0], recurrent_bias=weights.bias[1:].flatten())
    sizes = {"input_size": weights.input.shape[0], "hidden_size": options.units}
    try:
        spec = make_spec(options.kind, {**sizes, **options.layer_options()})
    except OptionError as error:
        raise ConversionError(f"{label} cannot be built: {error}") from error
    return options, spec, layout.inward(spec, weights, label)


def _find_layout(options: RecurrentOptions, arrays: Sequence[Tensor], label: str) -> tuple[Layout, Weights]:
    gates = len(KERAS.gates[options.kind])
    layout = KERAS
    if gates > 1 and len(arrays) == gates * array_count(options):
        layout, each = KERAS1, array_count(options)
        if any(array.ndim != 2 for number, array in enumerate(arrays) if number % each != 2):
            raise _mismatch(arrays, options, label)
        sizes = {tuple(array.shape) for array in arrays[::each]}, {tuple(array.shape) for array in arrays[1::each]}
        if any(len(size) != 1 for size in sizes):
            raise _mismatch(arrays, options, label)
        arrays = [torch.cat(list(arrays[part::each]), -1) for part in range(each)]
    if len(arrays) != array_count(options) or arrays[0].ndim != 2 or arrays[1].ndim != 2 or 0 in arrays[0].shape:
        raise _mismatch(arrays, options, label)
    return layout, Weights(arrays[0], arrays[1], arrays[2] if options.use_bias else None)


def _from_cudnn(weights: Weights, options: RecurrentOptions, label: str) -> Weights:
    """Converts cuDNN's weights, with each gate [H, I] stored in a block [I, H], to the layout of the other layers."""
    H, gates = options.units, len(KERAS.gates[options.kind])
    bias = weights.bias
    I = weights.input.shape[0]  # noqa: E741  (the letter of the equations)
    shapes = [tuple(weights.input.shape), tuple(weights.recurrent.shape), None if bias is None else tuple(bias.shape)]
    if bias is None or shapes != [(I, gates * H), (H, gates * H), (2 * gates * H,)]:
        raise ConversionError(
            f"{label} has weights of the shapes {shapes}; expected {(I, gates * H)}, {(H, gates * H)} and "
            f"{(2 * gates * H,)} for {H} units in cuDNN's layout. Its weights and its settings are not from the same "
            "model."
        )
    transposed = [
        torch.cat([block.reshape(H, -1) for block in array.chunk(gates, 1)]).T
        for array in (weights.input, weights.recurrent)
    ]
    return Weights(transposed[0], transposed[1], *bias.chunk(2))


def _mismatch(arrays: Sequence[Tensor], options: RecurrentOptions, label: str) -> ConversionError:
    shapes = ", ".join("x".join(map(str, array.shape)) for array in arrays[:12]) or "none"
    expected = "kernel, recurrent kernel and bias" if options.use_bias else "kernel and recurrent kernel"
    return ConversionError(
        f"{label} has {len(arrays)} arrays ({shapes}); expected {expected}. Its weights and its settings are not from "
        "the same model."
    )
