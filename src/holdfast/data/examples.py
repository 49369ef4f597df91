"""Examples: sequences as they were read, before anything was fitted to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from holdfast.data.disk.columns import Column, sizes, take
from holdfast.errors import DataError

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Examples:
    """Sequences with their targets, in the order they were read.

    Attributes:
        inputs: The values. An array [N, T, C] when every sequence has the same length, else a list of N arrays
            [T_i, C]. N sequences, T steps, C values (channels) per step; any real dtype, for example uint8 for
            images. A list of arrays that all have one length is stacked on construction. Of a set on disk, a column.
        targets: What is learned of each sequence, N: a label (text), a number, or an array [K] of several numbers;
            with ``per_step``, an array [T_i] or [T_i, K] with one or several numbers per step. All of one kind; None
            where there are no targets.
        origins: Where each sequence came from, such as ``digits/7/12.png`` or ``test.ts[3]``.
        gaps: Whether NaN stands for a missing value.
        columns: The names of the channels in a table, C; empty where they have no names.
        weights: The weight of each sequence in the loss, N; None where all count alike.
        per_step: Whether the targets are numbers for each step; NaN then stands for a step without a target.

    Raises:
        DataError: There are not as many inputs as targets and origins, the sequences differ in channels, a sequence has
            no steps, it has targets of another number of steps, or a number is not finite and not a missing value.
    """

    inputs: Array | Sequence[Array]
    targets: Sequence[Any] | None
    origins: Sequence[str]
    gaps: bool = False
    columns: tuple[str, ...] = ()
    weights: Array | None = None
    per_step: bool = False

    def __post_init__(self) -> None:
        _check_counts(self)
        if isinstance(self.inputs, Column):  # its pieces were checked when they were read
            return
        _check_targets(self)
        if isinstance(self.inputs, np.ndarray):
            _check_array(self.inputs, self.origins, self.gaps)
            return
        for sequence, origin in zip(self.inputs, self.origins, strict=True):
            _check_sequence(sequence, self.inputs[0].shape[-1], origin, self.gaps)
        if len({len(sequence) for sequence in self.inputs}) == 1:
            object.__setattr__(self, "inputs", np.stack(self.inputs))

    def __len__(self) -> int:
        """The number of sequences, N."""
        return len(self.origins)

    @property
    def labels(self) -> Sequence[str] | None:
        """The targets where they are labels, whose shares every part of a split keeps; else None."""
        if isinstance(self.targets, Column):
            return self.targets.names() if self.targets.is_text else None
        return self.targets if self.targets is not None and all(isinstance(t, str) for t in self.targets) else None

    @property
    def channels(self) -> int:
        """Values per step, C; 0 for a list without sequences."""
        if isinstance(self.inputs, np.ndarray):
            return int(self.inputs.shape[2])
        if isinstance(self.inputs, Column):
            return int(self.inputs.shape[0])
        return int(self.inputs[0].shape[1]) if self.inputs else 0

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Steps of each sequence, [N]."""
        if isinstance(self.inputs, np.ndarray):
            return np.full(len(self), self.inputs.shape[1], dtype=np.int64)
        return sizes(self.inputs)

    @property
    def missing(self) -> list[bool]:
        """Whether values of each channel are missing, C."""
        parts = [self.inputs] if isinstance(self.inputs, np.ndarray) else self.inputs
        incomplete = np.zeros(self.channels, np.bool_)
        for part in parts:
            incomplete |= np.isnan(part).reshape(-1, part.shape[-1]).any(0)
        return list(incomplete.tolist())

    def subset(self, indices: Iterable[int]) -> Examples:
        """The sequences at these positions, in this order.

        Args:
            indices: Positions from 0 to N - 1; one may occur more than once.
        """
        chosen = np.fromiter(indices, np.int64)
        inputs = self.inputs[chosen] if isinstance(self.inputs, np.ndarray) else take(self.inputs, chosen)
        targets = None if self.targets is None else take(self.targets, chosen)
        weights = None if self.weights is None else self.weights[chosen]
        origins = take(self.origins, chosen)
        return replace(self, inputs=inputs, targets=targets, origins=origins, weights=weights)

    def unlabelled(self) -> Examples:
        """The same sequences without targets."""
        return replace(self, targets=None, weights=None, per_step=False)

    def ordered(self, columns: Sequence[str]) -> Examples:
        """The same sequences with the channels in the order of these names; unchanged where either has no names.

        Args:
            columns: The names of the channels, in their order.

        Raises:
            DataError: The names differ.
        """
        wanted = tuple(columns)
        if not wanted or not self.columns or self.columns == wanted or not len(self):
            return self
        if sorted(self.columns) != sorted(wanted):
            raise DataError(
                f"{self.origins[0]} has the columns {', '.join(self.columns)}; expected those of the sequences before "
                f"it: {', '.join(wanted)}. Name the columns that all files have in data.feature_columns."
            )
        places = [self.columns.index(name) for name in wanted]
        inputs = self.inputs
        if isinstance(inputs, np.ndarray):
            return replace(self, inputs=inputs[:, :, places], columns=wanted)
        if isinstance(inputs, Column):
            return replace(self, inputs=inputs.map(lambda part: part[:, places], by_step=True), columns=wanted)
        return replace(self, inputs=[part[:, places] for part in inputs], columns=wanted)

    @staticmethod
    def join(parts: Sequence[Examples]) -> Examples:
        """All sequences of several sets, one after another; named channels get the order of the first set.

        Args:
            parts: At least one set, all with targets, or none; without weights.

        Raises:
            DataError: The sets differ in channels or their names, only some have targets, or only some have them for
                each step.
        """
        if len(parts) == 1:
            return parts[0]
        parts = [part for part in parts if len(part)] or parts[:1]
        columns = next((part.columns for part in parts if part.columns), ())
        parts = [part.ordered(columns) for part in parts]
        origins = [origin for part in parts for origin in part.origins]
        gaps = any(part.gaps for part in parts)
        bare = [part for part in parts if part.targets is None]
        if bare and len(bare) < len(parts):
            labelled = next(part for part in parts if part.targets is not None)
            raise DataError(
                f"{bare[0].origins[0]} has no label but {labelled.origins[0]} has one; expected all or none of the "
                "sequences to be labelled. Read them separately."
            )
        per_step = {part.per_step: part.origins[0] for part in parts if part.targets is not None}
        if len(per_step) > 1:
            raise DataError(
                f"{per_step[True]} has targets for each step, and {per_step[False]} has them for the whole sequence; "
                'expected one kind in all files. Set data.per = "step" or "sequence".'
            )
        targets = None if bare else [target for part in parts for target in part.targets or []]
        fields = (targets, origins, gaps, columns, None, True in per_step)
        arrays = [part.inputs for part in parts if isinstance(part.inputs, np.ndarray)]
        if len(arrays) == len(parts) and len({array.shape[1:] for array in arrays}) == 1:
            return Examples(np.concatenate(arrays), *fields)
        sequences = [sequence for part in parts for sequence in part.inputs]
        return Examples(sequences, *fields)


