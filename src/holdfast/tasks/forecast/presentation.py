"""How a person reads what a forecaster reads and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from holdfast.tasks.presentation import Case, Curves, Line, MeasuredRow, Presentation, Table, by_prefix

if TYPE_CHECKING:
    from holdfast.data.series import Windows
    from holdfast.tasks.forecast.task import ForecastTask
    from holdfast.tasks.forecast.windows import ForecastBatch

BASELINES = {"repeat_last_": "repeat last", "seasonal_naive_": "seasonal naive"}
"""The forecasts without a model, by the prefix of their metrics."""
_HISTORY = 2
"""Rows of history that a case shows, in horizons; at least ``_LEAST`` rows."""
_LEAST = 48


class ForecastPresentation(Presentation):
    """The worst mistake has the largest absolute error, in standard deviations of the training part."""

    error_name = "mean absolute error (standard deviations of the target)"
    pipeline_tag = "time-series-forecasting"

    def __init__(self, task: ForecastTask) -> None:
        self._task = task
        self._middle = task.quantiles.index(0.5)

    def sizes(self, examples: Windows) -> dict[str, int]:
        """The number of windows, of series, and of the rows in them."""
        return {"windows": len(examples), "series": len(examples.series), "rows": sum(map(len, examples.series))}

    def errors(self, outputs: Tensor, batch: ForecastBatch) -> Tensor:
        """The mean absolute error of the known values of each window, over all targets."""
        return self._by_target(outputs, batch).nanmean(1)

    def _by_target(self, outputs: Tensor, batch: ForecastBatch) -> Tensor:
        """The mean absolute error of each window and target, [B, C]."""
        errors = (outputs[..., self._middle] - batch.known_actual).abs().nanmean(1)
        if batch.measures is not None:
            return errors / batch.measures[:, 0]
        return errors / torch.tensor(self._task.encoder.deviations, dtype=errors.dtype, device=errors.device)

    def alike(self, examples: Windows, first: int, second: int) -> bool:
        """Whether two windows of a series forecast some of the same rows."""
        (series, row), (other, other_row) = examples.starts[[first, second]].tolist()
        return bool(series == other and abs(row - other_row) < examples.horizon)

    def case(self, examples: Windows, row: MeasuredRow) -> Case:
        """The rows before the forecast, the forecast and the truth, of the target with the largest error."""
        number, start = examples.starts[row.index].tolist()
        series, horizon = examples.series[number], examples.horizon
        outputs = row.outputs[None]
        errors = self._by_target(outputs, _only(row.batch, row.place))[0].nan_to_num(nan=-1.0)
        column = int(errors.argmax())
        begin = max(0, start - max(_HISTORY * horizon, _LEAST))
        times = series.times.local
        ahead = slice(start, start + horizon)
        forecast = row.outputs[:, column].double().cpu().numpy()
        lines = (
            Line("history", times[begin:start], series.targets[begin:start, column]),
            Line("truth", times[ahead], series.targets[ahead, column], "truth"),
            Line("forecast", times[ahead], forecast[:, self._middle], "answer"),
        )
        band = (times[ahead], forecast[:, 0], forecast[:, -1]) if forecast.shape[1] > 1 else None
        axes = (series.keys[1] or "row", series.names[column])
        return Case(examples.origins[row.index], row.error, True, "", "", Curves(lines, axes, band))

    def comparison(self, results: Mapping[str, float], figures: Mapping[str, Any]) -> dict[str, dict[str, float]]:
        """The errors of the model and of the naive forecasts."""
        return by_prefix(results, BASELINES)

    def tables(self, figures: Mapping[str, Any]) -> tuple[Table, ...]:
        """The mean absolute error of each row of the horizon; with quantiles, their coverage."""
        errors = figures["mae_by_row"]
        labels = {"model": "model", **{prefix.rstrip("_"): name for prefix, name in BASELINES.items()}}
        columns = {label: errors[key] for key, label in labels.items() if key in errors}
        if "coverage_by_row" in figures:
            columns["coverage"] = figures["coverage_by_row"]
        rows = tuple((k + 1, *values) for k, values in enumerate(zip(*columns.values(), strict=True)))
        return (Table("Mean absolute error of each row of the horizon", ("row", *columns), rows),)


def _only(batch: Any, place: int) -> Any:
    """The values of one row that :meth:`ForecastPresentation.errors` reads."""
    rows = slice(place, place + 1)
    measures = None if batch.measures is None else batch.measures[rows]
    return replace(batch, actual=batch.known_actual[rows], measures=measures)
