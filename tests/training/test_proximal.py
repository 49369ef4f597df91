from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from holdfast.errors import OptionError
from holdfast.training import proximal
from holdfast.training.nest import decode, encode
from holdfast.training.optimizers import make_optimizer

from .standin import settings

Values = npt.NDArray[np.float64]
START = np.array([0.5, -0.4, 0.03, 0.0, -2.0])
RATES = [0.2, 0.2, 0.1, 0.3, 0.05, 0.05]
GRADIENTS = np.random.default_rng(4).normal(size=(len(RATES), len(START)))


def shrunk(v: Values, a: Values | float) -> Values:
    return np.where(np.abs(v) > a, v - np.sign(v) * a, 0.0)


def proximal_sgd(l1: float, l2: float) -> list[Values]:
    w, seen = START, []
    for lr, g in zip(RATES, GRADIENTS, strict=True):
        w = shrunk(w - lr * g, lr * l1) / (1 + lr * l2)
        seen.append(w)
    return seen


def proximal_adagrad(l1: float, l2: float) -> list[Values]:
    w, n, seen = START, np.full_like(START, 0.1), []
    for lr, g in zip(RATES, GRADIENTS, strict=True):
        n = n + g**2
        rate = lr / np.sqrt(n)
        w = shrunk(w - rate * g, rate * l1) / (1 + rate * l2)
        seen.append(w)
    return seen


def adagrad_da(l1: float, l2: float) -> list[Values]:
    """The argmin itself: of the minimiser's candidates (either side of 0, and 0) the one with the least value."""
    seen = []
    for t in range(1, len(RATES) + 1):
        G, d = GRADIENTS[:t].sum(0), np.sqrt(0.1 + (GRADIENTS[:t] ** 2).sum(0)) / RATES[t - 1]
        value = lambda w: G * w + t * (l1 * np.abs(w) + l2 * w**2 / 2) + d * (w - START) ** 2 / 2  # noqa: B023, E731
        right = np.maximum((d * START - G - t * l1) / (d + t * l2), 0)
        left = np.minimum((d * START - G + t * l1) / (d + t * l2), 0)
        candidates = np.stack([right, left, np.zeros_like(right)])
        seen.append(np.take_along_axis(candidates, value(candidates).argmin(0)[None], 0)[0])
    return seen


def ftrl(l1: float, l2: float) -> list[Values]:
    """The sum that the paper minimises, g w + sigma (w - w_s)² / 2 over all updates s, and not its running form."""
    weights = [START]
    for t in range(1, len(RATES) + 1):
        n = 0.1 + np.concatenate([np.zeros((1, len(START))), (GRADIENTS[:t] ** 2).cumsum(0)])
        q = np.sqrt(n) / np.array([RATES[0], *RATES[:t]])[:, None]
        sigma = np.diff(q, axis=0, prepend=0)
        centres = np.stack([START, *weights])  # the initial accumulator's term stays at the start
        z = GRADIENTS[:t].sum(0) - (sigma * centres).sum(0)
        weights.append(-shrunk(z, l1) / (sigma.sum(0) + l2))
    return weights[1:]


EXPECTED: dict[str, Callable[[float, float], list[Values]]] = {
    "ProximalSGD": proximal_sgd,
    "ProximalAdagrad": proximal_adagrad,
    "AdagradDA": adagrad_da,
    "Ftrl": ftrl,
}


def run(optimizer: torch.optim.Optimizer, w: nn.Parameter, begin: int = 0) -> list[Values]:
    seen = []
    for lr, g in list(zip(RATES, GRADIENTS, strict=True))[begin:]:
        optimizer.param_groups[0]["lr"] = lr
        w.grad = torch.from_numpy(g.copy())
        optimizer.step()
        seen.append(w.detach().numpy().copy())
    return seen


def made(name: str, **options: Any) -> tuple[torch.optim.Optimizer, nn.Parameter]:
    w = nn.Parameter(torch.from_numpy(START.copy()))
    kind: Any = getattr(proximal, name, None) or getattr(torch.optim, name)
    return kind([w], lr=RATES[0], **options), w


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.6, 0.0), (0.0, 0.7), (0.6, 0.7), (0.05, 2.0)])
def test_each_update_is_the_papers(name: str, l1: float, l2: float) -> None:
    seen = run(*made(name, l1=l1, l2=l2))
    np.testing.assert_allclose(seen, EXPECTED[name](l1, l2), rtol=1e-12, atol=1e-14)
    if l1 in (0, 0.6):
        assert (np.array(seen) == 0).any() == (l1 > 0)


@pytest.mark.parametrize(
    ("name", "torchs", "options"),
    [
        ("ProximalSGD", "SGD", {}),
        ("ProximalAdagrad", "Adagrad", {"initial_accumulator_value": 0.1, "eps": 0}),
        ("Ftrl", "Adagrad", {"initial_accumulator_value": 0.1, "eps": 0}),
    ],
)
def test_without_penalties_it_is_torchs(name: str, torchs: str, options: dict[str, float]) -> None:
    np.testing.assert_allclose(run(*made(name)), run(*made(torchs, **options)), rtol=1e-12, atol=1e-14)


def test_ftrl_by_a_power_of_zero_has_a_fixed_rate() -> None:
    seen = run(*made("Ftrl", power=0.0))
    np.testing.assert_allclose(seen, proximal_sgd(0, 0), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_stored_state_goes_on_with_the_same_bits(name: str) -> None:
    whole = run(*made(name, l1=0.1, l2=0.1))
    optimizer, w = made(name, l1=0.1, l2=0.1)
    for lr, g in zip(RATES[:3], GRADIENTS[:3], strict=True):
        w.grad = torch.from_numpy(g.copy())
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    tensors, text = encode(optimizer.state_dict())
    again, copy = made(name, l1=0.1, l2=0.1)
    again.load_state_dict(decode(tensors, text, torch.device("cpu")))
    copy.data.copy_(w.data)
    assert np.array_equal(run(again, copy, begin=3), whole[3:])


def test_a_parameter_without_gradient_stays_and_a_closure_is_called() -> None:
    idle, moved = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = proximal.Ftrl([idle, moved], lr=0.1)

    def closure() -> float:
        optimizer.zero_grad()
        loss = moved.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 2.0
    assert idle.tolist() == [1.0, 1.0]
    assert moved[0].item() == pytest.approx(1 - 0.1 * 2 / (4 + 0.1) ** 0.5)


@pytest.mark.parametrize(
    ("name", "option", "value", "message"),
    [
        ("ProximalSGD", "l1", -1.0, "l1 is -1.0; expected a number from 0."),
        ("Ftrl", "l2", -2.0, "l2 is -2.0; expected a number from 0."),
        ("Ftrl", "power", -0.5, "power is -0.5; expected a number from 0."),
        (
            "AdagradDA",
            "initial_accumulator_value",
            0,
            "initial_accumulator_value is 0; expected a number above 0.",
        ),
    ],
)
def test_numbers_out_of_range(name: str, option: str, value: float, message: str) -> None:
    with pytest.raises(OptionError) as error:
        make_optimizer(nn.Linear(1, 1), settings(optimizer=name, optimizer_options={option: value}))
    assert str(error.value) == f"optimizer {name!r} refuses its arguments: {message}"
