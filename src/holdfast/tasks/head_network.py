"""Recurrent layers and a linear layer above them: on one vector per sequence, or on every step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Embedding, Head, HeadKind, Linear, Part
from holdfast.tasks.embedding import TokenEmbedding
from holdfast.tasks.network import recurrent_layers
from holdfast.tasks.network_settings import HeadSettings, LinearSettings


class HeadNetwork(nn.Module):
    """An optional linear layer on every step, recurrent layers, and a linear layer on one vector per sequence.

    For texts, an embedding comes first. ``head`` says what that vector is; without a head, the linear layer is applied
    to every step.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        settings: HeadSettings,
        embedding: TokenEmbedding | None = None,
        *,
        head: HeadKind | None,
    ) -> None:
        """Builds the network.

        Args:
            channels: C, values per step; for texts, per token vector.
            outputs: O, values of the output layer.
            settings: The ``[model]`` table of the recipe, whose ``head`` is not read.
            embedding: The layer that reads ids; None where a step consists of numbers.
            head: The vector that the output layer reads; None for the output of every step.

        Raises:
            OptionError: An option of the cell is unknown or does not fit.
        """
        super().__init__()
        self.head, self.bidirectional, self.merge = head, settings.bidirectional, settings.merge
        self.embedding = embedding
        width = settings.input_layer.size
        self.input = linear(channels, width, settings.input_layer) if width else None
        self.recurrent = recurrent_layers(width or channels, settings)
        self.dropout = nn.Dropout(settings.dropout)
        self.output = linear(self.recurrent.output_size, outputs, settings.output_layer)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, state: Any = None) -> tuple[Tensor, Any]:
        """Computes the values of the output layer.

        Args:
            inputs: [B, T, C], or ids [B, T].
            lengths: [B], or None when all rows have T steps.
            state: The recurrent layers' initial state; None for zeros.

        Returns:
            The values [B, O], or without a head [B, T, O]; and the recurrent layers' final state.
        """
        x = inputs if self.embedding is None else self.embedding(inputs)
        x = x if self.input is None else self.input(x)
        outputs, state = self.recurrent(x, state, lengths=lengths)
        if self.head == "last_state":
            outputs = self.recurrent.last_hidden(state)
        elif self.head is not None:
            outputs = pooled(outputs, lengths, self.head)
        return self.output(self.dropout(outputs)), state

    def chain(self) -> Chain:
        """The parts of the network."""
        parts: list[Part] = []
        if self.embedding is not None:
            parts.append(Embedding.of("embedding.table", self.embedding.table, mask_zero=True))
        if self.input is not None:
            parts.append(Linear.of("input", self.input))
        head = [] if self.head is None else [Head(self.head)]
        return Chain((*parts, self.recurrent.part("recurrent"), *head, Linear.of("output", self.output)))


def linear(inputs: int, outputs: int, settings: LinearSettings) -> nn.Linear:
    """A linear layer with the initial values of the recipe."""
    layer = nn.Linear(inputs, outputs)
    if settings.weight_std:
        nn.init.normal_(layer.weight, std=settings.weight_std)
    if settings.bias is not None:
        nn.init.constant_(layer.bias, settings.bias)
    return layer


def pooled(outputs: Tensor, lengths: Tensor | None, head: str) -> Tensor:
    """One vector per sequence, from the steps within its length; zeros for a sequence without steps.

    Args:
        outputs: [B, T, O], zero past a row's length.
        lengths: [B], or None when all rows have T steps.
        head: ``"last_output"``, ``"mean"`` or ``"max"``.

    Returns:
        [B, O].
    """
    steps = outputs.shape[1]
    if lengths is None:
        lengths = torch.full((outputs.shape[0],), steps, device=outputs.device)
    has_steps = (lengths > 0)[:, None]
    if head == "last_output":
        last = (lengths - 1).clamp(min=0)
        return outputs[torch.arange(outputs.shape[0], device=outputs.device), last]
    if head == "mean":
        return outputs.sum(1) / lengths.clamp(min=1)[:, None].to(outputs.dtype)
    padding = torch.arange(steps, device=outputs.device) >= lengths[:, None]
    highest = outputs.masked_fill(padding[:, :, None], -torch.inf).amax(1)
    return torch.where(has_steps, highest, torch.zeros_like(highest))
