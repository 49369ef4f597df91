"""Dropout and normalisation operators."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from holdfast.errors import ShapeError
from holdfast.interop.onnx.operators.registry import operator


@operator("Dropout", max_outputs=2)
def dropout(
    x: Tensor, ratio: Tensor | float | None = 0.5, training_mode: Tensor | None = None, *, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Returns the values unchanged and an all-true mask: models are read for inference."""
    if training_mode is not None and bool(training_mode):
        raise ShapeError("Dropout got training_mode = true; expected false. Export the model for inference.")
    return x, torch.ones_like(x, dtype=torch.bool)


@operator("LayerNormalization", max_outputs=3)
def layer_norm(
    x: Tensor, scale: Tensor, bias: Tensor | None = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalises over the axes from ``axis`` on (Ba et al. 2016); also returns the mean and 1 / deviation."""
    sizes = x.shape[axis % x.ndim :]
    axes = tuple(range(axis % x.ndim, x.ndim))
    mean = x.mean(axes, keepdim=True)
    inverse = (x.var(axes, correction=0, keepdim=True) + epsilon).rsqrt()
    normalised = F.layer_norm(x, sizes, scale.expand(sizes), None if bias is None else bias.expand(sizes), epsilon)
    return normalised, mean, inverse


@operator("BatchNormalization")
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
    """Normalises by the mean and variance from training (Ioffe & Szegedy 2015)."""
    if training_mode or not spatial:
        raise ShapeError(
            f"BatchNormalization got training_mode = {training_mode} and spatial = {spatial}; expected 0 and 1."
        )
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, epsilon)


@operator("InstanceNormalization")
def instance_norm(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    """Normalises each channel of each row by its own mean and variance (Ulyanov et al. 2016)."""
    axes = list(range(2, x.ndim))
    mean, variance = x.mean(axes, keepdim=True), x.var(axes, correction=0, keepdim=True)
    shape = (-1, *[1] * len(axes))
    return (x - mean) * (variance + epsilon).rsqrt() * scale.reshape(shape) + bias.reshape(shape)


@operator("GroupNormalization")
def group_norm(
    x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """Normalises groups of channels (Wu & He 2018); before version 21, there is one scale per group."""
    repeats = x.shape[1] // num_groups if len(scale) == num_groups else 1
    return F.group_norm(x, num_groups, scale.repeat_interleave(repeats), bias.repeat_interleave(repeats), epsilon)
