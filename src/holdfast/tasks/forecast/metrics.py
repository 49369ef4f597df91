"""Errors of forecasts, next to the errors of naive forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from holdfast.tasks.losses import pinball

_SHOWN = 12
"""Rows of the horizon whose coverage the text shows."""


class ForecastMetrics:
    """Errors of forecasts, next to the errors of two forecasts without a model.

    The forecasts without a model repeat the last value (``repeat_last``) and the value of one season before
    (``seasonal_naive``). With several targets, a metric is the mean over them; ``rmse`` is the root of the mean of
    their squared errors. In a table of many series, a metric is the mean over the series.

    Args:
        deviations: Standard deviation of each target in the training part, C.
        naive_errors: Mean absolute error of each target's seasonal-naive forecast of one row, within the training part,
            C. In a table of many series, the batches have both for each series.
        season: Rows per season; with 1 both naive forecasts are equal, and only ``repeat_last`` is given.
        quantiles: The quantiles of the forecasts, ascending, with 0.5; one number for a point forecast.
    """

    def __init__(
        self,
        deviations: Sequence[float],
        naive_errors: Sequence[float],
        season: int,
        quantiles: Sequence[float] = (0.5,),
    ) -> None:
        self._alike = torch.tensor([list(deviations), list(naive_errors)], dtype=torch.float64)
        self._season, self._quantiles = season, list(quantiles)
        targets = len(self._alike[0])
        self._names = ["", "repeat_last_"] + (["seasonal_naive_"] if season > 1 else [])
        # By series: the sums of absolute and squared errors, of pinball losses, of values within the outer quantiles,
        # and the number of values. One series where all are scaled alike.
        sums = {name: torch.zeros(0, 2, targets, dtype=torch.float64) for name in self._names}
        rest = ("pinball", "within", "count")
        self._sums = sums | {name: torch.zeros(0, targets, dtype=torch.float64) for name in rest}
        self._measures = torch.zeros(0, 2, targets, dtype=torch.float64)
        # By row of the horizon: the number of values within the outer quantiles, of values, and the absolute errors.
        self._by_row = torch.zeros(2, 0, dtype=torch.float64)
        self._errors_by_row = torch.zeros(len(self._names), 0, dtype=torch.float64)

    def update(self, forecasts: Tensor, batch: Any) -> None:
        """Adds a batch.

        Args:
            forecasts: [B, H, C, Q], in the units of the targets.
            batch: A ``ForecastBatch`` with the ``actual`` values; missing values are left out.
        """
        actual = batch.known_actual
        known = ~actual.isnan()
        rows = torch.arange(actual.shape[1], device=actual.device) % self._season
        points = {
            "": forecasts[..., self._quantiles.index(0.5)],
            "repeat_last_": batch.history[:, -1:],
            "seasonal_naive_": batch.history[:, rows],
        }
        series = torch.zeros(len(actual), dtype=torch.int64) if batch.series is None else batch.series.cpu()
        self._reserve(series, batch)
        errors_by_row = []
        for name in self._names:
            errors = (points[name] - actual).masked_fill(~known, 0)
            self._add(name, series, torch.stack([errors.abs().sum(1), errors.square().sum(1)], 1))
            errors_by_row.append(errors.abs().sum((0, 2)))
        low, high = forecasts[..., 0], forecasts[..., -1]
        within = (low <= actual) & (actual <= high)
        losses = pinball(forecasts, actual, self._quantiles, reduction="none").mean(-1)
        self._add("pinball", series, losses.masked_fill(~known, 0).sum(1))
        self._add("within", series, within.sum(1))
        self._add("count", series, known.sum(1))
        if not self._by_row.shape[1]:
            self._by_row = torch.zeros(2, actual.shape[1], dtype=torch.float64)
        if not self._errors_by_row.shape[1]:
            self._errors_by_row = torch.zeros(len(self._names), actual.shape[1], dtype=torch.float64)
        self._by_row += torch.stack([within.sum((0, 2)), known.sum((0, 2))]).cpu()
        self._errors_by_row += torch.stack(errors_by_row).cpu()

    def _reserve(self, series: Tensor, batch: Any) -> None:
        """Makes room for the series of a batch, and keeps their measures."""
        self._make_room(int(series.max()) + 1)
        self._measures[series] = self._alike if batch.measures is None else batch.measures.cpu()

    def _make_room(self, series: int) -> None:
        """Makes room for a number of series."""
        more = series - len(self._measures)
        if more > 0:
            self._sums = {name: _longer(values, more) for name, values in self._sums.items()}
            self._measures = _longer(self._measures, more)

    def _add(self, name: str, series: Tensor, values: Tensor) -> None:
        """Adds values [B, ...] to the sums of their series."""
        self._sums[name].index_add_(0, series, values.cpu().double())

    def compute(self) -> dict[str, float]:
        """The metrics of the forecasts so far, then of the naive forecasts, with their names as prefixes.

        ``mae`` and ``rmse`` in the units of the targets; ``mase``, the mean absolute error divided by the error of the
        seasonal-naive forecast of one row within the training part (Hyndman and Koehler 2006, "Another look at measures
        of forecast accuracy"), left out where the latter is 0; ``mse_scaled``, the squared error divided by the
        variance in the training part. With several quantiles also ``coverage``, the fraction of values between the
        lowest and the highest quantile, and ``crps``, twice the mean pinball loss of the quantiles, which tends to the
        continuous ranked probability score as their number grows (Gneiting and Raftery 2007, "Strictly proper scoring
        rules, prediction, and estimation"), in the units of the targets; for a naive forecast it is ``mae``.
        """
        results: dict[str, float] = {}
        counted = self._sums["count"].sum(1) > 0
        count = self._sums["count"][counted].clamp(min=1)
        deviations, naive_errors = self._measures[counted].unbind(1)
        comparable = (naive_errors > 0).all(1)
        several = len(self._quantiles) > 1
        for name in self._names:
            absolute, squares = (self._sums[name][counted] / count[:, None]).unbind(1)
            results[f"{name}mae"] = float(absolute.mean())
            results[f"{name}rmse"] = float(squares.mean(1).sqrt().mean())
            if comparable.any():
                results[f"{name}mase"] = float((absolute / naive_errors)[comparable].mean())
            results[f"{name}mse_scaled"] = float((squares / deviations.square()).mean())
            if several:
                results[f"{name}crps"] = results[f"{name}mae"]
            if not name and several:
                results["crps"] = float((2 * self._sums["pinball"][counted] / count).mean())
                results["coverage"] = float((self._sums["within"][counted] / count).mean())
        return results

    def figures(self) -> dict[str, Any]:
        """The errors of each row of the horizon, over all series and targets, as JSON values.

        Returns:
            ``mae_by_row``: the mean absolute errors of the ``model`` and of the naive forecasts, one per row; and with
            several quantiles ``coverage_by_row``.
        """
        within, count = self._by_row
        count = count.clamp(min=1)
        names = [name.rstrip("_") or "model" for name in self._names]
        errors = dict(zip(names, (self._errors_by_row / count).tolist(), strict=True))
        coverage = {"coverage_by_row": (within / count).tolist()} if len(self._quantiles) > 1 else {}
        return {"mae_by_row": errors, **coverage}

    def table(self) -> str:
        """The metrics as text: one line for the model and one for each naive forecast; the coverage by row."""
        results = self.compute()
        kinds = [kind for kind in ("mae", "rmse", "mase", "mse_scaled", "crps") if kind in results]
        lines = [f"{'':14}" + "".join(f"  {kind.replace('_', ' '):>12}" for kind in kinds)]
        for name in self._names:
            label = name.rstrip("_").replace("_", " ") or "model"
            lines.append(f"{label:14}" + "".join(f"  {results[name + kind]:12.5g}" for kind in kinds))
        shares = self.figures().get("coverage_by_row", [])
        if shares:
            places = sorted({round(place) for place in torch.linspace(0, len(shares) - 1, _SHOWN).tolist()})
            lines.append(f"{'row':14}" + "".join(f" {place + 1:5}" for place in places))
            lines.append(f"{'coverage':14}" + "".join(f" {shares[place]:5.2f}" for place in places))
        return "\n".join(lines)

    def state_dict(self) -> dict[str, Any]:
        """A copy of the sums and counts."""
        sums = {name: values.clone() for name, values in self._sums.items()}
        by_row = {"by_row": self._by_row.clone(), "errors_by_row": self._errors_by_row.clone()}
        return {"sums": sums, "measures": self._measures.clone(), **by_row}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from what ``state_dict`` gave."""
        self._sums = {name: values.clone() for name, values in state["sums"].items()}
        self._measures, self._by_row = state["measures"].clone(), state["by_row"].clone()
        if "errors_by_row" in state:  # checkpoints of older versions do not have them
            self._errors_by_row = state["errors_by_row"].clone()

    def add_state(self, state: Mapping[str, Any]) -> None:
        """Adds the sums and counts of other metrics."""
        there = state["measures"]
        self._make_room(len(there))
        counted = state["sums"]["count"].sum(1) > 0
        self._measures[: len(there)][counted] = there[counted]
        for name, values in self._sums.items():
            values[: len(there)] += state["sums"][name]
        if not self._by_row.shape[1]:
            self._by_row = torch.zeros_like(state["by_row"])
        if state["by_row"].shape[1]:
            self._by_row += state["by_row"]


def _longer(values: Tensor, more: int) -> Tensor:
    """The values with ``more`` zeros along the first dimension."""
    return torch.cat([values, values.new_zeros(more, *values.shape[1:])])
