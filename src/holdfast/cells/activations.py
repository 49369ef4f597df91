"""The activation functions that a cell knows by name, and the parameters that some of them take.

Parameters follow the name, as in ``"leaky_relu(0.2)"``. Omitted ones have these defaults:

    hard_sigmoid(1/6, 0.5)    torch.nn.Hardsigmoid, Keras 3; ONNX has (0.2, 0.5), which is hard_sigmoid_02 here
    elu(1)                    torch.nn.ELU, Keras and ONNX alike
    leaky_relu(0.01)          torch.nn.LeakyReLU and ONNX; Keras has 0.2
    thresholded_relu(1)       ONNX
    affine(1, 0)              the identity; ONNX has no default
    scaled_tanh(1, 1)         tanh; ONNX has no default
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
    """Clamps x to [low, high]. As for torch.nn.Hardsigmoid, the derivative is 0 at both ends and at NaN."""
    return torch.where((x > low) & (x < high), x, x.detach().clamp(low, high))


def hard_sigmoid(x: Tensor, α: float, β: float) -> Tensor:
    """clip(α x + β, 0, 1)."""
    return clip(α * x + β, 0, 1)


def hard_sigmoid_02(x: Tensor) -> Tensor:
    """clip(0.2 x + 1/2, 0, 1): the definition of Keras 1 and 2, and the default of ONNX's HardSigmoid."""
    return hard_sigmoid(x, 0.2, 0.5)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)). F.softplus becomes the identity for large x and loses its higher derivatives; this does not."""
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
"""Every activation by name: a function of a tensor of any shape and of the parameters of the name."""


def activation(name: Activation) -> Callable[[Tensor], Tensor]:
    """The function of that name, with its parameters; a callable is returned unchanged.

    Raises:
        OptionError: No activation has that name, or it does not take these parameters.

    Example:
        >>> activation("hard_sigmoid(0.2, 0.5)")(torch.tensor([-3.0, 0.0, 1.0]))
        tensor([0.0000, 0.5000, 0.7000])
    """
    if callable(name):
        return name
    base, parameters = parse_activation(name)
    function = ACTIVATIONS[base]
    return (lambda x: function(x, *parameters)) if parameters else function


def gate_functions(spec: CellSpec) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """σ and φ of the gates and the candidate of a cell; ``gate_clip`` clamps their arguments."""
    σ, φ, bound = activation(spec.recurrent_activation), activation(spec.activation), spec.gate_clip
    if bound is None:
        return σ, φ
    return (lambda a: σ(clip(a, -bound, bound))), (lambda a: φ(clip(a, -bound, bound)))
