"""What an autoencoder of sequences learns from and answers: windows of steps, and their reconstructions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from holdfast.data import Examples
from holdfast.data.defaults import validation_fraction
from holdfast.data.series import Numbers
from holdfast.errors import DataError
from holdfast.predictor import Predictor
from holdfast.settings import HELD_OUT
from holdfast.tasks.regress.task import RegressTask

_BATCH = 1024


@dataclass(frozen=True, eq=False)
class SequenceWindows(Examples):
    """Windows of some sequences, whose targets are the windows themselves.

    Attributes:
        places: The sequence and the first step of each window, [N, 2].
        steps: The number of steps of each sequence.
    """

    places: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    steps: tuple[int, ...] = ()

    @classmethod
    def of(cls, sequences: Iterable[Any], origins: Sequence[str], window: int) -> SequenceWindows:
        """Every window of some sequences; a shorter sequence is one window.

        Args:
            sequences: N arrays [T_i, F].
            origins: Where each came from.
            window: Steps per window.
        """
        rows = [np.asarray(sequence, np.float64) for sequence in sequences]
        places = [(k, begin) for k, each in enumerate(rows) for begin in range(max(1, len(each) - window + 1))]
        parts = [rows[k][begin : begin + window] for k, begin in places]
        names = [f"{origins[k]}[{begin}]" for k, begin in places]
        lengths = tuple(len(each) for each in rows)
        return cls(parts, [*parts], names, per_step=True, places=np.array(places, np.int64), steps=lengths)

    def subset(self, indices: Iterable[int]) -> SequenceWindows:
        """The windows at these positions, in this order."""
        chosen = [int(index) for index in indices]
        return replace(cast(SequenceWindows, super().subset(chosen)), places=self.places[chosen])


def held_out(windows: SequenceWindows, setting: Any, window: int) -> tuple[SequenceWindows, SequenceWindows | None]:
    """Holds out the last steps of each sequence, at least one window; no step is in both parts.

    Args:
        windows: All windows.
        setting: The fraction of the steps, or ``auto``.
        window: Steps per window.

    Returns:
        The training windows and the validation windows; None for these where none are held out.

    Raises:
        DataError: One of the two parts has no window.
    """
    last = [max(0, math.ceil(HELD_OUT * steps) - window + 1) for steps in windows.steps]
    fraction = validation_fraction(setting, sum(last))
    if not fraction:
        return windows, None
    ends = np.array([steps - max(window, math.ceil(fraction * steps)) for steps in windows.steps])
    cuts, begins = ends[windows.places[:, 0]], windows.places[:, 1]
    train, held = np.flatnonzero(begins + window <= cuts), np.flatnonzero(begins >= np.maximum(cuts, 0))
    if not len(train) or not len(held):
        longest = max(windows.steps)
        raise DataError(
            f"The longest sequence has {longest} steps; expected at least {2 * window}, a window of {window} to train "
            "on and one for validation. Give longer sequences, lower window, or set validation=None."
        )
    return windows.subset(train), windows.subset(held)


def reconstruction_errors(predictor: Predictor, windows: SequenceWindows) -> list[Numbers]:
    """The error of each step: the root mean square over the windows that have it.

    Args:
        predictor: A fitted autoencoder.
        windows: Every window of some sequences.

    Returns:
        For each sequence [T_i, F], in the units of the sequences.
    """
    task = cast(RegressTask, predictor.task)
    sums = [np.zeros((steps, windows.channels)) for steps in windows.steps]
    counts = [np.zeros((steps, 1)) for steps in windows.steps]
    batches = predictor.compute(windows.unlabelled(), task.predictions, _BATCH)
    answers = (row[..., 0].cpu().numpy() for batch in batches for row in batch)
    for (k, begin), values, answer in zip(windows.places.tolist(), windows.inputs, answers, strict=True):
        rows = slice(begin, begin + len(values))
        sums[k][rows] += np.square(values - answer)
        counts[k][rows] += 1
    return [np.sqrt(total / count) for total, count in zip(sums, counts, strict=True)]
