"""Pairs of texts as a translator reads them, and the splits of a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from holdfast.data import Batch, Records, Splits, divided
from holdfast.data.batches import Indices
from holdfast.data.readers import pairs
from holdfast.data.readers.pairs import Pairs
from holdfast.data.sets import dates
from holdfast.data.sets.published import locate
from holdfast.data.vocabulary import END, PADDING
from holdfast.errors import DataError
from holdfast.tasks.translate.settings import TranslateData, TranslateRecipe
from holdfast.tasks.values import origins, texts_in


@dataclass(frozen=True, eq=False)
class PairBatch(Batch):
    """A few sources, and what is right for them.

    Attributes:
        inputs: The sources' ids, [B, S], int64.
        lengths: Tokens of each source, [B].
        targets: The ids of one target each, with ``END``, [B, T]; None without targets.
        target_lengths: Tokens of each target, ``END`` included, [B]; 0 without targets.
        texts: The sources as they were read, B.
        references: All that is right for each source, B.
    """

    lengths: Tensor
    target_lengths: Tensor
    texts: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]


class PairDataset:
    """Pairs as ids in memory; indexed by lists of positions, it gives batches.

    Attributes:
        lengths: What pairs of like length share, [N]: ordered by it they are ordered by their target's tokens, then by
            their source's, so that batches have little padding on both sides.
    """

    def __init__(self, pairs: Pairs, sources: list[list[int]], targets: list[list[int]] | None) -> None:
        self._pairs, self._sources = pairs, sources
        self._targets = None if targets is None else [[*target, END] for target in targets]
        self.lengths: Indices = np.array([len(source) for source in sources], dtype=np.int64)
        if self._targets is not None:
            targets_first = self.lengths.max(initial=0) + 1
            self.lengths += targets_first * np.array([len(target) for target in self._targets], dtype=np.int64)

    def __len__(self) -> int:
        """The number of pairs, N."""
        return len(self._sources)

    def __getitems__(self, indices: Indices) -> PairBatch:
        """The pairs at these positions, in this order."""
        chosen = indices.tolist()
        inputs, lengths = padded([self._sources[index] for index in chosen])
        texts = tuple(self._pairs.inputs[index] for index in chosen)
        if self._targets is None or self._pairs.targets is None:
            return PairBatch(inputs, lengths, None, torch.zeros_like(lengths), texts, ((),) * len(texts))
        targets, target_lengths = padded([self._targets[index] for index in chosen])
        references = tuple(tuple(self._pairs.targets[index]) for index in chosen)
        return PairBatch(inputs, lengths, targets, target_lengths, texts, references)


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Rows of ids as one tensor [B, longest], of at least one step, and their lengths [B]."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    filled = np.arange(lengths.max(initial=1)) < lengths[:, None]  # layers want a step, even where no row has one
    ids: npt.NDArray[np.int64] = np.full(filled.shape, PADDING, dtype=np.int64)
    ids[filled] = [one for row in rows for one in row]
    return torch.from_numpy(ids), torch.from_numpy(lengths)


def _known(paths: Sequence[Path], settings: TranslateData) -> Pairs:
    """Pairs to learn from or to measure on."""
    found = pairs.read(paths, parallel=settings.parallel)
    if found.targets is None:
        raise DataError(f"{paths[0]} has sources alone; expected source<TAB>target in each line.")
    return found


def _unseen(part: Pairs, train: Pairs) -> Pairs:
    """A part without the sources that are trained on; turning pairs round can bring the same source into both."""
    seen = set(train.inputs)
    return part.subset(index for index, source in enumerate(part.inputs) if source not in seen)


def load(recipe: TranslateRecipe, data_dir: Path | None) -> Splits[Pairs]:
    """Reads the data of a recipe, in its splits: no text of the first column, and no source, is in two parts."""
    settings = recipe.data
    train_files, test_files = locate(settings, "pairs", data_dir, made=["dates"])
    if settings.source == "dates":
        train, test = dates.pairs(settings.examples), None
    else:
        train = _known(train_files, settings)
        test = _known(test_files, settings) if test_files else None
    splits = divided(train, test, settings, recipe.train.seed)
    if settings.reverse == (settings.source == "dates"):  # made-up dates are split by the date, their target
        return splits
    train, test = pairs.inverted(splits.train), pairs.inverted(splits.test)
    validation = None if splits.validation is None else _unseen(pairs.inverted(splits.validation), train)
    return Splits(train, validation, test if test_files else _unseen(test, train))


def from_values(values: Any) -> Pairs:
    """Sources from a list of texts.

    Raises:
        DataError: A value is no text.
    """
    sources = [pairs.plain(text) for text in texts_in(values)]
    return Records(sources, None, origins(sources))
