"""Exports recurrent layers: while a model is traced, each layer becomes one of ONNX's recurrent operators."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.cells import NAMES
from holdfast.cells.parameter_names import layer_suffix
from holdfast.errors import ConversionError
from holdfast.interop.onnx import recurrent as onnx_recurrent
from holdfast.layers import parameters
from holdfast.layers.recurrent_layer import RecurrentLayer

VERSION = 18
"""The version of ONNX's operators in written files."""


def exportable(model: nn.Module) -> nn.Module:
    """A copy of a model, in evaluation mode, whose recurrent layers are traced as nodes LSTM, GRU and RNN.

    Raises:
        ConversionError: The operators cannot express a layer; the message names the layer and the option.
    """
    model = copy.deepcopy(model).eval()
    for name, layer in model.named_modules():
        if isinstance(layer, RecurrentLayer):
            layer.forward = _Traced(layer, name or NAMES[layer.kind])  # type: ignore[assignment, method-assign]
    return model


class _Traced:
    """Replaces :meth:`RecurrentLayer.forward`, with the same inputs and results, by nodes."""

    def __init__(self, layer: RecurrentLayer, label: str) -> None:
        self._layer = layer
        self._attributes = []
        self._names: list[list[str]] = []
        count = layer.num_directions
        for number, spec in enumerate(layer.specs):
            self._attributes.append(onnx_recurrent.attributes(spec, count, layer.reverse, f"The layer {label!r}"))
            suffixes = [layer_suffix(number, direction) for direction in range(count)]
            detached = [
                {key: tensor.detach() for key, tensor in parameters.collect(layer, spec, suffix).items()}
                for suffix in suffixes
            ]
            arrays = onnx_recurrent.weights(spec, detached)
            for key, array in arrays.items():
                layer.register_buffer(key + layer_suffix(number), array)
            self._names.append(list(arrays))

    def __call__(
        self, input: Tensor, hx: Any = None, *, lengths: Tensor | None = None, return_states: bool = False
    ) -> tuple[Any, Any]:
        layer = self._layer
        if return_states:
            raise ConversionError("return_states needs the state after every step, which ONNX's operators do not give.")
        x = input.transpose(0, 1) if layer.batch_first else input
        counts = None if lengths is None else lengths.to(torch.int32)
        finals: list[tuple[Tensor, ...]] = []
        for number, initial in enumerate(self._initial_states(hx)):
            outputs, *final = self._add_node(number, x, counts, initial)
            merged = layer.merged([outputs[:, direction] for direction in range(layer.num_directions)])
            x = x + merged if layer.residual and number else merged
            finals.append(tuple(final))
        parts = [
            torch.cat(rows) if len({row.shape[2] for row in rows}) == 1 else rows for rows in zip(*finals, strict=True)
        ]
        return (x.transpose(0, 1) if layer.batch_first else x), (parts[0] if len(parts) == 1 else tuple(parts))

    def _initial_states(self, hx: Any) -> list[tuple[Tensor | None, ...]]:
        """The initial state of each layer, each part [directions, B, size]."""
        layer = self._layer
        letters = len(layer.specs[0].state_sizes)
        if hx is None:
            return [(None,) * letters] * layer.num_layers
        parts = hx if letters > 1 else (hx,)
        count = layer.num_directions
        columns = [
            [part[k : k + count] for k in range(0, len(layer.specs) * count, count)]
            if isinstance(part, Tensor)
            else part
            for part in parts
        ]
        return list(zip(*columns, strict=True))

    def _add_node(
        self, number: int, x: Tensor, lengths: Tensor | None, initial: tuple[Tensor | None, ...]
    ) -> tuple[Tensor, ...]:
        """Adds a node; returns Y [T, directions, B, H] and the parts of the final state [directions, B, H]."""
        layer, spec = self._layer, self._layer.specs[number]
        tensors = {"X": x, "sequence_lens": lengths, **dict(zip(("initial_h", "initial_c"), initial, strict=False))}
        tensors |= {key: getattr(layer, key + layer_suffix(number)) for key in self._names[number]}
        inputs = [tensors.get(name) for name in onnx_recurrent.INPUTS[spec.kind]]
        state = (layer.num_directions, x.shape[1], spec.hidden_size)
        shapes = [(x.shape[0], *state[:1], *state[1:]), *[state] * len(initial)]
        return tuple(
            torch.onnx.ops.symbolic_multi_out(
                NAMES[spec.kind],
                inputs,
                self._attributes[number],
                dtypes=[x.dtype] * len(shapes),
                shapes=shapes,
                version=VERSION,
            )
        )
