"""Parts of a network without parameters that order, cut and compare values, or disturb them while training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from holdfast.errors import OptionError, did_you_mean

Outputs = tuple[Tensor | None, ...]


class Permute(nn.Module):
    """The dimensions in another order; ``dims`` says which one comes from where, the first stays."""

    def __init__(self, dims: list[int]) -> None:
        super().__init__()
        if sorted(dims) != list(range(1, len(dims) + 1)):
            raise OptionError(f"The dimensions are ordered as {dims}; expected each from 1 to {len(dims)} once.")
        self.dims = tuple(dims)

    def forward(self, inputs: Tensor) -> Outputs:
        """[B, ...] -> [B, ...]."""
        return (inputs.permute(0, *self.dims),)


class MoveDim(nn.Module):
    """One dimension put to another place, such as the channels behind the steps."""

    def __init__(self, source: int, destination: int) -> None:
        super().__init__()
        self.source, self.destination = source, destination

    def forward(self, inputs: Tensor) -> Outputs:
        """As many dimensions as before."""
        return (inputs.movedim(self.source, self.destination),)


class Index(nn.Module):
    """Some of the values along each dimension, from the first one on."""

    def __init__(self, places: list[int | list[int | None]]) -> None:
        """Keeps what is asked.

        Args:
            places: For each dimension a number, which takes the dimension away; or start, end and step.
        """
        super().__init__()
        self.places = tuple(place if isinstance(place, int) else slice(*place) for place in places)

    def forward(self, inputs: Tensor) -> Outputs:
        """The values."""
        return (inputs[self.places],)


class Fold(nn.Module):
    """Every step as a row of its own: [B, T, ...] -> [B * T, ...]."""

    def forward(self, inputs: Tensor) -> Outputs:
        """As the class says."""
        return (inputs.flatten(0, 1),)


class Unfold(nn.Module):
    """What became of each step put together again: [B * T, ...], and [B, T, ...] before -> [B, T, ...]."""

    def forward(self, inputs: Tensor, before: Tensor) -> Outputs:
        """As the class says."""
        return (inputs.reshape(before.shape[0], before.shape[1], *inputs.shape[1:]),)


class Dot(nn.Module):
    """The products of two tensors [B, ...] summed along a dimension of each; the others follow one another."""

    def __init__(self, dims: list[int], normalize: bool = False) -> None:
        """Keeps what is asked.

        Args:
            dims: One dimension of each: of the first input, then of the second.
            normalize: Whether vectors along these are brought to length 1, so that the cosine comes out.
        """
        super().__init__()
        self.dims, self.normalize = tuple(dims), normalize

    def forward(self, first: Tensor, second: Tensor) -> Outputs:
        """As the class says; [B, 1] of two matrices."""
        one, two = (x.movedim(dim, -1) for x, dim in zip((first, second), self.dims, strict=True))
        if self.normalize:
            one, two = (x * x.square().sum(-1, keepdim=True).clamp_min(1e-12).rsqrt() for x in (one, two))
        left = one[:, None] if one.ndim == 2 else one.flatten(1, -2)
        right = two[:, None] if two.ndim == 2 else two.flatten(1, -2)
        product = left @ right.transpose(1, 2)
        shape = [*one.shape[:-1], *two.shape[1:-1]]
        return (product.reshape(shape if len(shape) > 1 else [*shape, 1]),)


class Noise(nn.Module):
    """Normal noise while training, that is added; or multiplied, around 1 (Srivastava et al. 2014)."""

    def __init__(self, deviation: float, mode: Literal["sum", "product"] = "sum") -> None:
        super().__init__()
        if mode not in ("sum", "product") or not 0 <= deviation < float("inf"):
            raise OptionError(f"Noise of deviation {deviation!r} goes in as {mode!r}; expected 'sum' or 'product'.")
        self.deviation, self.mode = deviation, mode

    def forward(self, inputs: Tensor) -> Outputs:
        """Shaped as the inputs."""
        if not self.training:
            return (inputs,)
        noise = torch.randn_like(inputs) * self.deviation
        return (inputs + noise if self.mode == "sum" else inputs * (1 + noise),)


class Fill(nn.Module):
    """Other values at the steps that a mask [B, T] leaves out: those of another tensor, or a number.

    Inputs: [B, T, ...], the mask, and the other tensor.
    """

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.value = value

    def forward(self, inputs: Tensor, mask: Tensor, other: Tensor | None = None) -> Outputs:
        """Shaped as the inputs."""
        other = torch.full_like(inputs, self.value) if other is None else other
        return (torch.where(mask.bool()[..., None], inputs, other),)


class Logic(nn.Module):
    """What is true of values: the operations that masks are made of."""

    def __init__(self, op: str, value: float = 0.0, dim: int = -1, keepdim: bool = False) -> None:
        """Keeps what is asked.

        Args:
            op: ``"not_equal"`` to the value; ``"any"`` or ``"all"`` along the dimension; ``"and"``, ``"or"``,
                ``"not"``; ``"concat"`` along the dimension; ``"unsqueeze"`` there; ``"true"`` and ``"false"`` for all.
            value: As said.
            dim: As said.
            keepdim: Whether ``any`` and ``all`` leave the dimension, of size 1.
        """
        super().__init__()
        if op not in _LOGIC:
            raise OptionError(f"There is no operation {op!r}: {did_you_mean(op, _LOGIC)}")
        self.op, self.value, self.dim, self.keepdim = op, value, dim, keepdim

    def forward(self, *inputs: Tensor) -> Outputs:
        """True or false for each value."""
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
