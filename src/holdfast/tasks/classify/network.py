"""The network of a classifier: recurrent layers, and a linear layer on what they end with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from holdfast.tasks.classify.embedding import TokenEmbedding
from holdfast.tasks.classify.settings import ClassifyModel, LinearSettings
from holdfast.tasks.network import recurrent_layers


class Classifier(nn.Module):
    """A linear layer on every step (if asked for), recurrent layers, and a linear layer on what they end with.

    For texts, an embedding comes first.
    """

    def __init__(
        self, channels: int, classes: int, settings: ClassifyModel, embedding: TokenEmbedding | None = None
    ) -> None:
        """Builds the network.

        Args:
            channels: C, values in a step, or in what the embedding makes of it.
            classes: Labels to tell apart.
            settings: The ``[model]`` table of the recipe.
            embedding: What reads ids; None where a step is numbers.

        Raises:
            OptionError: An option of the cell is unknown or does not fit.
        """
        super().__init__()
        self.head, self.bidirectional, self.merge = settings.head, settings.bidirectional, settings.merge
        self.embedding = embedding
        width = settings.input_layer.size
        self.input = linear(channels, width, settings.input_layer) if width else None
        self.recurrent = recurrent_layers(width or channels, settings)
        self.dropout = nn.Dropout(settings.dropout)
        self.output = linear(self.recurrent.output_size, classes, settings.output_layer)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, state: Any = None) -> tuple[Tensor, Any]:
        """Scores each label.

        Args:
            inputs: [B, T, C], or ids [B, T].
            lengths: [B], or None when all rows have T steps.
            state: The recurrent layers' initial state; None for zeros.

        Returns:
            The scores before softmax or sigmoid [B, classes], and the recurrent layers' final state.
        """
        x = inputs if self.embedding is None else self.embedding(inputs)
        x = x if self.input is None else self.input(x)
        outputs, state = self.recurrent(x, state, lengths=lengths)
        ended = self.recurrent.last_hidden(state) if self.head == "last_state" else pooled(outputs, lengths, self.head)
        return self.output(self.dropout(ended)), state


def linear(inputs: int, outputs: int, settings: LinearSettings) -> nn.Linear:
    """A linear layer with the initial values that the recipe asks for."""
    layer = nn.Linear(inputs, outputs)
    if settings.weight_std:
        nn.init.normal_(layer.weight, std=settings.weight_std)
    if settings.bias is not None:
        nn.init.constant_(layer.bias, settings.bias)
    return layer


def pooled(outputs: Tensor, lengths: Tensor | None, how: str) -> Tensor:
    """One vector a sequence, from the steps within its length; zeros for a sequence without steps.

    Args:
        outputs: [B, T, O], zero past a row's length.
        lengths: [B], or None when all rows have T steps.
        how: ``"last_output"``, ``"mean"`` or ``"max"``.

    Returns:
        [B, O].
    """
    steps = outputs.shape[1]
    if lengths is None:
        lengths = torch.full((outputs.shape[0],), steps, device=outputs.device)
    some = (lengths > 0)[:, None]
    if how == "last_output":
        last = (lengths - 1).clamp(min=0)
        return outputs[torch.arange(outputs.shape[0], device=outputs.device), last]
    if how == "mean":
        return outputs.sum(1) / lengths.clamp(min=1)[:, None].to(outputs.dtype)
    padding = torch.arange(steps, device=outputs.device) >= lengths[:, None]
    highest = outputs.masked_fill(padding[:, :, None], -torch.inf).amax(1)
    return torch.where(some, highest, torch.zeros_like(highest))
