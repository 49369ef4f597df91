"""The activation functions by name."""

from __future__ import annotations

import pytest
import torch

import by_hand
from holdfast.cells import ACTIVATIONS, activation
from holdfast.cells.activation_names import PARAMETERS, check_activation, parse_activation
from holdfast.errors import OptionError
from variants import PARAMETRISED

POINTS = [-700.0, -30.0, -3.5, -3.0, -2.75, -2.5, -1.0, -1e-3, 0.0, 1e-3, 0.7, 2.5, 2.75, 3.0, 3.5, 30.0, 700.0]


def test_the_two_lists_name_the_same_functions() -> None:
    assert ACTIVATIONS.keys() == by_hand.ACTIVATIONS.keys()
    assert tuple(ACTIVATIONS) == tuple(PARAMETERS)


@pytest.mark.parametrize("name", [*ACTIVATIONS, *PARAMETRISED])
def test_values(name: str) -> None:
    expected = torch.tensor([by_hand.function(name)(v) for v in POINTS], dtype=torch.float64)
    torch.testing.assert_close(
        activation(name)(torch.tensor(POINTS, dtype=torch.float64)), expected, rtol=1e-14, atol=1e-15
    )


def test_the_hard_sigmoids_are_the_two_known_ones() -> None:
    x = torch.tensor([-2.75, 1.0, 2.75], dtype=torch.float64)
    torch.testing.assert_close(activation("hard_sigmoid")(x), torch.nn.functional.hardsigmoid(x))  # Keras 3
    assert activation("hard_sigmoid_02")(x).tolist() == [0, 0.7, 1]  # Keras 2


@pytest.mark.parametrize("name", [*ACTIVATIONS, *PARAMETRISED])
def test_gradients_of_both_orders_are_finite_and_right(name: str) -> None:
    away_from_kinks = torch.tensor([-40.0, -2.8, -1.3, 0.4, 2.8, 40.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(activation(name), away_from_kinks)
    assert torch.autograd.gradgradcheck(activation(name), away_from_kinks)


def test_the_defaults_are_those_of_torch() -> None:
    x = torch.linspace(-8, 8, 1001, dtype=torch.float64)
    for name, module in {
        "elu": torch.nn.ELU(),
        "selu": torch.nn.SELU(),
        "leaky_relu": torch.nn.LeakyReLU(),
        "relu6": torch.nn.ReLU6(),
        "silu": torch.nn.SiLU(),
        "gelu": torch.nn.GELU(),
        "mish": torch.nn.Mish(),
        "softplus": torch.nn.Softplus(),
        "softsign": torch.nn.Softsign(),
    }.items():
        torch.testing.assert_close(activation(name)(x), module(x))


def test_parameters_that_are_left_out_have_their_defaults() -> None:
    assert parse_activation("tanh") == ("tanh", ())
    assert parse_activation("leaky_relu") == ("leaky_relu", (0.01,))
    assert parse_activation("leaky_relu(.2)") == ("leaky_relu", (0.2,))
    assert parse_activation("affine(3)") == ("affine", (3, 0))
    assert parse_activation("scaled_tanh(1.7159, 6.667e-1)") == ("scaled_tanh", (1.7159, 0.6667))


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("tanh(1)", "tanh"),
        ("elu()", "elu(1)"),
        ("elu(1", "elu(1)"),
        ("elu(1))", "elu(1)"),
        ("elu(1, 2)", "elu(1)"),
        ("leaky_relu(nan)", "leaky_relu(0.01)"),
        ("leaky_relu(-inf)", "leaky_relu(0.01)"),
        ("affine(a, b)", "affine(1, 0)"),
        ("hard_sigmoid(0.2; 0.5)", "hard_sigmoid(0.1667, 0.5)"),
    ],
)
def test_parameters_that_an_activation_does_not_have(name: str, written: str) -> None:
    with pytest.raises(OptionError) as raised:
        activation(name)
    base = name.partition("(")[0]
    assert str(raised.value) == (
        f"The activation {name!r} has other parameters than {base} takes: write it like {written!r}."
    )


def test_a_callable_is_taken_as_it_is() -> None:
    assert activation(torch.sin) is torch.sin


def test_an_unknown_name() -> None:
    with pytest.raises(OptionError) as raised:
        activation("hard_sigmod")
    assert str(raised.value) == (
        "There is no activation 'hard_sigmod': did you mean 'hard_sigmoid'? Known: affine, elu, exponential, gelu, "
        "hard_sigmoid, hard_sigmoid_02, leaky_relu, linear, mish, relu, relu6, scaled_tanh, selu, sigmoid, silu, "
        "softplus, softsign, tanh, thresholded_relu. A callable will do too."
    )
    with pytest.raises(OptionError, match=r"There is no activation 'leaky_rel\(0.2\)': did you mean 'leaky_relu'\?"):
        activation("leaky_rel(0.2)")
    with pytest.raises(OptionError, match="There is no activation 3: expected a name, or a callable"):
        check_activation(3)  # type: ignore[arg-type]
