"""Token ids in, vectors out: the first layer of a network for texts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from holdfast.data.readers import vectors
from holdfast.data.vocabulary import PADDING, SPECIAL, UNKNOWN, Vocabulary
from holdfast.errors import DataError
from holdfast.files.pointers import refuse_pointers
from holdfast.tasks.network_settings import HeadSettings

Vectors = Mapping[int, npt.NDArray[np.float32]]
"""Pretrained vectors [E], by id."""


def known_vectors(path: Path, vocabulary: Vocabulary) -> dict[int, npt.NDArray[np.float32]]:
    """The vectors of a file for the tokens of a vocabulary, by id.

    Raises:
        DataError: The file has a vector for none of the tokens, or cannot be read.
    """
    refuse_pointers([path])
    places = {token: index for index, token in enumerate(vocabulary.tokens) if index >= len(SPECIAL)}
    vector_by_token = vectors.read(path, places)
    if not vector_by_token:
        raise DataError(
            f"{path} has a vector for none of the {len(places)} tokens of the training texts, such as "
            f"{', '.join([*places][:3])}. Check model.embedding_file; most such files have lower-case tokens only: "
            "set data.lower = true."
        )
    return {places[token]: vector for token, vector in vector_by_token.items()}


class TokenEmbedding(nn.Module):
    """A vector for each id of a vocabulary.

    Token dropout follows "Deep Unordered Composition Rivals Syntactic Methods for Text Classification" (Iyyer et al.
    2015), which removes words; here the unknown token replaces them.
    """

    def __init__(self, ids: int, settings: HeadSettings, pretrained: Vectors | None = None) -> None:
        """Draws the vectors from a normal distribution of mean 0.

        Args:
            ids: The size of the vocabulary.
            settings: The ``[model]`` table of the recipe.
            pretrained: Initial vectors of some ids; the others are drawn with the standard deviation of these values.
        """
        super().__init__()
        self.token_dropout = settings.token_dropout
        self.table = nn.Embedding(ids, settings.embedding_size, padding_idx=PADDING)
        values = np.stack(list(pretrained.values())) if pretrained else None
        with torch.no_grad():
            nn.init.normal_(self.table.weight, std=settings.embedding_std if values is None else float(values.std()))
            if pretrained and values is not None:
                self.table.weight[list(pretrained)] = torch.from_numpy(values)
            self.table.weight[PADDING] = 0
        self.table.weight.requires_grad_(not settings.freeze_embedding)
        self.dropout = nn.Dropout(settings.input_dropout)

    def forward(self, ids: Tensor) -> Tensor:
        """[B, T], int64 -> [B, T, embedding_size]; zeros for padding."""
        if self.training and self.token_dropout:
            dropped = torch.rand(ids.shape, device=ids.device) < self.token_dropout
            ids = torch.where(dropped & (ids != PADDING), UNKNOWN, ids)
        embedded: Tensor = self.dropout(self.table(ids))
        return embedded
