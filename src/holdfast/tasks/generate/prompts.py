"""Prompts: what a text is to begin with."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from holdfast.data.batches import Batch, Indices
from holdfast.data.vocabulary import BEGIN, PADDING, Vocabulary


class Prompt(NamedTuple):
    """What a text is to begin with; ``number`` tells the samples of one prompt apart."""

    text: str
    number: int

    @property
    def key(self) -> tuple[int, int]:
        """What the random numbers of its sample depend on, besides the seed."""
        return self.number, zlib.crc32(self.text.encode())


@dataclass(frozen=True, eq=False)
class PromptBatch(Batch):
    """Prompts as tokens, [B, T].

    Attributes:
        prompts: The prompts themselves.
    """

    prompts: tuple[Prompt, ...] = ()


class PromptDataset:
    """Prompts; indexed by lists of positions, it gives batches.

    Attributes:
        lengths: Tokens of each, [N], int64.
    """

    def __init__(self, prompts: Sequence[Prompt], vocabulary: Vocabulary, *, begin: bool) -> None:
        """Turns the prompts into tokens.

        Args:
            prompts: The prompts.
            vocabulary: Of the model.
            begin: Whether ``BEGIN`` stands before each; if not, only an empty one has it.
        """
        self._prompts = prompts
        tokens = vocabulary.encode([prompt.text for prompt in prompts])
        self._tokens = [[BEGIN, *ids] if begin or not ids else ids for ids in tokens]
        self.lengths = np.array([len(tokens) for tokens in self._tokens], dtype=np.int64)

    def __len__(self) -> int:
        """The number of prompts, N."""
        return len(self._prompts)

    def __getitems__(self, indices: Indices) -> PromptBatch:
        """The prompts at these positions, in this order, as one batch."""
        tokens = [torch.tensor(self._tokens[index]) for index in indices]
        padded = pad_sequence(tokens, batch_first=True, padding_value=PADDING)
        lengths = torch.from_numpy(self.lengths[indices])
        return PromptBatch(padded, lengths, None, tuple(self._prompts[index] for index in indices))
