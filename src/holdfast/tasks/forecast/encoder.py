"""What a forecaster reads: windows of series, with scales that are fitted on the training part only."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from pydantic import SerializerFunctionWrapHandler, model_serializer
from torch import Tensor

from holdfast.data.batches import Batch, Indices
from holdfast.data.encoders import fit_scaling
from holdfast.data.examples import Examples
from holdfast.data.missing import NOTHING_FILLED, Filling
from holdfast.data.saved import Saved
from holdfast.data.series import Numbers, Series, Windows
from holdfast.errors import DataError, HoldfastWarning
from holdfast.runtime.scaling import Scaling
from holdfast.tasks.forecast.data import context
from holdfast.tasks.forecast.settings import ForecastData


@dataclass(frozen=True, eq=False)
class ForecastBatch(Batch):
    """A few windows.

    Attributes:
        inputs: [B, W, C + P + F], float32: for each row the scaled targets and past columns, the masks of columns with
            missing values (included in P), and the known columns of the next row.
        targets: The next H rows, scaled, [B, H, C], float32, NaN for a missing value; None if they are not known.
        future: The known columns of the next H rows, [B, H, F], float32.
        history: The targets of the season before these rows, in original units, [B, S, C], float64.
        actual: The next H rows in original units, [B, H, C], float64, NaN for a missing value; None if they are not
            known.
        times: The times of the next H rows for each window; empty if the rows are in the series.
    """

    future: Tensor
    history: Tensor
    actual: Tensor | None
    times: tuple[list[Any], ...] = ()

    @property
    def known_actual(self) -> Tensor:
        """The next rows in original units.

        Raises:
            DataError: These rows are not known.
        """
        if self.actual is None:
            raise DataError("The rows that follow the windows are not known; expected them, to measure a forecast.")
        return self.actual


class SeriesEncoder(Saved):
    """Scales fitted on the training part, and the settings for reading files.

    Attributes:
        settings: The ``[data]`` table, with the names of all target columns.
        scaling: The scales of targets (with ``log``, of their logarithms), past and known columns, in this order.
        deviations: Standard deviation of each target in original units, C; 1 for a constant target.
        naive_errors: Mean absolute error of each target's seasonal-naive forecast of one row within the training part,
            C (Hyndman and Koehler 2006).
        filling: How missing values of targets, past and known columns are filled, after scaling.
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
            train: The training windows; their series have no later rows.
            settings: The ``[data]`` table.

        Raises:
            DataError: With ``data.log``, a target is not above 0.
        """
        all_series, season = train.series, settings.season
        settings = settings.model_copy(update={"target_columns": list(all_series[0].names)})
        gaps = settings.missing != "error"
        values = [np.concatenate([_levels(s, settings), s.past, s.known[: len(s)]], 1) for s in all_series]
        rows = Examples(list(values), None, [series.origin for series in all_series], gaps)
        scaling = fit_scaling(rows, "standard")
        targets = np.concatenate([series.targets for series in all_series])
        _warn_of_constants(targets, settings.target_columns)
        deviations = fit_scaling(Examples(targets[None], None, [all_series[0].origin], gaps), "standard").std
        errors = np.concatenate([np.abs(series.targets[season:] - series.targets[:-season]) for series in all_series])
        known = ~np.isnan(errors)
        naive = np.where(known, errors, 0).sum(0) / known.sum(0).clip(min=1)
        # Known columns have no mask: they are filled before windows are cut.
        count = len(settings.target_columns + settings.past_columns)
        missing = [has_gaps and column < count for column, has_gaps in enumerate(rows.missing)]
        filling = Filling.of(settings.missing, [0.0] * rows.channels, missing) if gaps else NOTHING_FILLED
        return cls(
            settings=settings,
            scaling=scaling,
            deviations=deviations,
            naive_errors=tuple(naive.tolist()),
            filling=filling,
        )

    @property
    def channels(self) -> tuple[int, int, int]:
        """C, P and F: the numbers of target, past and known values per row.

        P includes the masks of missing values, F includes the calendar.
        """
        data = self.settings
        known = len(data.known_columns) + 2 * len(data.calendar)
        return len(data.target_columns), len(data.past_columns) + len(self.filling.masked), known

    def encode(self, windows: Windows, horizon: int) -> WindowDataset:
        """The windows as the network reads them.

        Args:
            windows: Windows of series with the columns of the training series.
            horizon: Number of rows to forecast, for windows that end where their series end.

        Raises:
            DataError: There is no window, a series is too short, or known columns have too few rows ahead.
        """
        if windows.ahead:
            for series in windows.series:
                self._check_ahead(series, horizon)
        elif not len(windows):
            raise DataError(
                f"{windows.series[0].origin} has {len(windows.series[0])} rows; expected at least "
                f"{context(self.settings) + windows.horizon}, {context(self.settings)} to forecast from and "
                f"{windows.horizon} to measure the forecast on."
            )
        return WindowDataset(self, windows, horizon if windows.ahead else windows.horizon)

    def _check_ahead(self, series: Series, horizon: int) -> None:
        needed = max(context(self.settings), 2)  # the step between times needs two rows
        if len(series) < needed:
            raise DataError(f"{series.origin} has {len(series)} rows; expected at least {needed} to forecast from.")
        more = len(series.times) - len(series)
        if self.settings.known_columns and more < horizon:
            raise DataError(
                f"{series.origin} has {more} rows after the last target; expected {horizon} with "
                f"{', '.join(self.settings.known_columns)}, the columns that are known ahead. Add rows that have only "
                "the time and these columns."
            )

    def levels(self, series: Series) -> Numbers:
        """The targets, or with ``data.log`` their logarithms."""
        return _levels(series, self.settings)

    def restored(self, scaled: Tensor) -> Tensor:
        """Scaled targets, back in original units.

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

    @model_serializer(mode="wrap")
    def _without_filling(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Files of models that refuse missing values have no ``filling``."""
        document: dict[str, Any] = write(self)
        return {name: value for name, value in document.items() if name != "filling" or self.filling.kind != "error"}


class WindowDataset:
    """Encoded windows. Indexing by a list of positions gives a batch.

    Windows overlap, and each row is stored once.

    Attributes:
        lengths: The number of rows in each window, [N], int64.
    """

    def __init__(self, encoder: SeriesEncoder, windows: Windows, horizon: int) -> None:
        self._windows, self._horizon = windows, horizon
        self._window, self._season = encoder.settings.window, encoder.settings.season
        self._names = encoder.settings.calendar
        self.lengths = np.full(len(windows), self._window, dtype=np.int64)
        now_columns = len(encoder.settings.target_columns) + len(encoder.settings.past_columns)
        self._now_filling, self._known_filling = (
            encoder.filling.model_copy(update={"mean": encoder.filling.mean[part]})
            for part in (slice(now_columns), slice(now_columns, None))
        )
        # The naive forecasts repeat known values; a season without any known value gets the mean.
        mean = encoder.restored(torch.zeros(1, 1, len(encoder.deviations), 1)).flatten().tolist()
        self._history_filling = Filling(kind="previous", mean=tuple(mean))
        rows = [self._encoded(encoder, series, horizon if windows.ahead else 0) for series in windows.series]
        scaled = np.concatenate([values for values, _ in rows])
        self._now, self._known = (torch.from_numpy(part.copy()) for part in np.split(scaled, [now_columns], 1))
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
        """The targets of the season before the given rows, [B, S, C]; missing values repeat the value before them."""
        rows = self._targets[start + torch.arange(-max(self._window, self._season), 0)]
        return self._history_filling.filled(rows)[:, -self._season :]

    @cached_property
    def _times(self) -> list[list[Any]]:
        """The times after the end of each series."""
        return [series.times_with(self._horizon)[len(series) :].as_json() for series in self._windows.series]

    def _encoded(self, encoder: SeriesEncoder, series: Series, more: int) -> tuple[Any, Numbers]:
        """A series and the known columns of ``more`` rows ahead: scaled rows [T + more, I], and unscaled targets."""
        rows = len(series)
        count = len(encoder.settings.target_columns)
        empty = np.full((more, count + len(encoder.settings.past_columns)), np.nan)
        now = np.concatenate([np.concatenate([encoder.levels(series), series.past], 1), empty])
        known = series.known[: rows + more] if encoder.settings.known_columns else np.zeros((rows + more, 0))
        scaled = encoder.scaling.apply(np.concatenate([now, known], 1))
        scaled[:, now.shape[1] :] = self._known_filling.filled(torch.from_numpy(scaled[:, now.shape[1] :])).numpy()
        calendar = series.times_with(more).calendar(self._names)
        targets = np.concatenate([series.targets, empty[:, :count]])
        return np.concatenate([scaled, calendar], 1), targets


def _warn_of_constants(targets: Numbers, names: Sequence[str]) -> None:
    """Warns of targets [T, C] with a single value."""
    for column, name in zip(targets.T, names, strict=True):
        if len(np.unique(column[~np.isnan(column)])) == 1:
            warnings.warn(
                f"The column {name!r} never varies in the training part, so there is nothing to learn from it. Check "
                "the column, or train on more rows.",
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
            f"{series.targets[row, column]:g}; expected numbers above 0, as data.log = true forecasts the logarithm. "
            "Set data.log = false."
        )
    return np.log(series.targets)
