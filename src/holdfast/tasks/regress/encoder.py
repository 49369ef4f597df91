"""What a regressor reads and learns: scaled sequences or ids, and targets that are scaled by the training split."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from holdfast.data import Examples, Records, SequenceDataset, SequenceEncoder, fit_scaling
from holdfast.data.batch import Batch
from holdfast.data.batches import Indices
from holdfast.data.disk.columns import Column
from holdfast.data.examples import Array
from holdfast.data.saved import Saved
from holdfast.data.settings import NumbersSettings
from holdfast.data.text_encoder import IdDataset
from holdfast.data.vocabulary import UNKNOWN, Vocabulary
from holdfast.errors import DataError, HoldfastWarning
from holdfast.runtime.scaling import Scaling

Rows = npt.NDArray[np.float64]


class Targets(Saved):
    """The targets: their names, and the scale on which the network learns them.

    Attributes:
        names: K names: the columns of a table, or ``target``, or ``target 0``, ``target 1``, ...
        scaling: Their mean and standard deviation over the known targets of the training split.
    """

    names: tuple[str, ...]
    scaling: Scaling

    @classmethod
    def fit(cls, train: Examples | Records[Any, Any], settings: NumbersSettings) -> Targets:
        """Fits the scale.

        Args:
            train: The training split, and nothing else.
            settings: ``target_names`` is used.

        Raises:
            DataError: There are no targets, or all values of one are missing.
        """
        if train.targets is None:
            raise DataError(
                f"{train.origins[0]} and the other training sequences have no targets; expected a number for each. "
                "Tables: data.target_columns; arrays: y beside X; .ts: @targetLabel true; folders and text files: "
                "their names are numbers."
            )
        rows = _rows(train)
        ranges = _ranges(rows)
        names = _names(len(ranges), settings)
        for name, (low, high) in zip(names, ranges, strict=True):
            if np.isnan(low):
                raise DataError(f"All training sequences lack the target {name!r}; expected it in some. Leave it out.")
            if low == high:
                warnings.warn(
                    f"The target {name!r} is {low:g} in all training sequences, so there is nothing to learn from "
                    "it. Check the column, or train on more sequences.",
                    HoldfastWarning,
                    stacklevel=2,
                )
        return cls(names=names, scaling=fit_scaling(Examples(rows, None, train.origins, True), "standard"))

    def __len__(self) -> int:
        """The number of targets, K."""
        return len(self.names)

    def scaled(self, examples: Examples | Records[Any, Any]) -> Tensor | Sequence[Tensor]:
        """The scaled targets: [N, K], or [T_i, K] of each sequence for targets per step; float32, NaN where missing.

        Raises:
            DataError: There are not K targets.
        """
        rows = _rows(examples)
        for each, origin in zip(rows[:1] if isinstance(rows, Column) else rows, examples.origins, strict=False):
            if each.shape[1] != len(self):
                raise DataError(
                    f"{origin} has {each.shape[1]} targets; the model was trained on {len(self)}: "
                    f"{', '.join(self.names)}."
                )
        if isinstance(rows, np.ndarray):
            return torch.from_numpy(self.scaling.apply(rows[:, 0]))
        return (
            rows.map(self._scaled, by_step=True) if isinstance(rows, Column) else [self._scaled(each) for each in rows]
        )

    def _scaled(self, rows: Rows) -> Tensor:
        return torch.from_numpy(self.scaling.apply(rows))

    def restored(self, values: Tensor) -> Tensor:
        """Scaled values in the units of the targets.

        Args:
            values: [..., K, Q].

        Returns:
            [..., K, Q], float64.
        """
        mean, std = (
            torch.tensor(each, dtype=torch.float64, device=values.device)[:, None]
            for each in (self.scaling.mean, self.scaling.std)
        )
        return values.double() * std + mean


class NumbersEncoder(SequenceEncoder):
    """A :class:`SequenceEncoder` of sequences whose targets are numbers.

    Attributes:
        settings: How the training files were read; ``per`` says what has a target.
        targets: The names and the scale of the targets.
    """

    kind: Literal["numbers"] = "numbers"
    settings: NumbersSettings
    targets: Targets

    def labelled(self, examples: Examples) -> SequenceDataset | StepDataset:
        """The sequences of :meth:`encode` with their scaled targets [N, K], or [N, T, K] for targets per step.

        Raises:
            DataError: The channels or the number of targets differ from those of the training split.
        """
        sequences = self.encode(examples.unlabelled())
        if examples.targets is None:
            return sequences
        targets = self.targets.scaled(examples)
        if not isinstance(targets, Tensor):
            return StepDataset(sequences, targets)
        sequences.targets = targets if len(targets) else torch.zeros(0, len(self.targets))
        return sequences


class WordsEncoder(Saved):
    """A vocabulary for texts whose targets are numbers.

    Attributes:
        vocabulary: What the ids stand for.
        settings: How the training files were read.
        targets: The names and the scale of the targets.
    """

    kind: Literal["texts"] = "texts"
    vocabulary: Vocabulary
    settings: NumbersSettings
    targets: Targets

    def labelled(self, texts: Records[str, Any]) -> IdDataset:
        """The ids of texts and their scaled targets [N, K]. A text without tokens becomes one unknown token.

        Raises:
            DataError: The number of targets differs from the training split.
        """
        targets = None if texts.targets is None else cast(Tensor, self.targets.scaled(texts))
        return IdDataset(self.vocabulary.encode_all(texts.inputs, least=[UNKNOWN]), targets)


def fit(train: Any, settings: NumbersSettings) -> NumbersEncoder | WordsEncoder:
    """The encoder of a training split, and nothing else.

    Raises:
        DataError: There are no sequences, they have no targets, or all values of a channel or target are missing.
    """
    if not len(train):
        raise DataError("There are no sequences to train on; expected at least one.")
    kept = NumbersSettings.of(settings)
    if settings.unit:
        vocabulary = Vocabulary.fit(
            train.inputs, settings.unit, size=settings.vocabulary_size, lower=settings.lower, least=settings.least
        )
        return WordsEncoder(vocabulary=vocabulary, settings=kept, targets=Targets.fit(train, settings))
    targets = Targets.fit(train, settings)
    fitted = dict(SequenceEncoder.fit(train, settings))
    per = "step" if train.per_step else "sequence"
    changes = {"per": per, "feature_columns": fitted["settings"].feature_columns}
    return NumbersEncoder(**{**fitted, "settings": kept.model_copy(update=changes)}, targets=targets)


class StepDataset:
    """Encoded sequences with targets per step; indexed by lists of positions, it gives batches.

    Attributes:
        lengths: Steps of each sequence, [N], int64.
    """

    def __init__(self, sequences: SequenceDataset, targets: Sequence[Tensor]) -> None:
        """Keeps both.

        Args:
            sequences: N sequences.
            targets: Their targets [T_i, K].
        """
        self._sequences, self._targets = sequences, targets
        self.lengths, self.on_disk = sequences.lengths, sequences.on_disk

    def __len__(self) -> int:
        """The number of sequences, N."""
        return len(self._sequences)

    def __getitems__(self, indices: Sequence[int] | Indices) -> Batch:
        """The sequences at these positions, with targets [B, T, K] that are NaN past the length of a row."""
        targets = [self._targets[int(index)] for index in indices]
        padded = pad_sequence(targets, batch_first=True, padding_value=torch.nan)
        return replace(self._sequences.__getitems__(indices), targets=padded)

    def steps(self, index: int, begin: int, end: int) -> Batch:
        """The steps from ``begin`` to before ``end`` of a sequence with their targets, as a batch of one."""
        kept = self._targets
        targets = kept.steps(index, begin, end) if isinstance(kept, Column) else kept[index][begin:end]
        return replace(self._sequences.steps(index, begin, end), targets=targets[None])


def _rows(examples: Examples | Records[Any, Any]) -> Rows | list[Rows] | Column[Rows]:
    """The targets of each sequence: one array [N, 1, K], or [T_i, K] of each for targets per step."""
    targets = examples.targets if examples.targets is not None else []
    if isinstance(examples, Examples) and examples.per_step:
        if isinstance(targets, Column):
            return targets.map(_per_step, shape=targets.shape or (1,), by_step=True)
        return [_per_step(target) for target in targets]
    numbers = targets.gathered() if isinstance(targets, Column) else targets
    return np.asarray(numbers, np.float64).reshape(len(targets), 1, -1 if len(targets) else 1)


def _per_step(target: Array) -> Rows:
    return np.asarray(target, np.float64).reshape(len(target), -1)


def _ranges(rows: Sequence[Rows] | Rows) -> list[tuple[float, float]]:
    """The smallest and the largest known value of each target; NaN where none is known."""
    low, high = (np.full(rows[0].shape[1], np.nan) for _ in range(2))
    for each in rows:
        low, high = np.fmin(low, np.fmin.reduce(each, 0)), np.fmax(high, np.fmax.reduce(each, 0))
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _names(count: int, settings: NumbersSettings) -> tuple[str, ...]:
    """The names of the columns, where a recipe names as many; else numbered."""
    named = settings.target_columns or ([] if settings.label_column == "label" else [settings.label_column])
    if len(named) == count:
        return tuple(named)
    return tuple(f"target {number}" for number in range(count)) if count > 1 else ("target",)