def _check_counts(examples: Examples) -> None:
    """Checks that there are as many inputs as targets and origins."""
    counts = {"inputs": len(examples.inputs), "origins": len(examples.origins)}
    if examples.targets is not None:
        counts["targets"] = len(examples.targets)
    if len(set(counts.values())) > 1:
        got = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise DataError(f"Examples were given {got}; expected one of each for every sequence.")


def _check_targets(examples: Examples) -> None:
    """Checks targets that are numbers."""
    targets = examples.targets or []
    if targets and isinstance(targets[0], str):
        return
    steps = int(examples.per_step)
    values = np.shape(targets[0])[steps:] if targets else ()
    for target, origin, inputs in zip(targets, examples.origins, examples.inputs, strict=False):
        if examples.per_step and (np.ndim(target) not in (1, 2) or len(target) != len(inputs)):
            raise DataError(
                f"{origin} has targets of shape {np.shape(target)}; expected one for each of its {len(inputs)} steps."
            )
        if np.shape(target)[steps:] != values or len(values) > 1 or 0 in values:
            raise DataError(
                f"{origin} has targets of shape {np.shape(target)}, and {examples.origins[0]} has targets of shape "
                f"{np.shape(targets[0])}; expected the same number of values in all."
            )
        if np.isinf(target).any() if examples.gaps or examples.per_step else not np.isfinite(target).all():
            raise DataError(f"{origin} has a target that is not a finite number. Correct it or leave the sequence out.")


def _check_array(inputs: Array, origins: Sequence[str], gaps: bool) -> None:
    """Checks an array [N, T, C] as a whole; looks at single sequences only to name a wrong one."""
    if inputs.ndim != 3:
        raise DataError(f"Examples were given an array of shape {inputs.shape}; expected [N, T, C].")
    if not len(inputs):
        return
    if not inputs.size or not _is_real(inputs) or _wrong(inputs, gaps).any():
        for sequence, origin in zip(inputs, origins, strict=True):
            _check_sequence(sequence, inputs.shape[2], origin, gaps)


def _check_sequence(sequence: Array, channels: int, origin: str, gaps: bool) -> None:
    """Checks one sequence [T, C]."""
    if sequence.ndim != 2 or 0 in sequence.shape:
        raise DataError(f"{origin} has shape {sequence.shape}; expected [steps, values per step], both at least 1.")
    if sequence.shape[1] != channels:
        raise DataError(
            f"{origin} has {sequence.shape[1]} values per step; the sequences before it have {channels}. "
            "All sequences must agree."
        )
    if not _is_real(sequence):
        raise DataError(f"{origin} holds values of type {sequence.dtype}; expected real numbers.")
    wrong = _wrong(sequence, gaps)
    if wrong.any():
        step, channel = (int(index) for index in np.argwhere(wrong)[0])
        raise DataError(
            f"{origin} holds {sequence[step, channel]} at step {step}, channel {channel} (from 0); expected a finite "
            "number. Fill in or leave out missing values first, or set data.missing."
        )


def _is_real(array: Array) -> bool:
    return bool(array.dtype.kind in "buif")


def _wrong(values: Array, gaps: bool) -> Array:
    """Where values are not finite and not missing."""
    return np.asarray(np.isinf(values) if gaps else ~np.isfinite(values))
