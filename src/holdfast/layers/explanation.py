"""``holdfast.explain``: which engine would run a call of a layer, and why not the others."""

from __future__ import annotations

from typing import Any

from holdfast.engines import Explanation, explain_request
from holdfast.engines.lengths import Lengths
from holdfast.errors import OptionError
from holdfast.layers.call_arguments import prepare_call
from holdfast.layers.recurrent_layer import RecurrentLayer


def explain(
    layer: RecurrentLayer,
    input: Any,
    hx: Any = None,
    *,
    lengths: Lengths | None = None,
    return_states: bool = False,
) -> Explanation:
    """Which engine would run this call of a layer, and for every other engine the reason why not.

    Nothing is computed and no random number is drawn.

    Args:
        layer: A layer of Holdfast.
        input: The input, [T, B, I], or [B, T, I] with ``batch_first``; a packed sequence, or [T, I], as in the call.
        hx: The initial state, as in the call.
        lengths: Steps in each row, as in the call.
        return_states: As in the call.

    Raises:
        OptionError: ``layer`` is not a layer of Holdfast.
        ShapeError: As in the call.
        EngineError: As in the call.

    Example:
        >>> import torch, holdfast
        >>> layer = holdfast.LSTM(3, 4, engine="reference")
        >>> holdfast.explain(layer, torch.zeros(5, 2, 3)).engine
        'reference'
    """
    if not isinstance(layer, RecurrentLayer):
        raise OptionError(
            f"explain got a {type(layer).__module__}.{type(layer).__name__}; expected a layer of Holdfast: an LSTM, a "
            "GRU or an RNN."
        )
    call = prepare_call(layer, input, hx, lengths)
    choices = []
    for number, spec in enumerate(layer.specs):
        x = call.inputs.new_empty(()).expand(*call.inputs.shape[:2], spec.input_size)  # a shape without memory
        for direction in range(layer.num_directions):
            request = layer._request(call, number, direction, x, return_states, draw=False)
            part = f"layer {number}" + (", reverse" if layer.reverse or direction else "")
            choices.append(explain_request(part, layer.engine, request))
    return Explanation(tuple(choices))
