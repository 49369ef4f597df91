"""Parts of a network that work on windows of steps or change the number of steps: [B, T, C], channels last.

The number of sizes that a part is given is the number of dimensions between the first and the last: one for sequences,
two for images.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.errors import OptionError, did_you_mean

Outputs = tuple[Tensor | None, ...]
Padding = Literal["valid", "same", "causal"]
_PADDINGS = ("valid", "same", "causal")
_CONVOLUTIONS: tuple[Any, ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED: tuple[Any, ...] = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_MAXIMA = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
_MEANS: tuple[Any, ...] = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)


class Convolution(nn.Module):
    """A convolution [B, T, I] -> [B, T', O] (LeCun et al. 1989).

    Attributes:
        layer: torch.nn's convolution, without padding.
        padding: ``"valid"``: none. ``"same"``: on both sides, such that there are ``ceil(T / stride)`` output steps; if
            the number is odd, the extra step is at the end. ``"causal"``: all of it before the first step.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: list[int],
        stride: list[int] | None = None,
        dilation: list[int] | None = None,
        groups: int = 1,
        padding: Padding = "valid",
        bias: bool = True,
    ) -> None:
        super().__init__()
        count = _dimensions(kernel_size, stride, dilation)
        _check(padding, _PADDINGS, "padding")
        self.padding = padding
        step, spread = tuple(stride or [1] * count), tuple(dilation or [1] * count)
        self.layer: Any = _CONVOLUTIONS[count - 1](
            in_channels, out_channels, tuple(kernel_size), step, 0, spread, groups, bias
        )

    def forward(self, inputs: Tensor) -> Outputs:
        """As the class says."""
        x, layer = inputs.movedim(-1, 1), self.layer
        padded = _padded(x, self.padding, layer.kernel_size, layer.stride, layer.dilation)
        return (layer(padded).movedim(1, -1),)


