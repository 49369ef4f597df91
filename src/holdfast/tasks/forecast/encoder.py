"""From windows of series to what a network reads, by scales that were fitted on the training part alone."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from holdfast.data.batches import Batch, Indices
from holdfast.data.encoders import Scaling
from holdfast.data.examples import Examples
from holdfast.data.missing import NOTHING_FILLED, Filling
from holdfast.data.series import Numbers, Series, Windows
from holdfast.errors import DataError, HoldfastWarning
from holdfast.tasks.forecast.settings import ForecastData
from holdfast.tasks.forecast.splits import context


@dataclass(frozen=True, eq=False)
class ForecastBatch(Batch):
    """A few windows.

    Attributes:
        inputs: [B, W, C + P + F], float32: the targets and past columns of each row, scaled, the masks of those with
            missing values (which P counts), and what is known of the row after it.
        targets: The rows that follow, scaled, [B, H, C], float32, NaN for a missing value; None where they are not
            known.
        future: What is known of the rows that follow, [B, H, F], float32.
        history: The targets of the last season before them, in their own units, [B, S, C], float64.
        actual: The rows that follow, in their own units, [B, H, C], float64, NaN for a missing value; None where they
            are not known.
        times: The times of the rows that follow, of each window; empty where they are in the series.
    """

    future: Tensor
    history: Tensor
    actual: Tensor | None
    times: tuple[list[Any], ...] = ()

    @property
    def known_actual(self) -> Tensor:
        """The rows that follow, where they are needed.

        Raises:
            DataError: They are not known.
        """
        if self.actual is None:
            raise DataError("The rows that follow the windows are not known; expected them, to measure a forecast.")
        return self.actual


@dataclass(frozen=True)
class SeriesEncoder:
    """What was fitted on the training part, and how the files were read.

    Attributes:
        settings: The ``[data]`` table, with all target columns named.
        scaling: Of targets (their logarithms with ``log``), past and known columns, in this order.
        deviations: Standard deviation of each target in its own units, C; 1 for one that never varies.
        naive_errors: Mean absolute error of each target's seasonal-naive forecast of one row within the training part,
            C (Hyndman and Koehler 2006).
        filling: What missing values become, of targets, past and known columns, once they are scaled.
    """

    settings: ForecastData
    scaling: Scaling
    deviations: tuple[float, ...]
    naive_errors: tuple[float, ...]
    filling: Filling = NOTHING_FILLED

    @classmethod
    def fit(cls, train: Windows, settings: ForecastData) -> SeriesEncoder:
        """Fits the scales.

        Args:
            train: The training windows, whose series hold no later rows.
            settings: The ``[data]`` table.

        Raises:
            DataError: A target is not above 0, and its logarithm is asked for.
        """
        series, season = train.series, settings.season
        settings = settings.model_copy(update={"target_columns": list(series[0].names)})
        gaps = settings.missing != "error"
        values = [np.concatenate([_levels(one, settings), one.past, one.known[: len(one)]], 1) for one in series]
        rows = Examples(list(values), None, [one.origin for one in series], gaps)
        scaling = Scaling.fit(rows, "standard")
        targets = np.concatenate([one.targets for one in series])
        _warn_of_constants(targets, settings.target_columns)
        deviations = Scaling.fit(Examples(targets[None], None, [series[0].origin], gaps), "standard").std
        errors = np.concatenate([np.abs(one.targets[season:] - one.targets[:-season]) for one in series])
        known = ~np.isnan(errors)
        naive = np.where(known, errors, 0).sum(0) / known.sum(0).clip(min=1)
        # What is known ahead of time has no mask: it is filled before a window is cut.
        seen = settings.target_columns + settings.past_columns
        missing = [some and place < len(seen) for place, some in enumerate(rows.missing)]
        filling = Filling.of(settings.missing, [0.0] * rows.channels, missing) if gaps else NOTHING_FILLED
        return cls(settings, scaling, deviations, tuple(naive.tolist()), filling)

    @property
    def channels(self) -> tuple[int, int, int]:
        """C, P and F: target, past and known values a row.

        Masks of missing values are among what is past, the calendar is among what is known.
        """
        data = self.settings
        known = len(data.known_columns) + 2 * len(data.calendar)
        return len(data.target_columns), len(data.past_columns) + len(self.filling.masked), known

    def encode(self, windows: Windows, horizon: int) -> WindowDataset:
        """What the network reads of windows.

        Args:
            windows: Of series with the columns of those that were trained on.
            horizon: Rows to forecast, where the windows leave it open because they end where their series do.

        Raises:
            DataError: There is no window, a series is shorter than one, or too little is known of what is ahead.
        """
        if windows.ahead:
            for one in windows.series:
                self._check_ahead(one, horizon)
        elif not len(windows):
            raise DataError(
                f"{windows.series[0].origin} has {len(windows.series[0])} rows; expected at least "
                f"{context(self.settings) + windows.horizon}, {context(self.settings)} to forecast from and "
                f"{windows.horizon} to measure the forecast on."
            )
        return WindowDataset(self, windows, horizon if windows.ahead else windows.horizon)

    def _check_ahead(self, series: Series, horizon: int) -> None:
        needed = max(context(self.settings), 2)  # two rows tell the step from one time to the next
        if len(series) < needed:
            raise DataError(f"{series.origin} has {len(series)} rows; expected at least {needed} to forecast from.")
        more = len(series.times) - len(series)
        if self.settings.known_columns and more < horizon:
            raise DataError(
                f"{series.origin} has {more} rows after the last target; expected {horizon} with "
                f"{', '.join(self.settings.known_columns)}, which the model was told of in advance. Add rows that have "
                "the time and these columns alone."
            )

    def levels(self, series: Series) -> Numbers:
        """The targets, or their logarithms."""
        return _levels(series, self.settings)

    def restored(self, scaled: Tensor) -> Tensor:
        """Scaled targets in their own units.

        Args:
            scaled: [B, H, C, Q].

        Returns:
            [B, H, C, Q], float64.
        """
        count = len(self.deviations)
        mean, std = (
            torch.tensor(values[:count], dtype=torch.float64, device=scaled.device)[:, None]
            for values in (self.scaling.mean, self.scaling.std)
        )
        levels = scaled.double() * std + mean
        return levels.exp() if self.settings.log else levels

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON that ``from_dict`` reads."""
        return {
            "settings": self.settings.model_dump(mode="json"),
            "scaling": self.scaling.to_dict(),
            "deviations": list(self.deviations),
            "naive_errors": list(self.naive_errors),
            **({} if self.filling.kind == "error" else {"filling": self.filling.to_dict()}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SeriesEncoder:
        """The encoder that ``to_dict`` wrote."""
        return cls(
            ForecastData.model_validate(data["settings"]),
            Scaling.from_dict(data["scaling"]),
            tuple(float(value) for value in data["deviations"]),
            tuple(float(value) for value in data["naive_errors"]),
            Filling.from_dict(data["filling"]) if "filling" in data else NOTHING_FILLED,
        )


class WindowDataset:
    """Windows that, indexed by lists of positions, give batches. Rows are stored once, however windows overlap.

    Attributes:
        lengths: Rows that the network reads of each window, [N], int64.
    """

    def __init__(self, encoder: SeriesEncoder, windows: Windows, horizon: int) -> None:
        self._windows, self._horizon = windows, horizon
        self._window, self._season = encoder.settings.window, encoder.settings.season
        self._names = encoder.settings.calendar
        self.lengths = np.full(len(windows), self._window, dtype=np.int64)
        seen = len(encoder.settings.target_columns) + len(encoder.settings.past_columns)
        self._now_filling, self._known_filling = (
            replace(encoder.filling, mean=encoder.filling.mean[part]) for part in (slice(seen), slice(seen, None))
        )
        # A forecast that repeats values repeats known ones; a season without any has the mean.
        mean = encoder.restored(torch.zeros(1, 1, len(encoder.deviations), 1)).flatten().tolist()
        self._history_filling = Filling("previous", tuple(mean))
        rows = [self._encoded(encoder, one, horizon if windows.ahead else 0) for one in windows.series]
        scaled = np.concatenate([values for values, _ in rows])
        self._now, self._known = (torch.from_numpy(part.copy()) for part in np.split(scaled, [seen], 1))
        self._targets = torch.from_numpy(np.concatenate([values for _, values in rows]))
        self._bases = np.cumsum([0, *(len(values) for values, _ in rows)])

    def __len__(self) -> int:
        """The number of windows, N."""
        return len(self._windows)

    def __getitems__(self, indices: Indices) -> ForecastBatch:
        """The windows at these positions, in this order, as one batch."""
        series, row = self._windows.starts[np.asarray(indices, np.int64)].T
        start = torch.from_numpy(self._bases[series] + row)[:, None]
        before = start + torch.arange(-self._window, 0)
        after = start + torch.arange(self._horizon)
        ahead = self._windows.ahead
        count = self._targets.shape[1]
        now = self._now[before]
        filled, masks = self._now_filling.filled(now), self._now_filling.mask(now)
        return ForecastBatch(
            inputs=torch.cat([filled, masks, self._known[before + 1]], -1),
            lengths=None,
            targets=None if ahead else self._now[after][..., :count],
            future=self._known[after],
            history=self._history(start),
            actual=None if ahead else self._targets[after],
            times=tuple(self._times[k] for k in series.tolist()) if ahead else (),
        )

    def _history(self, start: Tensor) -> Tensor:
        """The targets of the last season before some rows, [B, S, C]; missing ones filled from those before them."""
        rows = self._targets[start + torch.arange(-max(self._window, self._season), 0)]
        return self._history_filling.filled(rows)[:, -self._season :]

    @cached_property
    def _times(self) -> list[list[Any]]:
        """The times that follow each series."""
        return [one.times_with(self._horizon)[len(one) :].shown() for one in self._windows.series]

    def _encoded(self, encoder: SeriesEncoder, series: Series, more: int) -> tuple[Any, Numbers]:
        """A series and what is known of ``more`` rows ahead: scaled rows [T + more, I], and targets as they are."""
        rows = len(series)
        count = len(encoder.settings.target_columns)
        nothing = np.full((more, count + len(encoder.settings.past_columns)), np.nan)
        now = np.concatenate([np.concatenate([encoder.levels(series), series.past], 1), nothing])
        known = series.known[: rows + more] if encoder.settings.known_columns else np.zeros((rows + more, 0))
        scaled = encoder.scaling.apply(np.concatenate([now, known], 1))
        scaled[:, now.shape[1] :] = self._known_filling.filled(torch.from_numpy(scaled[:, now.shape[1] :])).numpy()
        circles = series.times_with(more).calendar(self._names)
        targets = np.concatenate([series.targets, nothing[:, :count]])
        return np.concatenate([scaled, circles], 1), targets


def _warn_of_constants(targets: Numbers, names: Sequence[str]) -> None:
    """Warns of targets [T, C] that have one value alone."""
    for column, name in zip(targets.T, names, strict=True):
        if len(np.unique(column[~np.isnan(column)])) == 1:
            warnings.warn(
                f"The column {name!r} never varies in the training part: there is nothing to learn of it. Check the "
                "column, or train on more rows.",
                HoldfastWarning,
                stacklevel=2,
            )


def _levels(series: Series, settings: ForecastData) -> Numbers:
    if not settings.log:
        return series.targets
    low = np.argwhere(series.targets <= 0)
    if len(low):
        row, column = low[0].tolist()
        raise DataError(
            f"{series.origin}[{series.first + row}]: the column {series.names[column]!r} holds "
            f"{series.targets[row, column]:g}; expected numbers above 0, whose logarithm is forecast. "
            "Set data.log = false."
        )
    return np.log(series.targets)
