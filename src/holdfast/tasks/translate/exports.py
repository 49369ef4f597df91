"""The forms of a translator for other software: an encoder, and a decoder that goes step by step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from holdfast.errors import ConversionError
from holdfast.layers.attention import Memory
from holdfast.layers.forms import LENGTHS, Form, Input, parts_of, state_inputs, state_of, states_after
from holdfast.tasks.translate.network import Decoding, Translator


def exports(model: Translator, streaming: bool) -> dict[str, Form]:
    """The forms ``encoder`` and ``decoder``.

    Args:
        model: The translator.
        streaming: Whether another streaming form is wanted.

    Raises:
        ConversionError: One is.
    """
    if streaming:
        raise ConversionError(
            "A translator is written as an encoder, which reads a source whole, and a decoder, which goes step by step "
            "as it is; there is no other streaming form. Write it without streaming."
        )
    sources = {"inputs": Input(("batch", "time"), "ids", model.source_embedding.num_embeddings), "lengths": LENGTHS}
    states = state_inputs(model.decoder)
    memory: dict[str, Input] = {}
    if model.attention is not None:
        width = model.attention.memory_size
        keys = model.attention.keys(torch.zeros(1, 1, width, dtype=model.output.weight.dtype))
        memory = {"memory": Input(("batch", "time", width)), "keys": Input(("batch", "time", keys.shape[-1]))}
    tokens = {"tokens": Input(("batch",), "ids", model.target_embedding.num_embeddings)}
    lengths = {"lengths": LENGTHS} if memory else {}
    return {
        "encoder": Form(_Encoder(model), sources, (*states, *memory)),
        "decoder": Form(_Decoder(model), {**tokens, **states, **memory, **lengths}, ("scores", *states_after(states))),
    }


class _Encoder(nn.Module):
    """Sources in; the decoder's initial state out, and what its attention looks at."""

    def __init__(self, model: Translator) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        state = self.model.begin(inputs, lengths)
        memory = () if state.memory is None else (state.memory.values, state.memory.keys)
        return (*parts_of(state.recurrent), *memory)


class _Decoder(nn.Module):
    """A token of each sentence and the state in; the next one's log probabilities and the state out."""

    def __init__(self, model: Translator) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        parts, memory = others, None
        if self.model.attention is not None:
            *parts, values, keys, lengths = others  # type: ignore[assignment]
            padding = torch.arange(values.shape[1], device=values.device) >= lengths[:, None]
            memory = Memory(values, keys, padding)
        state = Decoding(state_of(self.model.decoder, tuple(parts)), memory)
        scores, after = self.model.step(tokens[:, None], state)
        return (scores[:, 0], *parts_of(after.recurrent))
