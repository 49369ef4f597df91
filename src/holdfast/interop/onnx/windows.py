"""Convolutions, pools and padding among the operators of ONNX; see :mod:`holdfast.interop.onnx.operators`.

Padding is put around the values first, as numbers before and after each axis. So every combination of ``auto_pad``,
``pads``, ``dilations`` and ``ceil_mode`` is the same few lines, and none depends on what torch's own pools accept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from holdfast.errors import ShapeError
from holdfast.interop.onnx.shapes import Ints, integers

_AUTO = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
_MOST_AXES = 3


class _Window:
    """How a window moves over the axes after the first two.

    Attributes:
        kernel: Its size along each axis.
        strides: How far it moves.
        dilations: How far apart its elements are.
        spans: How many values it reaches over.
    """

    def __init__(self, op: str, x: Tensor, kernel: Sequence[int], strides: Ints, dilations: Ints) -> None:
        count = x.ndim - 2
        self.kernel = list(kernel)
        self.strides = integers(strides) or [1] * count
        self.dilations = integers(dilations) or [1] * count
        lists = (self.kernel, self.strides, self.dilations)
        if not 1 <= count <= _MOST_AXES or any(len(one) != count or min(one) < 1 for one in lists):
            raise ShapeError(
                f"{op} got a value of {x.ndim} dimensions, kernel_shape {self.kernel}, strides {self.strides} and "
                f"dilations {self.dilations}; expected 3 to 5 dimensions, and numbers from 1 on for the last ones."
            )
        self.spans = [(size - 1) * apart + 1 for size, apart in zip(self.kernel, self.dilations, strict=True)]

    def around(self, op: str, x: Tensor, auto_pad: str, pads: Ints) -> list[tuple[int, int]]:
        """The padding before and after each axis."""
        sizes = x.shape[2:]
        given = integers(pads) or [0] * (2 * len(sizes))
        if auto_pad not in _AUTO or len(given) != 2 * len(sizes) or min(given) < 0:
            raise ShapeError(
                f"{op} has auto_pad {auto_pad!r} and pads {given}; expected one of {', '.join(_AUTO)}, and two numbers "
                "from 0 on for each axis."
            )
        if auto_pad == "VALID":
            return [(0, 0)] * len(sizes)
        if auto_pad == "NOTSET":
            return list(zip(given[: len(sizes)], given[len(sizes) :], strict=True))
        steps = zip(sizes, self.strides, self.spans, strict=True)
        totals = [max((-(-size // stride) - 1) * stride + span - size, 0) for size, stride, span in steps]
        return [halved(total, auto_pad == "SAME_LOWER") for total in totals]

    def rounded_up(self, x: Tensor, around: Sequence[tuple[int, int]]) -> list[int]:
        """What ``ceil_mode`` adds after each axis: a last window that reaches over the end, if it begins before it."""
        added = []
        for size, (before, after), stride, span in zip(x.shape[2:], around, self.strides, self.spans, strict=True):
            whole = size + before + after
            count = -(-(whole - span) // stride) + 1
            if (count - 1) * stride >= size + before:
                count -= 1
            added.append(max((count - 1) * stride + span - whole, 0))
        return added


def halved(total: int, more_before: bool) -> tuple[int, int]:
    """Padding before and after, in equal parts; which one has one more where it is odd."""
    return (total - total // 2, total // 2) if more_before else (total // 2, total - total // 2)


def _padded(x: Tensor, around: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    if not any(map(any, around)):
        return x
    return F.pad(x, [one for pair in reversed(around) for one in pair], value=value)


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
    window = _Window("Conv", x, weight.shape[2:], strides, dilations)
    padded = _padded(x, window.around("Conv", x, auto_pad, pads))
    function: Any = (F.conv1d, F.conv2d, F.conv3d)[x.ndim - 3]
    found: Tensor = function(padded, weight, bias, window.strides, 0, window.dilations, group)
    return found


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
    """A transposed convolution over one, two or three dimensions; ``pads`` are cut off what comes of it."""
    op = "ConvTranspose"
    window = _Window(op, x, weight.shape[2:], strides, dilations)
    function: Any = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[x.ndim - 3]
    whole: Tensor = function(x, weight, None, window.strides, 0, 0, group, window.dilations)
    sizes = whole.shape[2:]
    added = integers(output_padding) or [0] * len(sizes)
    wanted = integers(output_shape)
    if len(added) != len(sizes) or (wanted is not None and len(wanted) != len(sizes)):
        raise ShapeError(f"{op} has output_padding {added} and output_shape {wanted}; expected {len(sizes)} numbers.")
    cut = window.around(op, x, "VALID" if auto_pad.startswith("SAME") else auto_pad, pads)
    if wanted is None and auto_pad.startswith("SAME"):
        wanted = [size * stride for size, stride in zip(x.shape[2:], window.strides, strict=True)]
    if wanted is not None:
        totals = [max(size + more - to, 0) for size, more, to in zip(sizes, added, wanted, strict=True)]
        cut = [halved(total, auto_pad != "SAME_UPPER") for total in totals]
        ends = [size - one[0] for size, one in zip(sizes, cut, strict=True)]
        kept = _padded(whole, [(-one[0], to - end) for one, to, end in zip(cut, wanted, ends, strict=True)])
    else:
        kept = _padded(whole, [(-before, more - after) for (before, after), more in zip(cut, added, strict=True)])
    return kept if bias is None else kept + bias.reshape(-1, *[1] * len(sizes))


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
    """The largest value of each window, and its place in the whole input."""
    window = _Window("MaxPool", x, integers(kernel_shape) or [], strides, dilations)
    around = window.around("MaxPool", x, auto_pad, pads)
    added = window.rounded_up(x, around) if ceil_mode else [0] * len(around)
    numbers = x if x.is_floating_point() else x.float()
    wide = [(before, after + more) for (before, after), more in zip(around, added, strict=True)]
    function: Any = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.ndim - 3]
    found, places = function(
        _padded(numbers, wide, float("-inf")), window.kernel, window.strides, 0, window.dilations, False, True
    )
    sizes = [size + before + after for size, (before, after) in zip(x.shape[2:], wide, strict=True)]
    return found.to(x.dtype), _in_input(x, places, sizes, [before for before, _ in wide], storage_order)


def _in_input(x: Tensor, places: Tensor, sizes: Sequence[int], before: Sequence[int], column_first: int) -> Tensor:
    """Places in padded planes as places in all of the input."""
    apart: list[Tensor] = []
    for size, first in zip(reversed(sizes), reversed(before), strict=True):
        apart.insert(0, places % size - first)
        places = places // size
    order = range(len(apart))
    flat = torch.zeros_like(places)
    for axis in reversed(order) if column_first else order:
        flat = flat * x.shape[2 + axis] + apart[axis]
    planes = torch.arange(x.shape[0] * x.shape[1], device=x.device).reshape(*x.shape[:2], *[1] * len(apart))
    return flat + planes * x.shape[2:].numel()


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
    """The mean of each window, over the values in it alone or with the padding."""
    window = _Window("AveragePool", x, integers(kernel_shape) or [], strides, dilations)
    around = window.around("AveragePool", x, auto_pad, pads)
    added = window.rounded_up(x, around) if ceil_mode else [0] * len(around)
    wide = [(before, after + more) for (before, after), more in zip(around, added, strict=True)]
    counted = _padded(x.new_ones(1, 1, *x.shape[2:]), around, float(bool(count_include_pad)))
    counted = _padded(counted, [(0, more) for more in added])
    rows = _padded(x, wide).flatten(0, 1).unsqueeze(1)
    ones = x.new_ones(1, 1, *window.kernel)
    function: Any = (F.conv1d, F.conv2d, F.conv3d)[x.ndim - 3]
    total, count = (function(one, ones, None, window.strides, 0, window.dilations) for one in (rows, counted))
    mean: Tensor = total / count
    return mean.reshape(*x.shape[:2], *mean.shape[2:])


def over_all(function: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
    """``GlobalAveragePool`` or ``GlobalMaxPool``, from the function (x, axes, keepdim)."""

    def pooled(x: Tensor) -> Tensor:
        return function(x, list(range(2, x.ndim)), True)

    return pooled


def pad(
    x: Tensor, pads: Ints = None, value: Tensor | float | None = None, axes: Ints = None, *, mode: str = "constant"
) -> Tensor:
    """More values before and after, or fewer where ``pads`` is below zero: first those before each axis, then after it.

    They are ``value``, or come from the values themselves: ``"reflect"`` turns them around at the first and the last,
    ``"edge"`` repeats these, ``"wrap"`` goes on at the other end.
    """
    if mode != "constant" and mode not in _PLACES:
        raise ShapeError(f"Pad has mode {mode!r}; expected one of constant, {', '.join(_PLACES)}.")
    around, along = integers(pads) or [], integers(axes)
    along = list(range(x.ndim)) if along is None else along
    if len(around) != 2 * len(along):
        raise ShapeError(f"Pad has pads {around}; expected two numbers for each of {len(along)} axes.")
    places = [(0, 0)] * x.ndim
    for number, axis in enumerate(along):
        places[axis] = (around[number], around[number + len(along)])
    if mode == "constant":
        fill = 0.0 if value is None else value.item() if isinstance(value, Tensor) else value
        return F.pad(x, [one for place in reversed(places) for one in place], value=fill)
    for axis, (before, after) in enumerate(places):
        kept = x.narrow(axis, max(-before, 0), x.shape[axis] + min(before, 0) + min(after, 0))
        before, after, size = max(before, 0), max(after, 0), kept.shape[axis]
        if (before or after) and not size:
            raise ShapeError(f"Pad has mode {mode!r} along axis {axis}, which has no values; expected some.")
        steps = torch.arange(-before, size + after, device=x.device)
        x = kept.index_select(axis, _PLACES[mode](steps, size)) if before or after else kept
    return x


def _reflected(places: Tensor, size: int) -> Tensor:
    period = max(2 * (size - 1), 1)
    within = places.remainder(period)
    return torch.minimum(within, period - within) if size > 1 else torch.zeros_like(places)


_PLACES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "reflect": _reflected,
    "edge": lambda places, size: places.clamp(0, size - 1),
    "wrap": lambda places, size: places.remainder(size),
}
