"""Layers and activations among the operators of ONNX; see :mod:`holdfast.interop.onnx.operators`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from holdfast.errors import ShapeError


def dropout(
    x: Tensor, ratio: Tensor | float | None = 0.5, training_mode: Tensor | None = None, *, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """The values as they are, and that all were kept: what is read here is a model that has been trained."""
    if training_mode is not None and bool(training_mode):
        raise ShapeError("Dropout was asked to drop values; expected training_mode to be false. Export for inference.")
    return x, torch.ones_like(x, dtype=torch.bool)


def layer_norm(
    x: Tensor, scale: Tensor, bias: Tensor | None = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Layer normalisation from an axis on (Ba et al. 2016); also the mean, and one over the deviation."""
    sizes = x.shape[axis % x.ndim :]
    over = tuple(range(axis % x.ndim, x.ndim))
    mean = x.mean(over, keepdim=True)
    inverse = (x.var(over, correction=0, keepdim=True) + epsilon).rsqrt()
    normalised = F.layer_norm(x, sizes, scale.expand(sizes), None if bias is None else bias.expand(sizes), epsilon)
    return normalised, mean, inverse


def batch_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
    spatial: int = 1,
) -> Tensor:
    """Batch normalisation by the mean and variance of the training (Ioffe & Szegedy 2015)."""
    if training_mode or not spatial:
        raise ShapeError("BatchNormalization was asked to train; expected training_mode = 0 and spatial = 1.")
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, epsilon)


def instance_norm(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    """Normalisation of each channel of each row by its own mean and variance (Ulyanov et al. 2016)."""
    over = list(range(2, x.ndim))
    mean, variance = x.mean(over, keepdim=True), x.var(over, correction=0, keepdim=True)
    shape = (-1, *[1] * len(over))
    return (x - mean) * (variance + epsilon).rsqrt() * scale.reshape(shape) + bias.reshape(shape)


def group_norm(
    x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """Normalisation of groups of channels (Wu & He 2018); before version 21, with one scale for each group."""
    each = x.shape[1] // num_groups if len(scale) == num_groups else 1
    return F.group_norm(x, num_groups, scale.repeat_interleave(each), bias.repeat_interleave(each), epsilon)


def einsum(first: Tensor, *others: Tensor, equation: str) -> Tensor:
    """Sums of products over the letters that an equation names."""
    found: Tensor = torch.einsum(equation.replace(" ", ""), first, *others)
    return found


def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x, below zero alpha (exp(x / alpha) - 1) (Barron 2017)."""
    return F.celu(x, alpha)


def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """GELU, exact or by tanh."""
    return F.gelu(x, approximate=approximate)


def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x, below zero alpha (exp(x) - 1)."""
    return F.elu(x, alpha)


def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """x, below zero alpha x."""
    return F.leaky_relu(x, alpha)


def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """clip(alpha x + beta, 0, 1)."""
    return torch.clamp(alpha * x + beta, 0, 1)


def thresholded_relu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """X above alpha, 0 elsewhere."""
    return F.threshold(x, alpha, 0)


def selu(x: Tensor, *, alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805) -> Tensor:
    """Gamma times x, below zero gamma alpha (exp(x) - 1) (Klambauer et al. 2017)."""
    return gamma * torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """x, below zero slope x."""
    return torch.where(x < 0, slope * x, x)
