"""Means, variances and what is divided by them."""

from __future__ import annotations

from typing import Any

import torch

from holdfast.tf1.graph.arithmetic import multiply, rsqrt, squared_difference
from holdfast.tf1.graph.arrays import squeeze
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.differentiation import stop_gradient
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.reductions import axes_of, reduce_mean
from holdfast.tf1.graph.tensors import Tensor


@public("nn.moments")
def moments(
    x: Any, axes: Any, shift: Any = None, name: str | None = None, keep_dims: Any = None, keepdims: Any = None
) -> tuple[Tensor, Tensor]:
    """The mean and the variance (over N, not N - 1) along axes."""
    tensor = convert_to_tensor(x)
    mean = reduce_mean(tensor, axes, keepdims=True)
    variance = reduce_mean(squared_difference(tensor, stop_gradient(mean)), axes, keepdims=True)
    if keep_dims or keepdims:
        return mean, variance
    over = axes_of(axes, tensor.sizes)
    return squeeze(mean, over), squeeze(variance, over)


@public("nn.l2_normalize", "math.l2_normalize")
def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None) -> Tensor:
    """Values divided by the root of the sum of their squares along axes, or of ``epsilon`` if that is larger."""
    tensor = convert_to_tensor(x)
    over = axes_of(dim if axis is None else axis, tensor.sizes)

    def compute(values: torch.Tensor) -> torch.Tensor:
        total = values.square().sum(over, keepdim=True)
        return values * total.clamp(min=epsilon).rsqrt()

    return node("L2Normalize", compute, [tensor], tensor.dtype, tensor.sizes, name or "l2_normalize")


@public("nn.batch_normalization")
def batch_normalization(
    x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: float, name: str | None = None
) -> Tensor:
    """``scale (x - mean) / sqrt(variance + epsilon) + offset``; without ``scale`` or ``offset`` if it is None."""
    tensor = convert_to_tensor(x)
    factor = rsqrt(convert_to_tensor(variance) + variance_epsilon)
    if scale is not None:
        factor = multiply(factor, scale)
    shifted = -(convert_to_tensor(mean) * factor)
    return multiply(tensor, factor) + (shifted if offset is None else offset + shifted)  # type: ignore[no-any-return]


@public("nn.batch_norm_with_global_normalization")
def batch_norm_with_global_normalization(
    t: Any, m: Any, v: Any, beta: Any, gamma: Any, variance_epsilon: float, scale_after_normalization: bool,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """:func:`batch_normalization` with TensorFlow 0.x's arguments; gamma counts with ``scale_after_normalization``."""
    return batch_normalization(t, m, v, beta, gamma if scale_after_normalization else None, variance_epsilon, name)


@public("nn.zero_fraction")
def zero_fraction(value: Any, name: str | None = None) -> Tensor:
    """How much of a tensor is zero."""
    tensor = convert_to_tensor(value)
    return node("ZeroFraction", lambda x: (x == 0).float().mean(), [tensor], "float32", (), name, gradient=False)


@public("nn.lrn", "nn.local_response_normalization")
def lrn(
    input: Any, depth_radius: int = 5, bias: float = 1.0, alpha: float = 1.0, beta: float = 0.5, name: str | None = None
) -> Tensor:
    """Values divided by (bias + alpha times the sum of the squares of 2 depth_radius + 1 channels) ** beta."""
    tensor = convert_to_tensor(input)
    width = 2 * depth_radius + 1

    def compute(x: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(x.square(), (depth_radius, depth_radius))
        return x / (bias + alpha * padded.unfold(-1, width, 1).sum(-1)) ** beta

    return node("LRN", compute, [tensor], tensor.dtype, tensor.sizes, name)