class TransposedConvolution(nn.Module):
    """A transposed convolution, [B, T, I] -> [B, T', O] (Zeiler et al. 2010).

    Attributes:
        layer: torch.nn's transposed convolution, without padding.
        padding: ``"valid"``: all output steps. ``"same"``: the ``T * stride`` steps in the middle; if the number of
            steps to drop is odd, the extra one is dropped at the end.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: list[int],
        stride: list[int] | None = None,
        padding: Literal["valid", "same"] = "valid",
        bias: bool = True,
    ) -> None:
        super().__init__()
        count = _dimensions(kernel_size, stride)
        _check(padding, ("valid", "same"), "padding")
        self.padding, self.size, self.stride = padding, tuple(kernel_size), tuple(stride or [1] * count)
        extra = tuple(max(step - size, 0) for size, step in zip(self.size, self.stride, strict=True))
        self.layer: Any = _TRANSPOSED[count - 1](
            in_channels, out_channels, self.size, self.stride, output_padding=extra, bias=bias
        )

    def forward(self, inputs: Tensor) -> Outputs:
        """As the class says."""
        x = self.layer(inputs.movedim(-1, 1)).movedim(1, -1)  # T * stride steps, and more where size > stride
        if self.padding == "same":
            for dim, (size, stride) in enumerate(zip(self.size, self.stride, strict=True), 1):
                x = x.narrow(dim, max(size - stride, 0) // 2, inputs.shape[dim] * stride)
        return (x,)


class Pooling(nn.Module):
    """The maximum or the mean of each window: [B, T, C] -> [B, T', C]. Padding counts for neither."""

    def __init__(
        self, mode: Literal["max", "mean"], size: list[int], stride: list[int] | None = None, padding: Padding = "valid"
    ) -> None:
        super().__init__()
        _dimensions(size, stride)
        _check(mode, ("max", "mean"), "pooling")
        _check(padding, _PADDINGS, "padding")
        self.mode, self.padding = mode, padding
        self.size, self.stride = tuple(size), tuple(stride or size)

    def forward(self, inputs: Tensor) -> Outputs:
        """As the class says."""
        x, number = inputs.movedim(-1, 1), len(self.size) - 1
        if self.mode == "max":
            padded = self._padded(x, -math.inf)
            return (_MAXIMA[number](padded, self.size, self.stride).movedim(1, -1),)
        pooled = _MEANS[number](self._padded(x, 0.0), self.size, self.stride)
        if self.padding != "valid":
            real_steps = self._padded(torch.ones_like(x[:1, :1]), 0.0)
            pooled = pooled / _MEANS[number](real_steps, self.size, self.stride)
        return (pooled.movedim(1, -1),)

    def _padded(self, x: Tensor, value: float) -> Tensor:
        return _padded(x, self.padding, self.size, self.stride, (1,) * len(self.size), value)


class GlobalPooling(nn.Module):
    """The maximum or the mean of all steps: [B, T, C] -> [B, C].

    Inputs: the sequences; and, for the mean of only the steps that count, a mask [B, T].
    """

    def __init__(self, mode: Literal["max", "mean"], keepdims: bool = False) -> None:
        super().__init__()
        _check(mode, ("max", "mean"), "pooling")
        self.mode, self.keepdims = mode, keepdims

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Outputs:
        """As the class says; with ``keepdims``, the dimensions between stay, with size 1."""
        between = tuple(range(1, inputs.ndim - 1))
        if self.mode == "max":
            return (inputs.amax(between, self.keepdims),)
        if mask is None:
            return (inputs.mean(between, self.keepdims),)
        counts = mask[..., None].bool()
        total = torch.where(counts, inputs, torch.zeros_like(inputs)).sum(between, self.keepdims)
        return (total / counts.sum(between, self.keepdims).to(inputs.dtype),)


class ZeroPadding(nn.Module):
    """Adds zeros: [B, T, C] -> [B, before + T + after, C]."""

    def __init__(self, around: list[list[int]]) -> None:
        super().__init__()
        self.around = _pairs(around)

    def forward(self, inputs: Tensor) -> Outputs:
        """As the class says."""
        widths = [0, 0, *(width for pair in reversed(self.around) for width in pair)]
        return (F.pad(inputs, widths),)


class Cropping(nn.Module):
    """Removes steps at both ends: [B, T, C] -> [B, T - before - after, C]."""

    def __init__(self, around: list[list[int]]) -> None:
        super().__init__()
        self.around = _pairs(around)

    def forward(self, inputs: Tensor) -> Outputs:
        """As the class says."""
        for dim, (before, after) in enumerate(self.around, 1):
            inputs = inputs.narrow(dim, before, inputs.shape[dim] - before - after)
        return (inputs,)


class Upsampling(nn.Module):
    """Repeats each step: [B, T, C] -> [B, T * size, C]."""

    def __init__(self, size: list[int]) -> None:
        super().__init__()
        _dimensions(size)
        self.size = tuple(size)

    def forward(self, inputs: Tensor) -> Outputs:
        """As the class says."""
        for dim, size in enumerate(self.size, 1):
            inputs = inputs.repeat_interleave(size, dim)
        return (inputs,)


def _padded(
    x: Tensor,
    padding: str,
    sizes: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    value: float = 0.0,
) -> Tensor:
    """[B, C, T] with its padding."""
    if padding == "valid":
        return x
    widths: list[int] = []
    for length, size, stride, dilation in zip(x.shape[2:], sizes, strides, dilations, strict=True):
        reach = (size - 1) * dilation
        total = reach
        if padding == "same" and stride > 1:
            total = max((-(-length // stride) - 1) * stride + reach + 1 - length, 0)
        before = total if padding == "causal" else total // 2
        widths = [before, total - before, *widths]
    return F.pad(x, widths, value=value)


def _dimensions(*sizes: list[int] | None) -> int:
    """The number of dimensions that the sizes are for.

    Raises:
        OptionError: They are not whole numbers from 1 on, or their numbers of dimensions differ.
    """
    present = [size for size in sizes if size is not None]
    counts = {len(size) for size in present}
    if (
        len(counts) != 1
        or not counts <= {1, 2, 3}
        or any(type(n) is not int or n < 1 for size in present for n in size)
    ):
        raise OptionError(f"Windows have the sizes {present}; expected one to three whole numbers from 1 on in each.")
    return counts.pop()


def _pairs(around: list[list[int]]) -> tuple[tuple[int, int], ...]:
    pairs = tuple(tuple(pair) for pair in around)
    if not pairs or any(len(pair) != 2 or any(type(n) is not int or n < 0 for n in pair) for pair in pairs):
        raise OptionError(f"The steps at the ends are {around}; expected two whole numbers from 0 on per dimension.")
    return pairs  # type: ignore[return-value]


def _check(value: str, known: tuple[str, ...], option: str) -> None:
    if value not in known:
        raise OptionError(f"There is no {option} {value!r}: {did_you_mean(str(value), known)}")
