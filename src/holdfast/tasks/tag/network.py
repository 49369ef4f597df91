"""The network of a tagger: vectors of words, recurrent layers, and a linear layer on every step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from holdfast.data.vocabulary import PADDING, UNKNOWN
from holdfast.layers import LSTM
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Embedding, Linear
from holdfast.layers.chain.special import WordVectors
from holdfast.tasks.network import recurrent_layers
from holdfast.tasks.tag.settings import TagModel


class Words(nn.Module):
    """A vector for each word: its embedding, and the final state of a bidirectional LSTM over its characters.

    From Ling et al. 2015, "Finding Function in Form". The LSTM reads each distinct word of a batch once.
    """

    def __init__(self, words: int, characters: int, settings: TagModel) -> None:
        """Builds the layers.

        Args:
            words: Size of the vocabulary of words.
            characters: Size of the vocabulary of characters.
            settings: The ``[model]`` table of the recipe.
        """
        super().__init__()
        self.word_dropout = settings.word_dropout
        self.words = embedding(words, settings.word_size)
        self.output_size = settings.word_size + 2 * settings.spelling_size
        self.spelling: LSTM | None = None
        if settings.spelling_size:
            self.characters = embedding(characters, settings.character_size)
            self.spelling = LSTM(settings.character_size, settings.spelling_size, batch_first=True, bidirectional=True)

    def forward(self, words: Tensor, spellings: Tensor, spelling_lengths: Tensor, places: Tensor) -> Tensor:
        """Gives words their vectors; arguments as in :class:`~holdfast.tasks.tag.data.SentenceBatch`.

        Returns:
            [B, T, output_size].
        """
        if self.training and self.word_dropout:
            dropped = torch.rand(words.shape, device=words.device) < self.word_dropout
            words = words.masked_fill(dropped & (words != PADDING), UNKNOWN)
        looked_up = self.words(words)
        if self.spelling is None:
            return looked_up  # type: ignore[no-any-return]
        _, (h, _) = self.spelling(self.characters(spellings), lengths=spelling_lengths)
        spelled = torch.cat([h[0], h[1]], -1)
        return torch.cat([looked_up, spelled[places]], -1)

    def part(self, name: str) -> WordVectors:
        """The layers as a part of a chain.

        Args:
            name: The name of these layers in the module that contains them.
        """
        words = Embedding.of(f"{name}.words", self.words)
        if self.spelling is None:
            return WordVectors(words)
        characters = Embedding.of(f"{name}.characters", self.characters)
        return WordVectors(words, characters, self.spelling.part(f"{name}.spelling"))


class Tagger(nn.Module):
    """Word vectors (or plain numbers), recurrent layers, and a linear layer on every step."""

    def __init__(self, inputs: Words | int, tags: int, settings: TagModel) -> None:
        """Builds the network.

        Args:
            inputs: The layer that gives words their vectors; or the number of values per step.
            tags: The number of tags; for two tags there is one output unit, the score of the second tag.
            settings: The ``[model]`` table of the recipe.

        Raises:
            OptionError: An option of the cell is unknown or does not fit.
        """
        super().__init__()
        self.words = None if isinstance(inputs, int) else inputs
        self.input_dropout = nn.Dropout(settings.input_dropout)
        self.recurrent = recurrent_layers(inputs if isinstance(inputs, int) else inputs.output_size, settings)
        self.dropout = nn.Dropout(settings.dropout)
        self.output = nn.Linear(self.recurrent.output_size, 1 if tags == 2 else tags)
        if settings.output_std:
            nn.init.normal_(self.output.weight, std=settings.output_std)

    def forward(
        self, inputs: Tensor, lengths: Tensor | None = None, *spelled: Tensor, state: Any = None
    ) -> tuple[Tensor, Any]:
        """Computes a score for each tag at each step.

        Args:
            inputs: Numbers [B, T, C], or words [B, T].
            lengths: [B], or None when all rows have T steps.
            spelled: The other arguments of :class:`Words`.
            state: The recurrent layers' initial state; None for zeros.

        Returns:
            The scores before softmax [B, T, tags], or before the sigmoid [B, T, 1]; and the recurrent layers' final
            state.
        """
        x = inputs if self.words is None else self.words(inputs, *spelled)
        outputs, state = self.recurrent(self.input_dropout(x), state, lengths=lengths)
        return self.output(self.dropout(outputs)), state

    def chain(self) -> Chain:
        """The parts of the network."""
        words = [] if self.words is None else [self.words.part("words")]
        return Chain((*words, self.recurrent.part("recurrent"), Linear.of("output", self.output)))


def embedding(count: int, size: int) -> nn.Embedding:
    """An embedding with vectors of length about 1; with torch's, of length 10 at size 100, learning takes longer."""
    vectors = nn.Embedding(count, size)
    nn.init.normal_(vectors.weight, std=size**-0.5)
    return vectors
