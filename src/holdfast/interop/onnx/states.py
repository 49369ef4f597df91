"""The states of layers as inputs and outputs of an ONNX model."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from holdfast.cells import NAMES
from holdfast.cells.parameter_names import layer_suffix
from holdfast.errors import ConversionError
from holdfast.interop.onnx.export import Input
from holdfast.layers.recurrent_layer import RecurrentLayer


def check_streams(layer: RecurrentLayer) -> None:
    """Refuses a layer that needs later steps.

    Raises:
        ConversionError: The layer is bidirectional or runs in reverse.
    """
    if layer.bidirectional or layer.reverse:
        reason = "is bidirectional" if layer.bidirectional else "runs in reverse"
        raise ConversionError(
            f"The {NAMES[layer.kind]} {reason}: its output depends on later steps. The streaming form "
            "needs a layer that runs forwards; write the whole model instead."
        )


def state_inputs(layer: RecurrentLayer) -> dict[str, Input]:
    """The parts of a layer's state: ``h_0`` and ``c_0``; for layers of different sizes ``h_0_l0``, ``h_0_l1``, ...."""
    inputs = {}
    for letter in layer.specs[0].state_sizes:
        sizes = [spec.state_sizes[letter] for spec in layer.specs]
        if len(set(sizes)) == 1:
            inputs[f"{letter}_0"] = Input((len(sizes) * layer.num_directions, "batch", sizes[0]))
        else:
            for number, size in enumerate(sizes):
                inputs[f"{letter}_0{layer_suffix(number)}"] = Input((layer.num_directions, "batch", size))
    return inputs


def state_of(layer: RecurrentLayer, parts: tuple[Tensor, ...]) -> Any:
    """The state of a layer, from its parts in the order of :func:`state_inputs`."""
    letters = len(layer.specs[0].state_sizes)
    if len(parts) == letters:
        return parts if letters > 1 else parts[0]
    count = len(parts) // letters
    columns = tuple(parts[k : k + count] for k in range(0, len(parts), count))
    return columns if letters > 1 else columns[0]


def parts_of(state: Any) -> tuple[Tensor, ...]:
    """The inverse of :func:`state_of`."""
    return (state,) if isinstance(state, Tensor) else tuple(tensor for part in state for tensor in parts_of(part))
