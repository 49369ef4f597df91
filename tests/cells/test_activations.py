"""The activation functions by name."""

from __future__ import annotations

import pytest
import torch

import by_hand
from holdfast.cells import ACTIVATIONS, activation
from holdfast.cells.spec import ACTIVATION_NAMES
from holdfast.errors import OptionError

POINTS = [-700.0, -30.0, -3.5, -3.0, -2.75, -2.5, -1.0, -1e-3, 0.0, 1e-3, 0.7, 2.5, 2.75, 3.0, 3.5, 30.0, 700.0]


def test_the_two_lists_name_the_same_functions() -> None:
    assert ACTIVATIONS.keys() == by_hand.ACTIVATIONS.keys()
    assert tuple(ACTIVATIONS) == ACTIVATION_NAMES


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values(name: str) -> None:
    expected = torch.tensor([by_hand.ACTIVATIONS[name](v) for v in POINTS], dtype=torch.float64)
    torch.testing.assert_close(
        activation(name)(torch.tensor(POINTS, dtype=torch.float64)), expected, rtol=1e-14, atol=1e-15
    )


def test_the_hard_sigmoids_are_the_two_known_ones() -> None:
    x = torch.tensor([-2.75, 1.0, 2.75], dtype=torch.float64)
    torch.testing.assert_close(activation("hard_sigmoid")(x), torch.nn.functional.hardsigmoid(x))  # Keras 3
    assert activation("hard_sigmoid_02")(x).tolist() == [0, 0.7, 1]  # Keras 2


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradients_of_both_orders_are_finite_and_right(name: str) -> None:
    away_from_kinks = torch.tensor([-40.0, -2.8, -1.3, 0.4, 2.8, 40.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(activation(name), away_from_kinks)
    assert torch.autograd.gradgradcheck(activation(name), away_from_kinks)


def test_a_callable_is_taken_as_it_is() -> None:
    assert activation(torch.sin) is torch.sin


def test_an_unknown_name() -> None:
    with pytest.raises(OptionError) as raised:
        activation("hard_sigmod")
    assert str(raised.value) == (
        "There is no activation 'hard_sigmod': did you mean 'hard_sigmoid'? Known: elu, hard_sigmoid, hard_sigmoid_02, "
        "linear, relu, sigmoid, softplus, softsign, tanh. A callable will do too."
    )
