"""Windows of encoded series, and the batches that are cut from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from holdfast.data.batch import Batch
from holdfast.data.batches import Indices
from holdfast.data.missing import Filling
from holdfast.data.series import Windows
from holdfast.errors import DataError
from holdfast.tasks.forecast.rows import EncodedRows
from holdfast.tasks.forecast.scales import Scales
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
        names: The id of the series of each window, in a table of many series; empty as before.
        series: The number of the series of each window, [B], int64; None where all series are scaled alike.
        scale: Mean and standard deviation by which the targets of each window are scaled, [B, 2, C], float64; None for
            the scales of the encoder.
        measures: The deviation and the naive error of the targets of each window's series, [B, 2, C], float64; None as
            before.
    """

    future: Tensor
    history: Tensor
    actual: Tensor | None
    times: tuple[list[Any], ...] = ()
    names: tuple[str, ...] = ()
    series: Tensor | None = None
    scale: Tensor | None = None
    measures: Tensor | None = None

    @property
    def known_actual(self) -> Tensor:
        """The next rows in original units.

        Raises:
            DataError: These rows are not known.
        """
        if self.actual is None:
            raise DataError("The rows that follow the windows are not known; expected them, to measure a forecast.")
        return self.actual


class WindowDataset:
    """Encoded windows. Indexing by a list of positions gives a batch.

    Windows overlap, and each row is stored once.

    Attributes:
        lengths: The number of rows in each window, [N], int64.
        by_series: Whether each series has scales of its own, which a batch then has.
    """

    by_series = False

    def __init__(
        self,
        windows: Windows,
        horizon: int,
        settings: ForecastData,
        filling: Filling,
        rows: EncodedRows,
        scales: Scales,
    ) -> None:
        """Keeps the rows.

        Args:
            windows: The windows.
            horizon: Rows to forecast.
            settings: ``window``, ``season`` and ``log`` are used.
            filling: What replaces missing values of targets and past columns.
            rows: The rows of all series of the windows.
            scales: Their scales.
        """
        self._windows, self._horizon = windows, horizon
        self._window, self._season = settings.window, settings.season
        self.lengths = np.full(len(windows), self._window, dtype=np.int64)
        self._filling = filling
        self._rows, self.on_disk = rows, rows.on_disk
        self._static = torch.tensor(rows.static, dtype=torch.float32)
        self._bases = np.cumsum([0, *rows.counts])
        count = scales.deviations.shape[1]
        self._count = count
        self._scale = torch.from_numpy(np.stack([scales.mean[:, :count], scales.std[:, :count]], 1))
        self._measures = torch.from_numpy(np.stack([scales.deviations, scales.naive_errors], 1))
        means = self._scale[:, 0]
        self._means = means.exp() if settings.log else means
        # The naive forecasts repeat known values; a season without any known value gets the mean of its series.
        self._history_filling = Filling(kind="previous", mean=(float("nan"),) * count)

    def __len__(self) -> int:
        """The number of windows, N."""
        return len(self._windows)

    def __getitems__(self, indices: Indices) -> ForecastBatch:
        """The windows at these positions, in this order, as one batch."""
        series, row = self._windows.starts[np.asarray(indices, np.int64)].T
        start = torch.from_numpy(self._bases[series] + row)[:, None]
        number = torch.from_numpy(series)
        before = start + torch.arange(-self._window, 0)
        after = start + torch.arange(self._horizon)
        ahead = self._windows.ahead
        now = self._rows.part("now", before)
        filled, masks = self._filling.filled(now), self._filling.mask(now)
        static = self._static[number][:, None]
        return ForecastBatch(
            inputs=torch.cat(
                [filled, masks, self._rows.part("known", before + 1), static.expand(-1, self._window, -1)], -1
            ),
            lengths=None,
            targets=None if ahead else self._rows.part("now", after)[..., : self._count],
            future=torch.cat([self._rows.part("known", after), static.expand(-1, self._horizon, -1)], -1),
            history=self._history(start, number),
            actual=None if ahead else self._rows.part("targets", after),
            times=tuple(self._times[k] for k in series.tolist()) if ahead else (),
            names=tuple(self._windows.series[k].name for k in series.tolist()) if ahead and self.by_series else (),
            series=number if self.by_series else None,
            scale=self._scale[number] if self.by_series else None,
            measures=self._measures[number] if self.by_series else None,
        )

    def _history(self, start: Tensor, series: Tensor) -> Tensor:
        """The targets of the season before the given rows, [B, S, C]; missing values repeat the value before them."""
        rows = self._rows.part("targets", start + torch.arange(-max(self._window, self._season), 0))
        filled = self._history_filling.filled(rows)[:, -self._season :]
        return torch.where(filled.isnan(), self._means[series][:, None], filled)

    @cached_property
    def _times(self) -> list[list[Any]]:
        """The times after the end of each series."""
        return [series.times_with(self._horizon)[len(series) :].as_json() for series in self._windows.series]
