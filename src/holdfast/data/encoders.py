"""What is fitted on the training split and then stays the same: labels, scaling, and how files are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from pydantic import SerializerFunctionWrapHandler, model_serializer
from torch import Tensor

from holdfast.data.batches import SequenceDataset
from holdfast.data.disk.columns import Column
from holdfast.data.examples import Array, Examples
from holdfast.data.labels import Labelled, Labels
from holdfast.data.missing import NOTHING_FILLED, Filling
from holdfast.data.saved import Saved
from holdfast.data.settings import ReadingSettings
from holdfast.errors import DataError
from holdfast.runtime.scaling import Scaling, ScalingKind

_MOST_SEQUENCES, _MOST_VALUES = 4096, 2**24
"""Sequences, and values in them, whose statistics are taken at once: at least one sequence, and then up to these."""
_PIXEL = 128


class Rows(Protocol):
    """What statistics need of examples: rows that are computed when they are needed are no ``Examples``."""

    @property
    def inputs(self) -> Array | Sequence[Array]:
        """As in ``Examples``."""

    @property
    def origins(self) -> Sequence[str]:
        """As in ``Examples``; the first one is enough."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """As in ``Examples``."""

    @property
    def channels(self) -> int:
        """As in ``Examples``."""

    @property
    def gaps(self) -> bool:
        """As in ``Examples``."""

    @property
    def weights(self) -> Array | None:
        """As in ``Examples``."""

    def __len__(self) -> int: ...


def fit_scaling(examples: Examples | Rows, kind: ScalingKind | Literal["auto"]) -> Scaling:
    """Takes the statistics of each channel over all steps of all sequences.

    Args:
        examples: The training split, and nothing else; missing values are left out, and each sequence counts with its
            weight.
        kind: Which scaling. ``auto``: ``unit`` for pixels (values of one byte that reach 128), else ``standard``.

    Raises:
        DataError: All values of a channel are missing.
    """
    if kind == "auto":
        kind = "unit" if _are_pixels(examples) else "standard"
    if kind != "standard":
        return Scaling(kind)
    from sklearn.preprocessing import StandardScaler

    scaler, lengths = StandardScaler(), examples.lengths
    known = np.zeros(examples.channels, np.bool_)
    for begin, end in _chunks(examples, lengths):
        part = examples.inputs[begin:end]
        steps = part.reshape(-1, examples.channels) if isinstance(part, np.ndarray) else np.concatenate(part)
        weights = None
        if examples.weights is not None:
            weights = np.repeat(examples.weights[begin:end], lengths[begin:end])
        if not examples.gaps:
            scaler.partial_fit(steps, sample_weight=weights)
            continue
        given = ~np.isnan(steps).all(0)
        _add_known(scaler, steps, weights, given, known)
        known |= given
    if examples.gaps and not known.all():
        raise DataError(
            f"Value {int(known.argmin())} of a step (from 0) is missing in all training sequences, such as "
            f"{examples.origins[0]}; expected it in some. Leave it out."
        )
    return Scaling(kind, tuple(scaler.mean_.tolist()), tuple(scaler.scale_.tolist()))


def _chunks(examples: Examples | Rows, lengths: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """The sequences [begin, end) whose statistics are taken at once; with gaps, the number of values is the limit."""
    most = len(examples) if examples.gaps else _MOST_SEQUENCES
    ends = np.cumsum(lengths * examples.channels)
    begin = 0
    while begin < len(examples):
        before = int(ends[begin - 1]) if begin else 0
        end = int(np.searchsorted(ends, before + _MOST_VALUES, "right"))
        end = min(max(end, begin + 1), begin + most)
        yield begin, end
        begin = end


def _add_known(scaler: Any, steps: Array, weights: Array | None, given: Array, known: Array) -> None:
    """Adds steps in which some channels have no value. A mean over no values would make the channel's own mean NaN.

    Args:
        scaler: The statistics so far, a StandardScaler.
        steps: [steps, C], NaN for a missing value.
        weights: [steps], or None.
        given: The channels with a value in these steps, [C].
        known: The channels with a value in the steps before, [C].
    """
    if given.all():
        scaler.partial_fit(steps, sample_weight=weights)
        return
    before = None
    if known.any():
        before = [np.broadcast_to(values, known.shape).copy() for values in _statistics(scaler)]
    scaler.partial_fit(np.where(given, steps, 0.0), sample_weight=weights)
    after = [np.broadcast_to(values, known.shape).copy() for values in _statistics(scaler)]
    for now, then in zip(after, before or [np.zeros_like(values) for values in after], strict=True):
        now[~given] = then[~given]
    scaler.mean_, scaler.var_, scaler.n_samples_seen_, scaler.scale_ = after


def _statistics(scaler: Any) -> tuple[Any, Any, Any, Any]:
    return scaler.mean_, scaler.var_, scaler.n_samples_seen_, scaler.scale_


def _are_pixels(examples: Examples | Rows) -> bool:
    """Whether the values are of one byte and use its range; those of ticks or classes are of one byte, but small."""
    if isinstance(examples.inputs, Column) and examples.inputs.dtype != np.uint8:
        return False
    parts = [examples.inputs] if isinstance(examples.inputs, np.ndarray) else examples.inputs
    if not isinstance(parts, Column) and not all(part.dtype == np.uint8 for part in parts):
        return False
    return any(part.size and int(part.max()) >= _PIXEL for part in parts)


class SequenceEncoder(Saved):
    """Turns sequences of numbers into what a network reads; keeps what is needed to read further files alike.

    Attributes:
        scaling: How values are scaled.
        channels: Values per step that the network reads, C: those of the files, and the masks of missing values.
        settings: How the training files were read.
        filling: What replaces missing values.
    """

    scaling: Scaling
    channels: int
    settings: ReadingSettings
    filling: Filling = NOTHING_FILLED

    @classmethod
    def fit(cls, train: Examples, settings: ReadingSettings) -> SequenceEncoder:
        """Fits the scaling, and what replaces missing values.

        Args:
            train: The training split, and nothing else.
            settings: ``scaling`` and ``missing`` are used. The fields of ``ReadingSettings`` are kept, with the names
                of the columns where the sequences have names, so that further files are read by these.

        Raises:
            DataError: There are no sequences.
        """
        _check_any(train)
        columns = list(train.columns or settings.feature_columns)
        kept = ReadingSettings.of(settings).model_copy(update={"feature_columns": columns})
        if settings.missing == "error":
            scaling = fit_scaling(train, settings.scaling)
            return SequenceEncoder(scaling=scaling, channels=train.channels, settings=kept)
        known = fit_scaling(train, "standard")
        filling = Filling.of(settings.missing, known.mean, train.missing)
        # Masks are 0 or 1; scaling must not change them.
        masks = len(filling.masked)
        standard = Scaling("standard", known.mean + (0.0,) * masks, known.std + (1.0,) * masks)
        kind: ScalingKind = "standard" if settings.scaling == "auto" else settings.scaling  # pixels have no gaps
        scaling = standard if kind == "standard" else Scaling(kind)
        return SequenceEncoder(scaling=scaling, channels=train.channels + masks, settings=kept, filling=filling)

    def encode(self, examples: Examples) -> SequenceDataset:
        """Encodes sequences with what was fitted.

        Values of one byte are kept and scaled batch by batch; others are scaled now, into float32.

        Args:
            examples: Sequences with the channels of the training split, with or without targets.

        Raises:
            DataError: The channels differ, or a label is unknown.
        """
        examples = examples.ordered(self.settings.feature_columns)
        channels = self.channels - len(self.filling.masked)
        if len(examples) and examples.channels != channels:
            raise DataError(
                f"{examples.origins[0]} has {examples.channels} values per step; the model was trained on {channels}. "
                "Give images of the same size and layout, or files with the same columns."
            )
        targets = None if examples.targets is None else self.encode_targets(examples)
        apply = self.scaling.apply
        inputs = examples.inputs if self.filling.kind == "error" else self._filled(examples.inputs)
        if isinstance(inputs, Column):
            late = True
        elif isinstance(inputs, np.ndarray):
            late = inputs.itemsize == 1
            inputs = inputs if late else apply(inputs)
        else:
            late = all(sequence.itemsize == 1 for sequence in inputs) and len({row.dtype for row in inputs}) == 1
            inputs = inputs if late else [apply(sequence) for sequence in inputs]
        return SequenceDataset(inputs, targets, scale=apply if late else None, origins=examples.origins)

    def encode_targets(self, examples: Examples) -> Tensor:
        """The targets of examples with one number each, [N], float32."""
        targets = examples.targets
        return torch.tensor(targets.gathered() if isinstance(targets, Column) else targets, dtype=torch.float32)

    def _filled(self, inputs: Array | Sequence[Array]) -> Array | Sequence[Array]:
        """The values with the masks beside them; each sequence is filled from its own values."""
        if isinstance(inputs, Column):
            return inputs.map(self._with_masks)
        if not isinstance(inputs, np.ndarray):
            return [self._with_masks(sequence) for sequence in inputs]
        return self._with_masks(inputs)

    def _with_masks(self, values: Array) -> Array:
        numbers = torch.from_numpy(values.astype(np.float64))
        return torch.cat([self.filling.filled(numbers), self.filling.mask(numbers)], -1).numpy()

    @model_serializer(mode="wrap")
    def _without_filling(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Files of models that refuse missing values have no ``filling``."""
        document: dict[str, Any] = write(self)
        return {name: value for name, value in document.items() if name != "filling" or self.filling.kind != "error"}


