"""Errors of forecasts, beside the errors of naive forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class ForecastMetrics:
    """Errors of forecasts, beside the errors of two forecasts without a model.

    The forecasts without a model repeat the last value (``repeat_last``) and the value of one season before
    (``seasonal_naive``). With several targets, a metric is the mean over them; ``rmse`` is the root of the mean of
    their squared errors.

    Args:
        deviations: Standard deviation of each target in the training part, C.
        naive_errors: Mean absolute error of each target's seasonal-naive forecast of one row, within the training part,
            C.
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
        self._deviations = torch.tensor(deviations, dtype=torch.float64)
        self._naive_errors = torch.tensor(naive_errors, dtype=torch.float64)
        self._season, self._quantiles = season, list(quantiles)
        names = ["", "repeat_last_"] + (["seasonal_naive_"] if season > 1 else [])
        self._sums = {name: torch.zeros(2, len(deviations), dtype=torch.float64) for name in names}
        self._within, self._count = torch.zeros(2, len(deviations), dtype=torch.float64)

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
        for name, sums in self._sums.items():
            errors = (points[name] - actual).masked_fill(~known, 0)
            sums += torch.stack([errors.abs().sum((0, 1)), errors.square().sum((0, 1))]).cpu()
        low, high = forecasts[..., 0], forecasts[..., -1]
        self._within += ((low <= actual) & (actual <= high)).sum((0, 1)).cpu()
        self._count += known.sum((0, 1)).cpu()

    def compute(self) -> dict[str, float]:
        """The metrics of the forecasts so far, then of the naive forecasts, with their names as prefixes.

        ``mae`` and ``rmse`` in the units of the targets; ``mase``, the mean absolute error divided by the error of the
        seasonal-naive forecast of one row within the training part (Hyndman and Koehler 2006, "Another look at measures
        of forecast accuracy"), left out where the latter is 0; ``mse_scaled``, the squared error divided by the
        variance in the training part; with several quantiles ``coverage``, the fraction of values between the lowest
        and the highest quantile.
        """
        results: dict[str, float] = {}
        count = self._count.clamp(min=1)
        for name, sums in self._sums.items():
            absolute, squares = sums / count
            results[f"{name}mae"] = float(absolute.mean())
            results[f"{name}rmse"] = float(squares.mean().sqrt())
            if (self._naive_errors > 0).all():
                results[f"{name}mase"] = float((absolute / self._naive_errors).mean())
            results[f"{name}mse_scaled"] = float((squares / self._deviations.square()).mean())
            if not name and len(self._quantiles) > 1:
                results["coverage"] = float((self._within / count).mean())
        return results

    def table(self) -> str:
        """The metrics as text: one line for the model and one for each naive forecast."""
        results = self.compute()
        kinds = [kind for kind in ("mae", "rmse", "mase", "mse_scaled") if kind in results]
        lines = [f"{'':14}" + "".join(f"  {kind.replace('_', ' '):>12}" for kind in kinds)]
        for name in self._sums:
            label = name.rstrip("_").replace("_", " ") or "model"
            lines.append(f"{label:14}" + "".join(f"  {results[name + kind]:12.5g}" for kind in kinds))
        return "\n".join(lines)

    def state_dict(self) -> dict[str, Any]:
        """A copy of the sums and counts."""
        sums = {name: values.clone() for name, values in self._sums.items()}
        return {"sums": sums, "within": self._within.clone(), "count": self._count.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from what ``state_dict`` gave."""
        self._sums = {name: values.clone() for name, values in state["sums"].items()}
        self._within, self._count = state["within"].clone(), state["count"].clone()
