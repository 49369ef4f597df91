"""The arguments of a call of a layer: from what the caller passed to what requests are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from holdfast.cells import NAMES
from holdfast.engines.lengths import Lengths, check_lengths
from holdfast.errors import ShapeError
from holdfast.layers import layer_state, parameters
from holdfast.layers.layout import LAYOUTS, Layout, check_input

if TYPE_CHECKING:
    from holdfast.layers.recurrent_layer import RecurrentLayer


class CallArguments(NamedTuple):
    """The arguments of a call, checked and in one form.

    Attributes:
        inputs: [B, T, I].
        state: One tuple for each layer and direction.
        lengths: int64 [B], or None when all rows have all steps.
        layout: Of the caller's input.
        packed: The caller's input, if it was a ``PackedSequence``.
        weights: The :meth:`~holdfast.layers.recurrent_layer.RecurrentLayer.named_weights`.
    """

    inputs: Tensor
    state: list[layer_state.CellState]
    lengths: Tensor | None
    layout: Layout
    packed: PackedSequence | None
    weights: Mapping[str, Tensor | None]


def prepare_call(layer: RecurrentLayer, input: Any, hx: Any, lengths: Lengths | None) -> CallArguments:
    """Checks the arguments of a call and brings them into one form.

    Raises:
        ShapeError: The input, state or lengths do not have the right shape or dtype.
    """
    name = NAMES[layer.kind]
    packed = input if isinstance(input, PackedSequence) else None
    if packed is not None:
        if lengths is not None:
            raise ShapeError(
                f"{name} got a PackedSequence and lengths; expected one of them: a PackedSequence has its lengths in "
                "it."
            )
        input, lengths = pad_packed_sequence(packed, layer.batch_first)
    check_input(name, input, layer.input_size, layer.batch_first)
    layout = LAYOUTS[input.ndim == 3, not layer.batch_first]
    x = layout.inward(input)
    weights = layer.named_weights()
    weight = parameters.get(layer, "weight_ih_l0", weights)
    state = layer_state.split(layer.specs, layer.num_directions, hx, x, layout.batched, weight)
    if lengths is not None:
        lengths = check_lengths(lengths, x.shape[0], x.shape[1], x.device)
    return CallArguments(x, state, lengths, layout, packed, weights)
