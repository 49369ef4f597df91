"""Errors of predicted numbers, beside the errors of predictions without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from holdfast.data import Batch
    from holdfast.tasks.regress.encoder import Targets

_KINDS = ("mae", "rmse", "r2")


class RegressionMetrics:
    """Errors of the predictions, and of two predictions without a model.

    These are the mean of the training targets (``mean``), and with targets per step the last known true value before
    the step (``repeat_last``; the mean where there is none). With several targets, a metric is the mean over them;
    ``rmse`` is the root of the mean of their squared errors.

    Args:
        targets: The names and the scale of the K targets.
        per_step: Whether there are targets for each step.
        quantiles: The quantiles of the predictions, ascending, with 0.5; one number for a point prediction.
    """

    def __init__(self, targets: Targets, *, per_step: bool, quantiles: Sequence[float] = (0.5,)) -> None:
        self._targets, self._per_step, self._quantiles = targets, per_step, list(quantiles)
        prefixes = ["", "mean_", *(["repeat_last_"] if per_step else [])]
        self._sums = {prefix: torch.zeros(2, len(targets), dtype=torch.float64) for prefix in prefixes}
        self._shift, self._within, self._count = torch.zeros(3, len(targets), dtype=torch.float64)

    def update(self, predictions: Tensor, batch: Batch) -> None:
        """Adds a batch.

        Args:
            predictions: [B, K, Q], or [B, T, K, Q] for targets per step, in the units of the targets.
            batch: Its targets are scaled, [B, K] or [B, T, K]; NaN for a missing one, which is left out.
        """
        actual = self._targets.restored(batch.known_targets[..., None])[..., 0]
        mean = torch.tensor(self._targets.scaling.mean, dtype=torch.float64, device=actual.device)
        points = {"": predictions[..., self._quantiles.index(0.5)], "mean_": mean}
        if self._per_step:
            points["repeat_last_"] = _last_known(actual, mean)
        known, dims = ~actual.isnan(), tuple(range(actual.ndim - 1))
        for prefix, sums in self._sums.items():
            errors = (points[prefix] - actual).masked_fill(~known, 0)
            sums += torch.stack([errors.abs().sum(dims), errors.square().sum(dims)]).cpu()
        self._shift += (actual - mean).masked_fill(~known, 0).sum(dims).cpu()
        low, high = predictions[..., 0], predictions[..., -1]
        self._within += ((low <= actual) & (actual <= high)).sum(dims).cpu()
        self._count += known.sum(dims).cpu()

    def compute(self) -> dict[str, float]:
        """The metrics of the predictions so far, then of the predictions without a model, with their names as prefixes.

        ``mae`` and ``rmse`` in the units of the targets; ``r2``, the coefficient of determination: 1 minus the squared
        error divided by the squared deviation from the mean of the measured targets (1 for a perfect prediction of
        targets that never change, 0 for any other prediction of these); with several quantiles ``coverage``, the
        fraction of targets between the lowest and the highest quantile.
        """
        results: dict[str, float] = {}
        count = self._count.clamp(min=1)
        for prefix, (absolute, squares) in self._sums.items():
            results[f"{prefix}mae"] = float((absolute / count).mean())
            results[f"{prefix}rmse"] = float((squares / count).mean().sqrt())
            if not prefix:
                results["r2"] = float(self._r2(prefix).mean())
            if not prefix and len(self._quantiles) > 1:
                results["coverage"] = float((self._within / count).mean())
        return results

    def _r2(self, prefix: str) -> Tensor:
        """The coefficient of determination of each target, [K]."""
        squares, spread = (
            self._sums[prefix][1],
            self._sums["mean_"][1] - self._shift.square() / self._count.clamp(min=1),
        )
        spread = spread.clamp(min=0)
        constant = spread <= 1e-12 * self._sums["mean_"][1]
        perfect = (squares == 0).double()
        return torch.where(constant, perfect, 1 - squares / torch.where(constant, 1, spread))

    def figures(self) -> dict[str, Any]:
        """The errors of each target as JSON values.

        Returns:
            ``targets``: for each name ``count``, the number of known targets; ``model``, ``mean`` and, with targets per
            step, ``repeat_last``: each with ``mae``, ``rmse`` and ``r2``; and with several quantiles ``coverage``.
        """
        count = self._count.clamp(min=1)
        figures: dict[str, Any] = {}
        for k, name in enumerate(self._targets.names):
            figures[name] = {"count": int(self._count[k])}
            for prefix, (absolute, squares) in self._sums.items():
                values = (absolute[k] / count[k], (squares[k] / count[k]).sqrt(), self._r2(prefix)[k])
                figures[name][prefix.rstrip("_") or "model"] = dict(zip(_KINDS, map(float, values), strict=True))
            if len(self._quantiles) > 1:
                figures[name]["coverage"] = float(self._within[k] / count[k])
        return {"targets": figures}

    def table(self) -> str:
        """The errors as text: for each target one line for the model and one for each prediction without a model."""
        labels = {"model": "model", "mean": "training mean", "repeat_last": "repeat last"}
        figures = self.figures()["targets"]
        width = max(map(len, ["target", *figures]))
        lines = [f"{'target':<{width}}  {'':13}" + "".join(f"  {kind:>12}" for kind in _KINDS)]
        for name, rows in figures.items():
            for key, label in labels.items():
                if key in rows:
                    lines.append(
                        f"{name:<{width}}  {label:13}" + "".join(f"  {rows[key][kind]:12.5g}" for kind in _KINDS)
                    )
        return "\n".join(lines)

    def state_dict(self) -> dict[str, Any]:
        """A copy of the sums and counts."""
        sums = {prefix: values.clone() for prefix, values in self._sums.items()}
        return {
            "sums": sums,
            "shift": self._shift.clone(),
            "within": self._within.clone(),
            "count": self._count.clone(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from what ``state_dict`` gave."""
        self._sums = {prefix: values.clone() for prefix, values in state["sums"].items()}
        self._shift, self._within, self._count = (state[name].clone() for name in ("shift", "within", "count"))

    def add_state(self, state: Mapping[str, Any]) -> None:
        """Adds the sums and counts of other metrics."""
        for prefix, values in self._sums.items():
            values += state["sums"][prefix]
        self._shift += state["shift"]
        self._within += state["within"]
        self._count += state["count"]


def _last_known(actual: Tensor, mean: Tensor) -> Tensor:
    """For each step the last known target before it, or the mean where there is none: [B, T, K]."""
    steps = torch.arange(actual.shape[1], device=actual.device)[:, None].expand(actual.shape)
    latest = torch.where(actual.isnan(), -1, steps).cummax(1).values
    before = torch.cat([torch.full_like(latest[:, :1], -1), latest[:, :-1]], 1)
    return torch.where(before < 0, mean, actual.gather(1, before.clamp(min=0)))