class Encoder(SequenceEncoder, Labelled):  # the labels come first in a model file, as before
    """A :class:`SequenceEncoder` of sequences with labels.

    Attributes:
        labels: The vocabulary of labels.
    """

    @classmethod
    def fit(cls, train: Examples, settings: ReadingSettings) -> Encoder:
        """Fits labels, scaling, and what replaces missing values.

        Args:
            train: The training split, and nothing else.
            settings: As in :meth:`SequenceEncoder.fit`; ``label_separator`` is used too.

        Raises:
            DataError: There are no sequences, or they have no labels.
        """
        _check_any(train)
        if train.labels is None:
            raise DataError(
                f"{train.origins[0]} and the other training sequences have no labels; expected a label for "
                "each. Images: one folder per label; IDX: give the file of labels too; tables: data.label_column."
            )
        labels = Labels.fit(train.labels, settings.label_separator)
        return cls(labels=labels, **dict(SequenceEncoder.fit(train, settings)))

    def encode_targets(self, examples: Examples) -> Tensor:
        """The classes of the labels, as :meth:`Labels.encode` gives them: [N], or [N, classes] for label sets.

        Args:
            examples: Examples with labels.
        """
        return self.labels.encode(examples.labels or [], examples.origins)


def _check_any(train: Examples) -> None:
    if not len(train):
        raise DataError("There are no sequences to train on; expected at least one.")
