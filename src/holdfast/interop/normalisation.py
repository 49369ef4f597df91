"""Parts of a network that normalise values."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.errors import OptionError, did_you_mean

Outputs = tuple[Tensor | None, ...]
_MODES = ("layer", "variance", "rms")


class BatchNorm(nn.Module):
    """Batch normalisation of one dimension (Ioffe & Szegedy 2015), with the running mean and variance in evaluation.

    Attributes:
        dim: The dimension whose indices are normalised independently.
        momentum: The weight of a batch in the running mean and variance.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        num_features: int,
        dim: int = -1,
        eps: float = 1e-5,
        momentum: float = 0.1,
        scale: bool = True,
        center: bool = True,
    ) -> None:
        """Builds the parameters, named as torch.nn names them.

        Args:
            num_features: The size of ``dim``.
            dim: As the attribute.
            eps: Added to the variance.
            momentum: As the attribute.
            scale: Whether there is a ``weight``.
            center: Whether there is a ``bias``.
        """
        super().__init__()
        self.dim, self.eps, self.momentum = dim, eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features)) if scale else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if center else None
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, inputs: Tensor) -> Outputs:
        """Shaped as the inputs."""
        normalised = F.batch_norm(
            inputs.movedim(self.dim, 1),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )
        return (normalised.movedim(1, self.dim),)


class LayerNorm(nn.Module):
    """Normalisation over one or more dimensions (Ba et al. 2016).

    Attributes:
        dims: The dimensions.
        mode: ``"layer"``: (x - mean) / sqrt(variance + eps). ``"variance"``: x / sqrt(variance + eps). ``"rms"``:
            x / sqrt(mean of x^2 + eps) (Zhang & Sennrich 2019).
    """

    def __init__(
        self,
        shape: list[int],
        dims: list[int] | None = None,
        eps: float = 1e-5,
        mode: Literal["layer", "variance", "rms"] = "layer",
        scale: bool = True,
        center: bool = True,
    ) -> None:
        """Builds the parameters.

        Args:
            shape: The sizes of the dimensions.
            dims: As the attribute, in ascending order; None for the last dimensions.
            eps: As in the equations.
            mode: As the attribute.
            scale: Whether there is a ``weight``.
            center: Whether there is a ``bias``.
        """
        super().__init__()
        if mode not in _MODES:
            raise OptionError(f"There is no normalisation {mode!r}: {did_you_mean(str(mode), _MODES)}")
        self.dims = tuple(dims or range(-len(shape), 0))
        if len(self.dims) != len(shape) or not shape:
            raise OptionError(f"The dimensions {self.dims} have the sizes {shape}; expected a size for each.")
        self.eps, self.mode = eps, mode
        self.weight = nn.Parameter(torch.ones(*shape)) if scale else None
        self.bias = nn.Parameter(torch.zeros(*shape)) if center else None

    def forward(self, inputs: Tensor) -> Outputs:
        """Shaped as the inputs."""
        centred = inputs - inputs.mean(self.dims, keepdim=True)
        squares = inputs if self.mode == "rms" else centred
        scale = (squares.square().mean(self.dims, keepdim=True) + self.eps).rsqrt()
        result = (centred if self.mode == "layer" else inputs) * scale
        if self.weight is not None:
            result = result * self._along(self.weight, inputs)
        return (result if self.bias is None else result + self._along(self.bias, inputs),)

    def _along(self, parameter: Tensor, inputs: Tensor) -> Tensor:
        """A parameter reshaped to broadcast with the inputs."""
        shape = [1] * inputs.ndim
        for dim, size in zip(self.dims, parameter.shape, strict=True):
            shape[dim] = size
        return parameter.reshape(shape)
