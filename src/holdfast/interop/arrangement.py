"""Parts of a network without parameters: they reorder, reshape, select and compare values, or add noise in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from holdfast.errors import OptionError, did_you_mean

Outputs = tuple[Tensor | None, ...]


class Permute(nn.Module):
    """The dimensions in another order: dimension n of the output is ``dims[n - 1]`` of the input; the first stays."""

    def __init__(self, dims: list[int]) -> None:
        super().__init__()
        if sorted(dims) != list(range(1, len(dims) + 1)):
            raise OptionError(f"The dimensions are ordered as {dims}; expected each from 1 to {len(dims)} once.")
        self.dims = tuple(dims)

    def forward(self, inputs: Tensor) -> Outputs:
        """[B, ...] -> [B, ...]."""
        return (inputs.permute(0, *self.dims),)


class MoveDim(nn.Module):
    """Moves one dimension, such as the channels behind the steps."""

    def __init__(self, source: int, destination: int) -> None:
        super().__init__()
        self.source, self.destination = source, destination

    def forward(self, inputs: Tensor) -> Outputs:
        """The number of dimensions stays."""
        return (inputs.movedim(self.source, self.destination),)


class Index(nn.Module):
    """Selects values along each dimension, beginning with the first dimension."""

    def __init__(self, places: list[int | list[int | None]]) -> None:
        """Stores the options.

        Args:
            places: For each dimension an index, which removes the dimension; or start, end and step.
        """
        super().__init__()
        self.places = tuple(place if isinstance(place, int) else slice(*place) for place in places)

    def forward(self, inputs: Tensor) -> Outputs:
        """As the class says."""
        return (inputs[self.places],)


class Squeeze(nn.Module):
    """Removes a dimension of size 1."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, inputs: Tensor) -> Outputs:
        """One dimension less."""
        return (inputs.squeeze(self.dim),)


class Unsqueeze(nn.Module):
    """Inserts a dimension of size 1."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, inputs: Tensor) -> Outputs:
        """One dimension more."""
        return (inputs.unsqueeze(self.dim),)


class Reshape(nn.Module):
    """Gives each row another shape; one size may be -1, which is then computed from the others."""

    def __init__(self, shape: list[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, inputs: Tensor) -> Outputs:
        """[B, ...] -> [B, *shape]."""
        return (inputs.reshape(inputs.shape[0], *self.shape),)


class RepeatVector(nn.Module):
    """Repeats a vector at ``count`` steps."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, inputs: Tensor) -> Outputs:
        """[B, I] -> [B, count, I]."""
        return (inputs[:, None].expand(-1, self.count, -1),)


class Flip(nn.Module):
    """Reverses the time: [B, T, ...], the last step first."""

    def forward(self, inputs: Tensor) -> Outputs:
        """Shaped as the inputs."""
        return (inputs.flip(1),)


class Fold(nn.Module):
    """Makes each step a row: [B, T, ...] -> [B * T, ...]."""

    def forward(self, inputs: Tensor) -> Outputs:
        """As the class says."""
        return (inputs.flatten(0, 1),)


class Unfold(nn.Module):
    """The inverse of :class:`Fold`: [B * T, ...], and the tensor [B, T, ...] before folding -> [B, T, ...]."""

    def forward(self, inputs: Tensor, before: Tensor) -> Outputs:
        """As the class says."""
        return (inputs.reshape(before.shape[0], before.shape[1], *inputs.shape[1:]),)


class Dot(nn.Module):
    """The dot products of two tensors [B, ...] along a dimension of each; the other dimensions are concatenated."""

    def __init__(self, dims: list[int], normalize: bool = False) -> None:
        """Stores the options.

        Args:
            dims: A dimension of the first input, then of the second.
            normalize: Whether to divide the vectors along these by their length, which gives the cosine.
        """
        super().__init__()
        self.dims, self.normalize = tuple(dims), normalize

    def forward(self, first: Tensor, second: Tensor) -> Outputs:
        """As the class says; two matrices give [B, 1]."""
        a, b = (x.movedim(dim, -1) for x, dim in zip((first, second), self.dims, strict=True))
        if self.normalize:
            a, b = (x * x.square().sum(-1, keepdim=True).clamp_min(1e-12).rsqrt() for x in (a, b))
        left = a[:, None] if a.ndim == 2 else a.flatten(1, -2)
        right = b[:, None] if b.ndim == 2 else b.flatten(1, -2)
        product = left @ right.transpose(1, 2)
        shape = [*a.shape[:-1], *b.shape[1:-1]]
        return (product.reshape(shape if len(shape) > 1 else [*shape, 1]),)


class Noise(nn.Module):
    """Normal noise in training: added, or multiplied with mean 1 (Srivastava et al. 2014)."""

    def __init__(self, deviation: float, mode: Literal["sum", "product"] = "sum") -> None:
        super().__init__()
        if mode not in ("sum", "product") or not 0 <= deviation < float("inf"):
            raise OptionError(
                f"Noise has deviation {deviation!r} and mode {mode!r}; expected a finite number from 0 on and 'sum' or "
                "'product'."
            )
        self.deviation, self.mode = deviation, mode

    def forward(self, inputs: Tensor) -> Outputs:
        """Shaped as the inputs."""
        if not self.training:
            return (inputs,)
        noise = torch.randn_like(inputs) * self.deviation
        return (inputs + noise if self.mode == "sum" else inputs * (1 + noise),)


class Fill(nn.Module):
    """Replaces the values at masked steps by those of another tensor, or by a number.

    Inputs: [B, T, ...], the mask [B, T] (false at the steps to replace), and the other tensor or None.
    """

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.value = value

    def forward(self, inputs: Tensor, mask: Tensor, other: Tensor | None = None) -> Outputs:
        """Shaped as the inputs."""
        other = torch.full_like(inputs, self.value) if other is None else other
        return (torch.where(mask.bool()[..., None], inputs, other),)


class Logic(nn.Module):
    """The operations that masks are made of."""

    def __init__(self, op: str, value: float = 0.0, dim: int = -1, keepdim: bool = False) -> None:
        """Stores the options.

        Args:
            op: ``"not_equal"`` to ``value``; ``"any"`` or ``"all"`` along ``dim``; ``"and"``, ``"or"``, ``"not"``;
                ``"concat"`` along ``dim``; ``"unsqueeze"`` at ``dim``; ``"true"`` or ``"false"`` everywhere.
            value: For ``"not_equal"``.
            dim: A dimension.
            keepdim: Whether ``any`` and ``all`` keep the dimension, with size 1.
        """
        super().__init__()
        if op not in _LOGIC:
            raise OptionError(f"There is no operation {op!r}: {did_you_mean(op, _LOGIC)}")
        self.op, self.value, self.dim, self.keepdim = op, value, dim, keepdim

    def forward(self, *inputs: Tensor) -> Outputs:
        """Booleans."""
        return (_LOGIC[self.op](self, *inputs),)


_LOGIC: dict[str, Callable[..., Tensor]] = {
    "not_equal": lambda self, x: x != self.value,
    "any": lambda self, x: x.any(self.dim, self.keepdim),
    "all": lambda self, x: x.all(self.dim, self.keepdim),
    "and": lambda self, x, y: x & y,
    "or": lambda self, x, y: x | y,
    "not": lambda self, x: ~x,
    "concat": lambda self, *parts: torch.cat(parts, self.dim),
    "unsqueeze": lambda self, x: x.unsqueeze(self.dim),
    "true": lambda self, x: torch.ones_like(x, dtype=torch.bool),
    "false": lambda self, x: torch.zeros_like(x, dtype=torch.bool),
}
