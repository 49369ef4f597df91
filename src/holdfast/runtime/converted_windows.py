"""Convolutions and padding of converted networks, as products of matrices in NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from holdfast.errors import OptionError
from holdfast.runtime.network import Array

Widths = list[tuple[int, int]]
"""The values to add before and after each of the last axes; negative numbers remove values."""


def convolution(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Array:
    """ONNX's ``Conv``, [B, C, ...] -> [B, O, ...]; ``weight`` is [O, C / group, ...].

    Raises:
        OptionError: The padding is to be computed from the sizes.
    """
    count = x.ndim - 2
    padded = _padded(x, _widths("Conv", auto_pad, pads, count))
    y = _windows_product(padded, weight, dilations or [1] * count, strides or [1] * count, group)
    return _with_bias(y, bias)


def transposed_convolution(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Array:
    """ONNX's ``ConvTranspose``, [B, C, ...] -> [B, O, ...]; ``weight`` is [C, O / group, ...].

    It is the convolution of the values, with ``stride - 1`` zeros between them, by the reversed weights.

    Raises:
        OptionError: The padding is to be computed from the sizes.
    """
    count = x.ndim - 2
    if output_shape is not None:
        raise OptionError("ConvTranspose with an output_shape needs torch.")
    widths = _widths("ConvTranspose", auto_pad, pads, count)
    steps, spread, extra = strides or [1] * count, dilations or [1] * count, output_padding or [0] * count
    sizes = [(size - 1) * step + 1 for size, step in zip(x.shape[2:], steps, strict=True)]
    apart = np.zeros((*x.shape[:2], *sizes), x.dtype)
    apart[_every(steps)] = x
    reach = [(size - 1) * step for size, step in zip(weight.shape[2:], spread, strict=True)]
    around = [
        (far - before, far - after + more) for far, (before, after), more in zip(reach, widths, extra, strict=True)
    ]
    by_group = weight.reshape(group, -1, *weight.shape[1:]).swapaxes(1, 2)  # [G, O / G, C / G, ...]
    backwards = by_group[_every([-1] * count)].reshape(-1, by_group.shape[2], *weight.shape[2:])
    return _with_bias(_windows_product(_padded(apart, around), backwards, spread, [1] * count, group), bias)


def _windows_product(x: Array, weight: Array, dilations: Sequence[int], strides: Sequence[int], group: int) -> Array:
    """A convolution without padding."""
    count = x.ndim - 2
    spans = [(size - 1) * step + 1 for size, step in zip(weight.shape[2:], dilations, strict=True)]
    windows = sliding_window_view(x, spans, tuple(range(2, x.ndim)))
    windows = windows[_every([*strides, *[1] * count])][_every(dilations)]  # [B, C, ..., K...]
    batch, places = len(x), windows.shape[2 : 2 + count]
    split = windows.reshape(batch, group, -1, *windows.shape[2:])  # [B, G, C / G, ..., K...]
    order = (0, 1, *range(3, 3 + count), 2, *range(3 + count, 3 + 2 * count))
    rows = split.transpose(order).reshape(batch, group, math.prod(places), -1)
    columns = weight.reshape(group, weight.shape[0] // group, -1).swapaxes(1, 2)  # [G, C / G K, O / G]
    product = np.matmul(rows, columns)  # [B, G, places, O / G]
    y: Array = product.swapaxes(2, 3).reshape(batch, weight.shape[0], *places)
    return y


def _every(steps: Sequence[int]) -> tuple[Any, ...]:
    """The places of the last axes, with a step for each axis."""
    return (..., *(slice(None, None, step) for step in steps))


def _with_bias(y: Array, bias: Array | None) -> Array:
    return y if bias is None else y + bias.reshape(-1, *[1] * (y.ndim - 2))


def _widths(op: str, auto_pad: str, pads: Sequence[int] | None, count: int) -> Widths:
    if auto_pad not in ("NOTSET", "VALID"):
        raise OptionError(f"{op} with auto_pad {auto_pad!r} needs torch.")
    numbers = list(pads or [0] * (2 * count)) if auto_pad == "NOTSET" else [0] * (2 * count)
    return list(zip(numbers[:count], numbers[count:], strict=True))


def _padded(x: Array, widths: Widths, value: float = 0.0) -> Array:
    """Adds values around the last axes, or removes them."""
    for axis, (before, after) in enumerate(widths, x.ndim - len(widths)):
        kept = [slice(None)] * x.ndim
        kept[axis] = slice(max(-before, 0), x.shape[axis] - max(-after, 0))
        x = x[tuple(kept)]
    added = [(0, 0)] * (x.ndim - len(widths)) + [(max(before, 0), max(after, 0)) for before, after in widths]
    return np.pad(x, added, constant_values=value) if any(map(any, added)) else x


def pad(x: Array, pads: Array | Sequence[int], value: Array | float | None = None, *, mode: str = "constant") -> Array:
    """ONNX's ``Pad`` of every axis by a constant.

    Raises:
        OptionError: It has another mode.
    """
    if mode != "constant":
        raise OptionError(f"Pad with mode {mode!r} needs torch.")
    numbers = [int(number) for number in np.ravel(pads)]
    widths = list(zip(numbers[: x.ndim], numbers[x.ndim :], strict=True))
    return _padded(x, widths, 0.0 if value is None else float(np.asarray(value)))
