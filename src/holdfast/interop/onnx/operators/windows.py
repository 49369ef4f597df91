"""Convolutions, pools and padding.

The padding is added to the values first, as numbers before and after each axis. So every combination of ``auto_pad``,
``pads``, ``dilations`` and ``ceil_mode`` takes the same few lines, whatever torch's own pools accept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from holdfast.errors import ShapeError
from holdfast.interop.onnx.operators.registry import Ints, integers, operator

_AUTO = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
_MAX_AXES = 3
_CONVOLUTIONS: tuple[Any, ...] = (F.conv1d, F.conv2d, F.conv3d)
_TRANSPOSED: tuple[Any, ...] = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
_MAXIMA: tuple[Any, ...] = (F.max_pool1d, F.max_pool2d, F.max_pool3d)


class _Window:
    """How a window moves over the axes after the first two.

    Attributes:
        kernel: The size along each axis.
        strides: The step along each axis.
        dilations: The distance between neighbouring elements of the window.
        spans: The number of values from the first to the last element.
        pads: The padding before and after each axis.
    """

    def __init__(
        self, op: str, x: Tensor, kernel: Sequence[int], strides: Ints, dilations: Ints, auto_pad: str, pads: Ints
    ) -> None:
        count = x.ndim - 2
        self.kernel = list(kernel)
        self.strides = integers(strides) or [1] * count
        self.dilations = integers(dilations) or [1] * count
        lists = (self.kernel, self.strides, self.dilations)
        if not 1 <= count <= _MAX_AXES or any(len(numbers) != count or min(numbers) < 1 for numbers in lists):
            raise ShapeError(
                f"{op} got a value of {x.ndim} dimensions, kernel_shape {self.kernel}, strides {self.strides} and "
                f"dilations {self.dilations}; expected 3 to 5 dimensions, and numbers from 1 on for the last ones."
            )
        self.spans = [(size - 1) * step + 1 for size, step in zip(self.kernel, self.dilations, strict=True)]
        self.pads = self._pads(op, x.shape[2:], auto_pad, integers(pads) or [0] * (2 * count))

    def _pads(self, op: str, sizes: Sequence[int], auto_pad: str, pads: list[int]) -> list[tuple[int, int]]:
        if auto_pad not in _AUTO or len(pads) != 2 * len(sizes) or min(pads) < 0:
            raise ShapeError(
                f"{op} has auto_pad {auto_pad!r} and pads {pads}; expected one of {', '.join(_AUTO)}, and two numbers "
                "from 0 on for each axis."
            )
        if auto_pad == "VALID":
            return [(0, 0)] * len(sizes)
        if auto_pad == "NOTSET":
            return list(zip(pads[: len(sizes)], pads[len(sizes) :], strict=True))
        steps = zip(sizes, self.strides, self.spans, strict=True)
        totals = [max((-(-size // stride) - 1) * stride + span - size, 0) for size, stride, span in steps]
        return [_halves(total, auto_pad == "SAME_LOWER") for total in totals]

    def ceil_pads(self, x: Tensor, ceil_mode: int) -> list[tuple[int, int]]:
        """The padding that ``ceil_mode`` adds after each axis.

        It adds a last window that reaches over the end, if that window begins before the end.
        """
        added = []
        for size, (before, after), stride, span in zip(x.shape[2:], self.pads, self.strides, self.spans, strict=True):
            padded_size = size + before + after
            count = -(-(padded_size - span) // stride) + 1
            if (count - 1) * stride >= size + before:
                count -= 1
            added.append((0, max((count - 1) * stride + span - padded_size, 0) if ceil_mode else 0))
        return added


def _halves(total: int, more_before: bool) -> tuple[int, int]:
    """Splits padding into two halves, before and after; an odd total puts one more before or after."""
    return (total - total // 2, total // 2) if more_before else (total // 2, total - total // 2)


def _padded(x: Tensor, pads: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """Adds padding to the last axes; a negative number removes values."""
    return F.pad(x, [width for pair in reversed(pads) for width in pair], value=value) if any(map(any, pads)) else x


@operator("Conv")
def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Ints = None,
    group: int = 1,
    kernel_shape: Ints = None,
    pads: Ints = None,
    strides: Ints = None,
) -> Tensor:
    """A convolution over one, two or three dimensions."""
    window = _Window("Conv", x, weight.shape[2:], strides, dilations, auto_pad, pads)
    function = _CONVOLUTIONS[x.ndim - 3]
    y: Tensor = function(_padded(x, window.pads), weight, bias, window.strides, 0, window.dilations, group)
    return y


@operator("ConvTranspose")
def transposed_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Ints = None,
    group: int = 1,
    kernel_shape: Ints = None,
    output_padding: Ints = None,
    output_shape: Ints = None,
    pads: Ints = None,
    strides: Ints = None,
) -> Tensor:
    """A transposed convolution over one, two or three dimensions; ``pads`` are removed from the result."""
    op, same = "ConvTranspose", auto_pad.startswith("SAME")
    window = _Window(op, x, weight.shape[2:], strides, dilations, "VALID" if same else auto_pad, pads)
    y: Tensor = _TRANSPOSED[x.ndim - 3](x, weight, None, window.strides, 0, 0, group, window.dilations)
    sizes = y.shape[2:]
    added = integers(output_padding) or [0] * len(sizes)
    target = integers(output_shape)
    if len(added) != len(sizes) or (target is not None and len(target) != len(sizes)):
        raise ShapeError(f"{op} has output_padding {added} and output_shape {target}; expected {len(sizes)} numbers.")
    if target is None and same:
        target = [size * stride for size, stride in zip(x.shape[2:], window.strides, strict=True)]
    if target is None:
        changes = [(-before, more - after) for (before, after), more in zip(window.pads, added, strict=True)]
    else:
        totals = [max(size + more - new, 0) for size, more, new in zip(sizes, added, target, strict=True)]
        befores = [_halves(total, auto_pad != "SAME_UPPER")[0] for total in totals]
        changes = [(-before, new - size + before) for before, new, size in zip(befores, target, sizes, strict=True)]
    y = _padded(y, changes)
    return y if bias is None else y + bias.reshape(-1, *[1] * len(sizes))


@operator("MaxPool", max_outputs=2)
def max_pool(
    x: Tensor,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Ints = None,
    kernel_shape: Ints = None,
    pads: Ints = None,
    storage_order: int = 0,
    strides: Ints = None,
) -> tuple[Tensor, Tensor]:
    """The largest value of each window, and its index in the flattened input."""
    window = _Window("MaxPool", x, integers(kernel_shape) or [], strides, dilations, auto_pad, pads)
    numbers = _padded(x if x.is_floating_point() else x.float(), window.pads, float("-inf"))
    numbers = _padded(numbers, window.ceil_pads(x, ceil_mode), float("-inf"))
    function = _MAXIMA[x.ndim - 3]
    maxima, indices = function(numbers, window.kernel, window.strides, 0, window.dilations, False, True)
    befores = [before for before, _ in window.pads]
    return maxima.to(x.dtype), _input_indices(x, indices, numbers.shape[2:], befores, storage_order)


def _input_indices(
    x: Tensor, indices: Tensor, sizes: Sequence[int], befores: Sequence[int], column_first: int
) -> Tensor:
    """Converts indices in the padded planes of these sizes into indices in the whole input."""
    coordinates: list[Tensor] = []
    for size, before in zip(reversed(sizes), reversed(befores), strict=True):
        coordinates.insert(0, indices % size - before)
        indices = indices // size
    order = range(len(coordinates))
    flat = torch.zeros_like(indices)
    for axis in reversed(order) if column_first else order:
        flat = flat * x.shape[2 + axis] + coordinates[axis]
    planes = torch.arange(x.shape[0] * x.shape[1], device=x.device).reshape(*x.shape[:2], *[1] * len(coordinates))
    return flat + planes * x.shape[2:].numel()


@operator("AveragePool")
def average_pool(
    x: Tensor,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Ints = None,
    kernel_shape: Ints = None,
    pads: Ints = None,
    strides: Ints = None,
) -> Tensor:
    """The mean of each window, over its values alone or over its values and the padding."""
    window = _Window("AveragePool", x, integers(kernel_shape) or [], strides, dilations, auto_pad, pads)
    counted = _padded(x.new_ones(1, 1, *x.shape[2:]), window.pads, float(bool(count_include_pad)))
    rows = _padded(x, window.pads).flatten(0, 1).unsqueeze(1)
    ceil_pads, ones = window.ceil_pads(x, ceil_mode), x.new_ones(1, 1, *window.kernel)
    total, count = (
        _CONVOLUTIONS[x.ndim - 3](_padded(values, ceil_pads), ones, None, window.strides, 0, window.dilations)
        for values in (rows, counted)
    )
    mean: Tensor = total / count
    return mean.reshape(*x.shape[:2], *mean.shape[2:])


@operator("GlobalAveragePool")
def global_average_pool(x: Tensor) -> Tensor:
    """The mean over all axes after the first two."""
    return x.mean(list(range(2, x.ndim)), True)


@operator("GlobalMaxPool")
def global_max_pool(x: Tensor) -> Tensor:
    """The largest value over all axes after the first two."""
    return x.amax(list(range(2, x.ndim)), True)


def _reflected(places: Tensor, size: int) -> Tensor:
    period = max(2 * (size - 1), 1)
    within = places.remainder(period)
    return torch.minimum(within, period - within) if size > 1 else torch.zeros_like(places)


_SOURCES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "reflect": _reflected,
    "edge": lambda places, size: places.clamp(0, size - 1),
    "wrap": lambda places, size: places.remainder(size),
}
"""Maps places in the padding to places in the values, for each mode of ``Pad`` but ``"constant"``."""


@operator("Pad")
def pad(
    x: Tensor, pads: Ints = None, value: Tensor | float | None = None, axes: Ints = None, *, mode: str = "constant"
) -> Tensor:
    """Adds values before and after each axis, or removes values where ``pads`` is negative.

    ``pads`` holds the numbers before each axis, then the numbers after each axis. The padding is ``value``, or comes
    from the values: ``"reflect"`` mirrors them at the first and the last, ``"edge"`` repeats the first and the last,
    ``"wrap"`` continues at the other end.
    """
    if mode != "constant" and mode not in _SOURCES:
        raise ShapeError(f"Pad has mode {mode!r}; expected one of constant, {', '.join(_SOURCES)}.")
    widths, along = integers(pads) or [], integers(axes)
    along = list(range(x.ndim)) if along is None else along
    if len(widths) != 2 * len(along):
        raise ShapeError(f"Pad has pads {widths}; expected two numbers for each of {len(along)} axes.")
    pairs = [(0, 0)] * x.ndim
    for number, axis in enumerate(along):
        pairs[axis] = (widths[number], widths[number + len(along)])
    if mode == "constant":
        return _padded(x, pairs, 0.0 if value is None else value.item() if isinstance(value, Tensor) else value)
    for axis, (before, after) in enumerate(pairs):
        kept = x.narrow(axis, max(-before, 0), x.shape[axis] + min(before, 0) + min(after, 0))
        before, after, size = max(before, 0), max(after, 0), kept.shape[axis]
        if (before or after) and not size:
            raise ShapeError(f"Pad has mode {mode!r} along axis {axis}, which has no values; expected some.")
        places = torch.arange(-before, size + after, device=x.device)
        x = kept.index_select(axis, _SOURCES[mode](places, size)) if before or after else kept
    return x
