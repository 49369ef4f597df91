"""The network of a language model, with the regularisation of the AWD-LSTM (Merity et al. 2018)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.errors import OptionError
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Embedding, Linear
from holdfast.tasks.generate.settings import GenerateModel
from holdfast.tasks.network import recurrent_layers


class LanguageModel(nn.Module):
    """An embedding, recurrent layers, and a linear layer that scores the next token at every step."""

    def __init__(self, tokens: int, settings: GenerateModel) -> None:
        """Builds the network.

        Args:
            tokens: V, the size of the vocabulary.
            settings: The ``[model]`` table of the recipe.

        Raises:
            OptionError: An option of the cell is unknown or does not fit, or the tied sizes differ.
        """
        super().__init__()
        self.settings = settings
        sizes = settings.hidden_size if isinstance(settings.hidden_size, list) else [settings.hidden_size]
        projected = settings.options.get("proj_size", 0)  # if it is no number, recurrent_layers refuses it below
        width = settings.embedding_size or (projected if isinstance(projected, int) else 0) or sizes[-1]
        self.embedding = nn.Embedding(tokens, width)
        self.recurrent = recurrent_layers(width, settings)
        self.output = nn.Linear(self.recurrent.output_size, tokens)
        self.output_dropout = settings.dropout if settings.output_dropout is None else settings.output_dropout
        if settings.tied:
            if width != self.recurrent.output_size:
                raise OptionError(
                    f"tied is on, embedding_size is {width}, and the recurrent layers give "
                    f"{self.recurrent.output_size} values; expected these to be equal. Set embedding_size = 0."
                )
            nn.init.normal_(self.embedding.weight, std=width**-0.5)  # as small as the weights of an output layer
            self.output.weight = self.embedding.weight

    def forward(
        self, inputs: Tensor, lengths: Tensor | None = None, state: Any = None, *, return_outputs: bool = False
    ) -> tuple[Any, ...]:
        """Computes a score for every token as the next one, at every step.

        Args:
            inputs: The tokens, [B, T], int64.
            lengths: [B], or None when all rows have T steps.
            state: The recurrent layers' initial state; None for zeros.
            return_outputs: Also return the recurrent layers' output.

        Returns:
            The scores before softmax [B, T, V] and the final state; with ``return_outputs`` also the recurrent
            layers' output [B, T, O] before dropout and after it.
        """
        outputs, state = self.recurrent(self._embedded(inputs), state, lengths=lengths)
        dropped = self._dropped(outputs, self.output_dropout)
        scores = self.output(dropped)
        return (scores, state, outputs, dropped) if return_outputs else (scores, state)

    def chain(self) -> Chain:
        """The parts of the network."""
        embedding, output = Embedding.of("embedding", self.embedding), Linear.of("output", self.output)
        return Chain((embedding, self.recurrent.part("recurrent"), output))

    def _embedded(self, inputs: Tensor) -> Tensor:
        """The input of the recurrent layers; in training, with dropout of tokens and values."""
        p = self.settings.embedding_dropout
        if self.training and p:
            weight = self.embedding.weight
            x = F.embedding(inputs, weight * F.dropout(weight.new_ones(len(weight), 1), p))
        else:
            x = self.embedding(inputs)
        return self._dropped(x, self.settings.input_dropout)

    def _dropped(self, x: Tensor, p: float) -> Tensor:
        """Dropout; with ``locked_dropout``, of the same units at every step."""
        if not self.settings.locked_dropout or not p:
            return F.dropout(x, p, self.training)
        return x * F.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), p, self.training)
