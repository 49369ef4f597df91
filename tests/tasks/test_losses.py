"""The losses of numbers: by hand, with missing targets and with weights of rows."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch.nn import functional as F

from holdfast.errors import RecipeError
from holdfast.tasks.losses import LossKind, check_quantiles, known_loss, pinball

POINT = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}
nan = float("nan")


@pytest.mark.parametrize("kind", get_args(LossKind))
def test_only_known_targets_count(kind: LossKind) -> None:
    quantiles = [0.1, 0.5] if kind == "quantile" else [0.5]
    outputs = torch.arange(12.0).reshape(2, 6 // len(quantiles), -1)[:, :3, : len(quantiles)].requires_grad_()
    targets = torch.tensor([[0.5, nan, 9.0], [nan, 1.0, -4.0]])
    known = ~targets.isnan()
    loss = known_loss(outputs, targets, kind, quantiles)
    if kind == "quantile":
        expected = pinball(outputs[known], targets[known], quantiles)
    else:
        expected = POINT[kind](outputs[known][:, 0], targets[known])
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert outputs.grad is not None
    assert (outputs.grad[~known] == 0).all()
    assert not (outputs.grad[known] == 0).all()


def test_without_a_known_target_the_loss_is_zero() -> None:
    outputs = torch.ones(2, 3, 1, requires_grad=True)
    loss = known_loss(outputs, torch.full((2, 3), nan), "mse", [0.5])
    loss.backward()
    assert loss.item() == 0
    assert outputs.grad is not None
    assert outputs.grad.eq(0).all()


def test_the_weight_of_a_row_is_the_weight_of_its_known_targets() -> None:
    outputs, targets = torch.zeros(2, 2, 1), torch.tensor([[1.0, nan], [2.0, 3.0]])
    # (0.5 * 1 + 2 * 4 + 2 * 9) / 3
    assert float(known_loss(outputs, targets, "mse", [0.5], torch.tensor([0.5, 2.0]))) == pytest.approx(26.5 / 3)
    assert float(known_loss(outputs, targets, "mse", [0.5], torch.ones(2))) == pytest.approx(14 / 3)


@pytest.mark.parametrize("quantiles", [[], [0.5, 0.1], [0.1, 0.9], [0.0, 0.5], [0.5, 1.0], [0.5, 0.5]])
def test_quantiles_that_are_none(quantiles: list[float]) -> None:
    with pytest.raises(RecipeError) as error:
        check_quantiles(quantiles)
    assert str(error.value) == (
        f"model.quantiles is {quantiles}; expected ascending numbers between 0 and 1, with 0.5 among them."
    )
