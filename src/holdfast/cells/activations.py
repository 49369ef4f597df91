"""The activation functions that a cell can be given by name, with the parameters that some of them have.

A name may be followed by parameters, as in ``"leaky_relu(0.2)"``; those that are left out have these defaults:

    hard_sigmoid(1/6, 0.5)    torch.nn.Hardsigmoid, Keras 3; ONNX has (0.2, 0.5), which is hard_sigmoid_02 here
    elu(1)                    torch.nn.ELU, Keras and ONNX alike
    leaky_relu(0.01)          torch.nn.LeakyReLU and ONNX; Keras has 0.2
    thresholded_relu(1)       ONNX
    affine(1, 0)              the identity; ONNX names no default
    scaled_tanh(1, 1)         tanh; ONNX names no default
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from holdfast.cells.activation_names import Activation, parse_activation
from holdfast.cells.spec import CellSpec


def linear(x: Tensor) -> Tensor:
    """The identity."""
    return x


def clip(x: Tensor, low: float, high: float) -> Tensor:
    """X, but at least low and at most high; the derivative is 0 at both ends, as torch.nn.Hardsigmoid's, and at NaN."""
    return torch.where((x > low) & (x < high), x, x.detach().clamp(low, high))


def hard_sigmoid(x: Tensor, α: float, β: float) -> Tensor:
    """clip(α x + β, 0, 1)."""
    return clip(α * x + β, 0, 1)


def hard_sigmoid_02(x: Tensor) -> Tensor:
    """clip(0.2 x + 1/2, 0, 1): the definition of Keras 1 and 2, and the default of ONNX's HardSigmoid."""
    return hard_sigmoid(x, 0.2, 0.5)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), without torch's switch to the identity for large x, so that it has all its derivatives."""
    return torch.logaddexp(x, torch.zeros_like(x))


def thresholded_relu(x: Tensor, θ: float) -> Tensor:
    """X above θ, 0 elsewhere (Konda et al. 2014)."""
    return F.threshold(x, θ, 0)


def affine(x: Tensor, α: float, β: float) -> Tensor:
    """α x + β."""
    return α * x + β


def scaled_tanh(x: Tensor, α: float, β: float) -> Tensor:
    """α tanh(β x) (LeCun et al. 1989)."""
    return α * torch.tanh(β * x)


# Functions of a tensor and of the parameters of their name, all of them.
ACTIVATIONS: dict[str, Callable[..., Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "linear": linear,
    "hard_sigmoid": hard_sigmoid,
    "hard_sigmoid_02": hard_sigmoid_02,
    "softsign": F.softsign,
    "softplus": softplus,
    "elu": F.elu,
    "selu": F.selu,
    "exponential": torch.exp,
    "leaky_relu": F.leaky_relu,
    "relu6": F.relu6,
    "thresholded_relu": thresholded_relu,
    "affine": affine,
    "scaled_tanh": scaled_tanh,
    "silu": F.silu,
    "gelu": F.gelu,
    "mish": F.mish,
}


def activation(name: Activation) -> Callable[[Tensor], Tensor]:
    """The function of that name, with its parameters; a callable is returned as it is.

    Raises:
        OptionError: No activation has that name, or it has no such parameters.
    """
    if callable(name):
        return name
    base, parameters = parse_activation(name)
    function = ACTIVATIONS[base]
    return (lambda x: function(x, *parameters)) if parameters else function


def gate_functions(spec: CellSpec) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """σ and φ as the gates and the candidate of a cell take them: with ``gate_clip``, of a clamped sum."""
    σ, φ, bound = activation(spec.recurrent_activation), activation(spec.activation), spec.gate_clip
    if bound is None:
        return σ, φ
    return (lambda a: σ(clip(a, -bound, bound))), (lambda a: φ(clip(a, -bound, bound)))
