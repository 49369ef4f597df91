"""What a translator reads: pairs of texts as ids, in the splits of a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from holdfast.data import Batch, Records, Splits, divided
from holdfast.data.batches import Indices
from holdfast.data.disk import groups
from holdfast.data.disk.columns import Column, sizes
from holdfast.data.disk.files import kept
from holdfast.data.disk.placement import on_disk
from holdfast.data.pieces import Source
from holdfast.data.pieces.lines import LinesSource
from holdfast.data.pieces.numbered_lines import numbered
from holdfast.data.readers import pairs
from holdfast.data.readers.pairs import Pairs
from holdfast.data.readers.paths import check_paths
from holdfast.data.sets import dates
from holdfast.data.sets.published import locate
from holdfast.data.vocabulary import END, PADDING
from holdfast.errors import DataError
from holdfast.tasks.translate.settings import TranslateData, TranslateRecipe
from holdfast.tasks.values import origins, texts_in

Ids = Sequence[int]


@dataclass(frozen=True, eq=False)
class PairBatch(Batch):
    """A few sources with their references.

    Attributes:
        inputs: The sources' ids, [B, S], int64.
        lengths: Tokens of each source, [B].
        targets: The ids of one target per source, with ``END``, [B, T]; None without targets.
        target_lengths: Tokens of each target, ``END`` included, [B]; 0 without targets.
        texts: The sources as texts, B.
        references: All right translations of each source, B.
    """

    lengths: Tensor
    target_lengths: Tensor
    texts: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]


class PairDataset:
    """Pairs as ids. Indexing by a list of positions gives a batch.

    Attributes:
        lengths: A sort key, [N], int64: it orders pairs by the tokens of the target, then of the source, so that
            batches have little padding on both sides.
    """

    def __init__(self, pairs: Pairs, sources: Sequence[Ids], targets: Sequence[Ids] | None) -> None:
        self._pairs, self._sources, self._targets = pairs, sources, targets
        self.on_disk = isinstance(sources, Column)
        self.lengths: Indices = sizes(sources)
        if targets is not None:
            targets_first = self.lengths.max(initial=0) + 1
            self.lengths = self.lengths + targets_first * (sizes(targets) + 1)  # with END

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
        targets, target_lengths = padded([[*self._targets[index], END] for index in chosen])
        references = tuple(tuple(self._pairs.targets[index]) for index in chosen)
        return PairBatch(inputs, lengths, targets, target_lengths, texts, references)


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Rows of ids as one tensor [B, longest], of at least one step, and their lengths [B]."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    filled = np.arange(lengths.max(initial=1)) < lengths[:, None]  # layers need a step, even if no row has one
    ids: npt.NDArray[np.int64] = np.full(filled.shape, PADDING, dtype=np.int64)
    ids[filled] = [token for row in rows for token in row]
    return torch.from_numpy(ids), torch.from_numpy(lengths)


def _labelled(paths: Sequence[Path], settings: TranslateData, *, disk: bool) -> Pairs:
    """Reads pairs with targets, to train or to measure on."""
    if disk and (len(paths) > 1 or not settings.parallel):
        rows = kept(pairs.in_pieces(paths, parallel=settings.parallel))
        if rows.targets is not None:
            return cast(Pairs, groups.grouped(rows.inputs, rows.targets, rows.origins, rows.origins.map(_file)))
    examples = pairs.read(paths, parallel=settings.parallel)
    if examples.targets is None:
        raise DataError(f"{paths[0]} has only sources; expected source<TAB>target in each line.")
    return examples


def _file(origin: str) -> str:
    return origin.rpartition("[")[0]


def _unseen(part: Pairs, train: Pairs) -> Pairs:
    """The examples whose source is not in the training part; after a swap of pairs, a source can be in both."""
    if isinstance(part.targets, groups.Groups):
        return cast(Pairs, groups.unseen(part, train))
    seen = set(train.inputs)
    return part.subset(index for index, source in enumerate(part.inputs) if source not in seen)


def load(recipe: TranslateRecipe, data_dir: Path | None) -> Splits[Pairs]:
    """Reads and splits the data of a recipe: no text of the first column, and no source, is in two parts."""
    settings = recipe.data
    train_files, test_files = locate(settings, "pairs", data_dir, made=["dates"])
    if settings.source == "dates":
        train, test = dates.pairs(settings.examples), None
    else:
        disk = on_disk(settings.storage, [*train_files, *test_files])
        train = _labelled(train_files, settings, disk=disk)
        test = _labelled(test_files, settings, disk=disk) if test_files else None
    splits = divided(train, test, settings, recipe.train.seed)
    if settings.reverse == (settings.source == "dates"):  # generated dates are split by the date, which is their target
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


def sources(paths: Sequence[Path], data: TranslateData) -> list[Source]:
    """Files with a source per line in pieces; nothing where a file has targets too.

    Raises:
        MissingDataError: A file does not exist.
        DataError: A file cannot be read.
    """
    check_paths(paths, "at least one file of texts", "file")
    if (data.parallel and len(paths) > 1) or any("\t" in line for path in paths for _, line in numbered(path)):
        return []
    return [_source(path) for path in paths]


def _source(path: Path) -> Source:
    def read(lines: Sequence[str], places: Sequence[int]) -> Records[str, list[str]]:
        return Records([pairs.plain(line) for line in lines], None, [f"{path}[{place}]" for place in places])

    return LinesSource(path, read, plain=True)
