"""The activation functions that a cell can be given by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from holdfast.cells.spec import Activation, check_activation


def linear(x: Tensor) -> Tensor:
    """The identity."""
    return x


def hard_sigmoid(x: Tensor) -> Tensor:
    """clip(x / 6 + 1/2, 0, 1): the definition of Keras 3 and of ``torch.nn.Hardsigmoid``."""
    return torch.clamp(x / 6 + 0.5, 0, 1)


def hard_sigmoid_02(x: Tensor) -> Tensor:
    """clip(0.2 x + 1/2, 0, 1): the definition of Keras 1 and 2, and the default of ONNX's HardSigmoid."""
    return torch.clamp(0.2 * x + 0.5, 0, 1)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), without torch's switch to the identity for large x, so that it has all its derivatives."""
    return torch.logaddexp(x, torch.zeros_like(x))


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "linear": linear,
    "hard_sigmoid": hard_sigmoid,
    "hard_sigmoid_02": hard_sigmoid_02,
    "softsign": F.softsign,
    "softplus": softplus,
    "elu": F.elu,
}


def activation(name: Activation) -> Callable[[Tensor], Tensor]:
    """The function of that name; a callable is returned as it is.

    Raises:
        OptionError: No activation has that name.
    """
    if callable(name):
        return name
    check_activation(name)
    return ACTIVATIONS[name]
