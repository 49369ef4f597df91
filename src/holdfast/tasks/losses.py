"""Losses of numbers, for the tasks that learn them: over the known targets only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from holdfast.errors import RecipeError

LossKind = Literal["mse", "mae", "huber", "quantile"]

_POINT: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}


def known_loss(
    outputs: Tensor, targets: Tensor, kind: LossKind, quantiles: Sequence[float], weights: Tensor | None = None
) -> Tensor:
    """The mean loss of the targets that are known.

    Args:
        outputs: [B, ..., Q]; with ``quantile``, one value for each of the Q quantiles, else Q is 1.
        targets: [B, ...], NaN where a target is missing.
        kind: ``mse``: squared error; ``mae``: absolute error; ``huber``: half the squared error up to 1, linear beyond
            (Huber 1964); ``quantile``: :func:`pinball`.
        quantiles: The Q quantiles.
        weights: The weight of each row in the mean, [B]; None for equal weights.

    Returns:
        A scalar; 0, with gradients of 0, if no target is known.
    """
    gaps = targets.isnan()
    if gaps.all():
        return outputs.sum() * 0
    if weights is not None:
        weights = weights.reshape(-1, *[1] * (targets.ndim - 1)).expand(targets.shape)
    if gaps.any():
        outputs, targets = outputs[~gaps], targets[~gaps]
        weights = None if weights is None else weights[~gaps]
    if kind == "quantile":
        losses = pinball(outputs, targets, quantiles, reduction="none").mean(-1)
    else:
        losses = _POINT[kind](outputs[..., 0], targets, reduction="none")
    return losses.mean() if weights is None else (losses * weights).mean()


def pinball(
    forecasts: Tensor, actual: Tensor, quantiles: Sequence[float], *, reduction: Literal["mean", "none"] = "mean"
) -> Tensor:
    """The pinball loss: q times the error of values that are too low, 1 - q times the error of the others.

    From Koenker and Bassett 1978, "Regression quantiles".

    Args:
        forecasts: [..., Q].
        actual: [...].
        quantiles: The Q quantiles.
        reduction: ``mean`` for the mean of all, a scalar; ``none`` for each loss, [..., Q].
    """
    low = actual[..., None] - forecasts
    q = torch.tensor(quantiles, dtype=forecasts.dtype, device=forecasts.device)
    losses = torch.maximum(q * low, (q - 1) * low)
    return losses.mean() if reduction == "mean" else losses


def check_quantiles(quantiles: Sequence[float]) -> None:
    """Checks ``model.quantiles``.

    Raises:
        RecipeError: They do not ascend, are not between 0 and 1, or lack 0.5.
    """
    ascending = sorted(set(quantiles)) == list(quantiles)
    if not ascending or 0.5 not in quantiles or not 0 < quantiles[0] <= quantiles[-1] < 1:
        raise RecipeError(
            f"model.quantiles is {quantiles}; expected ascending numbers between 0 and 1, with 0.5 among them."
        )
