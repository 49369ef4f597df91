"""What a forecaster reads: windows of series, with scales that are fitted on the training part only."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import SerializerFunctionWrapHandler, model_serializer
from torch import Tensor

from holdfast.data.encoders import fit_scaling
from holdfast.data.missing import NOTHING_FILLED, Filling
from holdfast.data.saved import Saved
from holdfast.data.series import Numbers, Series, Windows
from holdfast.errors import DataError, HoldfastWarning
from holdfast.runtime.scaling import Scaling
from holdfast.tasks.forecast.data import context
from holdfast.tasks.forecast.rows import EncodedSeries, Encoding, Rows, mean_naive_error
from holdfast.tasks.forecast.scales import PanelScales, Scales, StaticColumn, measured
from holdfast.tasks.forecast.settings import ForecastData
from holdfast.tasks.forecast.windows import WindowDataset


class SeriesEncoder(Saved):
    """Scales fitted on the training part, and the settings for reading files.

    Attributes:
        settings: The ``[data]`` table, with the names of all target columns.
        scaling: The scales of targets (with ``log``, of their logarithms), past and known columns, in this order, over
            all training series.
        deviations: Standard deviation of each target in original units, C; 1 for a constant target.
        naive_errors: Mean absolute error of each target's seasonal-naive forecast of one row within the training part,
            C (Hyndman and Koehler 2006).
        filling: How missing values of targets, past and known columns are filled, after scaling.
        panel: In a table of many series, the scales of targets and past columns of each training series. Another series
            is scaled by its own rows before the first forecast.
        statics: The static columns.
    """

    settings: ForecastData
    scaling: Scaling
    deviations: tuple[float, ...]
    naive_errors: tuple[float, ...]
    filling: Filling = NOTHING_FILLED
    panel: PanelScales | None = None
    statics: tuple[StaticColumn, ...] = ()

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
        columns = dict(zip(("id_column", "time_column"), all_series[0].keys, strict=True))
        settings = settings.model_copy(update={**columns, "target_columns": list(all_series[0].names)})
        gaps = settings.missing != "error"
        rows = Rows(all_series, lambda s: np.concatenate([_levels(s, settings), s.past, s.known[: len(s)]], 1), gaps)
        scaling = fit_scaling(rows, "standard")
        targets = Rows(all_series, lambda series: series.targets, gaps)
        _warn_of_constants(targets.ranges(), settings.target_columns)
        deviations = fit_scaling(targets, "standard").std
        naive = mean_naive_error(all_series, season)
        # Known columns have no mask: they are filled before windows are cut.
        count = len(settings.target_columns + settings.past_columns)
        missing = [has_gaps and column < count for column, has_gaps in enumerate(rows.missing)] if gaps else []
        filling = Filling.of(settings.missing, [0.0] * rows.channels, missing) if gaps else NOTHING_FILLED
        return cls(
            settings=settings,
            scaling=scaling,
            deviations=deviations,
            naive_errors=tuple(naive.tolist()),
            filling=filling,
            panel=_panel(all_series, settings, scaling) if all_series[0].name else None,
            statics=tuple(
                StaticColumn.fit(name, [series.static[place] for series in all_series])
                for place, name in enumerate(settings.static_columns)
            ),
        )

    @property
    def channels(self) -> tuple[int, int, int]:
        """C, P and F: the numbers of target, past and known values per row.

        P includes the masks of missing values, F includes the calendar and the static columns.
        """
        data = self.settings
        known = len(data.known_columns) + 2 * len(data.calendar) + sum(column.size for column in self.statics)
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
                self.check_ahead(series, horizon)
        elif not len(windows):
            raise DataError(
                f"{windows.series[0].origin} has {len(windows.series[0])} rows; expected at least "
                f"{context(self.settings) + windows.horizon}, {context(self.settings)} to forecast from and "
                f"{windows.horizon} to measure the forecast on."
            )
        scales = self._scales(windows)
        more = horizon if windows.ahead else 0
        encoded = Encoding(windows.series, lambda k, series: self._encoded(series, scales.mean[k], scales.std[k], more))
        rows = encoded.kept([self.model_dump(mode="json"), more])
        count = len(self.settings.target_columns) + len(self.settings.past_columns)
        filling = self.filling.model_copy(update={"mean": self.filling.mean[:count]})
        dataset = WindowDataset(windows, more or windows.horizon, self.settings, filling, rows, scales)
        dataset.by_series = self.panel is not None
        return dataset

    def check_ahead(self, series: Series, horizon: int) -> None:
        """Checks that a series has the rows that a forecast after its end needs.

        Raises:
            DataError: It has too few rows, or known columns have too few rows ahead.
        """
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

    def _scales(self, windows: Windows) -> Scales:
        """The scales of each series of some windows."""
        count = len(self.settings.target_columns) + len(self.settings.past_columns)
        usual = (np.array(self.scaling.mean[:count]), np.array(self.scaling.std[:count]))
        if self.panel is None:
            alike = (*usual, np.array(self.deviations), np.array(self.naive_errors))
            return Scales.stacked([alike] * len(windows.series))
        by_name = self.panel.by_name()
        first = np.array([len(series) for series in windows.series])
        np.minimum.at(first, windows.starts[:, 0], windows.starts[:, 1])
        return Scales.stacked(
            by_name.get(series.name) or _measured(series.part(0, rows), self.settings, usual)
            for series, rows in zip(windows.series, first.tolist(), strict=True)
        )

    def _encoded(self, series: Series, mean: Numbers, std: Numbers, more: int) -> EncodedSeries:
        """A series, scaled, with ``more`` rows ahead that have known columns only."""
        rows, data = len(series), self.settings
        now = np.concatenate([_levels(series, data), series.past], 1)
        now = np.concatenate([now, np.full((more, now.shape[1]), np.nan)])
        known = series.known[: rows + more] if data.known_columns else np.zeros((rows + more, 0))
        scaling = Scaling(
            "standard",
            (*mean.tolist(), *self.scaling.mean[len(mean) :]),
            (*std.tolist(), *self.scaling.std[len(mean) :]),
        )
        scaled, scaled_known = np.split(scaling.apply(np.concatenate([now, known], 1)), [now.shape[1]], 1)
        filling = self.filling.model_copy(update={"mean": self.filling.mean[len(mean) :], "masked": ()})
        return EncodedSeries(
            now=scaled,
            known=np.concatenate(
                [
                    filling.filled(torch.from_numpy(scaled_known)).numpy(),
                    series.times_with(more).calendar(data.calendar),
                ],
                1,
            ),
            static=[
                value
                for column, text in zip(self.statics, series.static, strict=True)
                for value in column.encoded(text, series)
            ],
            targets=np.concatenate([series.targets, np.full((more, series.targets.shape[1]), np.nan)]),
        )

    def restored(self, scaled: Tensor, scale: Tensor | None = None) -> Tensor:
        """Scaled targets, back in original units.

        Args:
            scaled: [B, H, C, Q].
            scale: The ``scale`` of the batch, [B, 2, C]; None for the scales of all series.

        Returns:
            [B, H, C, Q], float64.
        """
        if scale is None:
            count = len(self.deviations)
            scale = torch.tensor([[self.scaling.mean[:count], self.scaling.std[:count]]], dtype=torch.float64)
        mean, std = scale.to(scaled.device)[:, :, None, :, None].unbind(1)
        levels = scaled.double() * std + mean
        return levels.exp() if self.settings.log else levels

    @model_serializer(mode="wrap")
    def _without_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Files of models that refuse missing values have no ``filling``; those of single series no ``panel``."""
        document: dict[str, Any] = write(self)
        unused = {"filling": self.filling.kind == "error", "panel": self.panel is None, "statics": not self.statics}
        return {name: value for name, value in document.items() if not unused.get(name)}


def _warn_of_constants(ranges: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """Warns of targets with a single value, by their ranges."""
    for (low, high), name in zip(ranges, names, strict=True):
        if low == high:
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


def _measured(
    series: Series, settings: ForecastData, usual: tuple[Numbers, Numbers]
) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """The scales of a series by its own rows."""
    levels = np.concatenate([_levels(series, settings), series.past], 1)
    return measured(levels, series.targets, settings.season, usual)


def _panel(all_series: Sequence[Series], settings: ForecastData, scaling: Scaling) -> PanelScales:
    """The scales of each training series."""
    count = len(settings.target_columns) + len(settings.past_columns)
    usual = (np.array(scaling.mean[:count]), np.array(scaling.std[:count]))
    scales = Scales.stacked(_measured(series, settings, usual) for series in all_series)
    return PanelScales.of([series.name for series in all_series], scales)
