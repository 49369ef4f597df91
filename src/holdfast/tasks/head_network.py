"""Recurrent layers and a linear layer above them: on one vector per sequence, or on every step."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from holdfast import register
from holdfast.cells.nested_state import describe
from holdfast.errors import OptionError
from holdfast.layers.chain import Chain
from holdfast.layers.chain.own import Own, OwnTensor
from holdfast.layers.chain.parts import Embedding, Head, HeadKind, Linear, Part
from holdfast.tasks.embedding import TokenEmbedding
from holdfast.tasks.network import recurrent_layers
from holdfast.tasks.network_settings import HEADS, HeadSettings, LinearSettings


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
        head: str | None,
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
        self.embedding, self.input_noise = embedding, settings.input_noise
        width = settings.input_layer.size
        self.input = linear(channels, width, settings.input_layer) if width else None
        self.recurrent = recurrent_layers(width or channels, settings)
        self.own_head, width = None, self.recurrent.output_size
        if head is not None and head not in HEADS:
            self.own_head = register.find("head", head)(width)
            width = _own_width(head, self.own_head, width)
        self.dropout = nn.Dropout(settings.dropout)
        self.output = linear(width, outputs, settings.output_layer)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, state: Any = None) -> tuple[Tensor, Any]:
        """Computes the values of the output layer.

        Args:
            inputs: [B, T, C], or ids [B, T].
            lengths: [B], or None when all rows have T steps.
            state: The recurrent layers' initial state; None for zeros.

        Returns:
            The values [B, O], or without a head [B, T, O]; and the recurrent layers' final state.
        """
        x = self._noisy(inputs) if self.embedding is None else self.embedding(inputs)
        x = x if self.input is None else self.input(x)
        outputs, state = self.recurrent(x, state, lengths=lengths)
        if self.own_head is not None:
            outputs = self.own_head(outputs, lengths)
        elif self.head == "last_state":
            outputs = self.recurrent.last_hidden(state)
        elif self.head is not None:
            outputs = pooled(outputs, lengths, self.head)
        return self.output(self.dropout(outputs)), state

    def _noisy(self, inputs: Tensor) -> Tensor:
        """The inputs; in training with noise."""
        if not (self.training and self.input_noise):
            return inputs
        return inputs + self.input_noise * torch.randn_like(inputs)

    def chain(self) -> Chain:
        """The parts of the network."""
        parts: list[Part] = []
        if self.embedding is not None:
            parts.append(Embedding.of("embedding.table", self.embedding.table, mask_zero=True))
        if self.input is not None:
            parts.append(Linear.of("input", self.input))
        return Chain((*parts, self.recurrent.part("recurrent"), *self._head_part(), Linear.of("output", self.output)))

    def _head_part(self) -> list[Part]:
        if self.own_head is None or self.head is None:
            return [] if self.head is None else [Head(cast(HeadKind, self.head))]
        tensors = tuple(OwnTensor(f"own_head.{k}", tuple(v.shape)) for k, v in self.own_head.state_dict().items())
        return [Own("head", self.head, self.recurrent.output_size, self.output.in_features, tensors)]


def _own_width(name: str, head: Any, inputs: int) -> int:
    """The values that a head of your own gives, from a call on zeros.

    Raises:
        OptionError: It is no module, or does not give one vector per sequence.
    """
    if not isinstance(head, nn.Module):
        raise OptionError(f"The head {name!r} is {describe(head)}; expected a module with forward(outputs, lengths).")
    like = next((parameter for parameter in head.parameters()), torch.empty(0))
    was_training = head.training
    head.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        vector = head(torch.zeros(2, 3, inputs, dtype=like.dtype, device=like.device), None)
    head.train(was_training)
    if not isinstance(vector, Tensor) or vector.ndim != 2 or len(vector) != 2:
        raise OptionError(
            f"The head {name!r} made {describe(vector)} of outputs [2, 3, {inputs}]; expected one vector per sequence."
        )
    return int(vector.shape[1])


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
