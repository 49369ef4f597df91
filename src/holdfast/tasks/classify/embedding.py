"""Ids in, vectors out: what a network for texts begins with."""

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
from holdfast.tasks.classify.settings import ClassifyModel

Vectors = Mapping[int, npt.NDArray[np.float32]]
"""Vectors [E] of some ids, learned elsewhere."""


def known_vectors(path: Path, vocabulary: Vocabulary) -> dict[int, npt.NDArray[np.float32]]:
    """The vectors that a file has of a vocabulary, by id.

    Raises:
        DataError: It has none of them, or cannot be read.
    """
    refuse_pointers([path])
    places = {token: index for index, token in enumerate(vocabulary.tokens) if index >= len(SPECIAL)}
    found = vectors.read(path, places)
    if not found:
        raise DataError(
            f"{path} has a vector for none of the {len(places)} tokens of the training texts, such as "
            f"{', '.join([*places][:3])}. Check model.embedding_file; data.lower = true makes capitals small, as most "
            "such files have them."
        )
    return {places[token]: vector for token, vector in found.items()}


class TokenEmbedding(nn.Module):
    """A vector for each id of a vocabulary.

    The dropout of tokens is that of "Deep Unordered Composition Rivals Syntactic Methods for Text Classification"
    (Iyyer et al. 2015), which takes words away; here the unknown word takes their place.
    """

    def __init__(self, ids: int, settings: ClassifyModel, given: Vectors | None = None) -> None:
        """Draws the vectors from a normal distribution of mean 0.

        Args:
            ids: The size of the vocabulary.
            settings: The ``[model]`` table of the recipe.
            given: What to start from instead, for the ids that it has; its values say how far the others are spread.
        """
        super().__init__()
        self.token_dropout = settings.token_dropout
        self.table = nn.Embedding(ids, settings.embedding_size, padding_idx=PADDING)
        values = np.stack(list(given.values())) if given else None
        with torch.no_grad():
            nn.init.normal_(self.table.weight, std=settings.embedding_std if values is None else float(values.std()))
            if given and values is not None:
                self.table.weight[list(given)] = torch.from_numpy(values)
            self.table.weight[PADDING] = 0
        self.table.weight.requires_grad_(not settings.freeze_embedding)
        self.dropout = nn.Dropout(settings.input_dropout)

    def forward(self, ids: Tensor) -> Tensor:
        """[B, T], int64 -> [B, T, embedding_size]; zeros for padding."""
        if self.training and self.token_dropout:
            dropped = torch.rand(ids.shape, device=ids.device) < self.token_dropout
            ids = torch.where(dropped & (ids != PADDING), UNKNOWN, ids)
        found: Tensor = self.dropout(self.table(ids))
        return found
