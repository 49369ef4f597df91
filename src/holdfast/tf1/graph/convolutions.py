"""Convolutions and pooling, with TensorFlow's padding; the channels come last unless ``data_format`` says NCHW."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional as F

from holdfast.tf1.graph.convert import convert_to_tensor, known_sizes, whole_numbers
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.shapes import merged_size
from holdfast.tf1.graph.tensors import Tensor

_CONVOLUTIONS: dict[int, Callable[..., torch.Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def _numbers(value: Any, count: int, first: bool) -> list[int]:
    """A setting for each spatial dimension: from one number, one for each, or one for each dimension of the tensor."""
    given = [value] * count if isinstance(value, int) else [int(each) for each in value]
    if len(given) == 1:
        given *= count
    if len(given) == count + 2:
        return given[2:] if first else given[1:-1]
    return given


def _checked(padding: Any) -> str:
    if str(padding).upper() not in ("SAME", "VALID"):
        raise ValueError(f"The padding is {padding!r}; expected SAME or VALID.")
    return str(padding).upper()


def _around(size: int, window: int, stride: int, padding: str) -> tuple[int, int]:
    """The zeros before and after a dimension."""
    if padding == "VALID":
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _length(size: int | None, window: int, stride: int, padding: str) -> int | None:
    if size is None:
        return None
    return -(-size // stride) if padding == "SAME" else -(-(size - window + 1) // stride)


def _padded(
    x: torch.Tensor, windows: Sequence[int], strides: Sequence[int], padding: str, value: float
) -> torch.Tensor:
    around = [_around(size, w, s, padding) for size, w, s in zip(x.shape[2:], windows, strides, strict=True)]
    if not any(count for pair in around for count in pair):
        return x
    return F.pad(x, [count for pair in reversed(around) for count in pair], value=value)


def _first(data_format: Any) -> bool:
    return bool(data_format) and str(data_format).upper().startswith("NC")


def _channels_first(x: torch.Tensor) -> torch.Tensor:
    return x.movedim(-1, 1)


def _convolve(
    input: Any, filters: Any, strides: Any, padding: Any, data_format: Any, dilations: Any, name: str | None, rank: int,
    groups_by_channel: bool = False,
) -> Tensor:  # fmt: skip
    x = convert_to_tensor(input)
    kernel = convert_to_tensor(filters, x.dtype)
    kind, first = _checked(padding), _first(data_format)
    steps, spread = _numbers(strides, rank, first), _numbers(dilations, rank, first)
    windows = (kernel.sizes or (None,) * (rank + 2))[:rank]
    sizes = _convolved(x, kernel, windows, steps, spread, kind, first, rank, groups_by_channel)

    def compute(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        image = values if first else _channels_first(values)
        groups = image.shape[1] if groups_by_channel else 1
        if groups_by_channel:  # [H, W, C, M] to [C M, 1, H, W]
            weights = weights.movedim((-2, -1), (0, 1)).flatten(0, 1).unsqueeze(1)
        else:
            weights = weights.movedim((-1, -2), (0, 1))
        reach = [(w - 1) * d + 1 for w, d in zip(weights.shape[2:], spread, strict=True)]
        image = _padded(image, reach, steps, kind, 0.0)
        made = _CONVOLUTIONS[rank](image, weights, None, steps, 0, spread, groups)
        return made if first else made.movedim(1, -1)

    return node(f"Conv{rank}D", compute, [x, kernel], x.dtype, sizes, name or f"Conv{rank}D")


def _convolved(
    x: Tensor, kernel: Tensor, windows: Sequence[int | None], steps: list[int], spread: list[int], padding: str,
    first: bool, rank: int, groups_by_channel: bool,
) -> Any:  # fmt: skip
    if x.sizes is None or kernel.sizes is None:
        return (None,) * (rank + 2)
    if len(x.sizes) != rank + 2 or len(kernel.sizes) != rank + 2:
        raise ValueError(f"A convolution got shapes {x.shape} and {kernel.shape}; expected {rank + 2} sizes of both.")
    space = x.sizes[2:] if first else x.sizes[1:-1]
    depth, out = x.sizes[1 if first else -1], kernel.sizes[-1]
    depth = merged_size(depth, kernel.sizes[-2], x.sizes, kernel.sizes)
    if groups_by_channel:
        out = None if depth is None or out is None else depth * out
    lengths = [
        None if w is None else _length(size, (w - 1) * d + 1, s, padding)
        for size, w, s, d in zip(space, windows, steps, spread, strict=True)
    ]
    return (x.sizes[0], out, *lengths) if first else (x.sizes[0], *lengths, out)


@public("nn.conv2d")
def conv2d(
    input: Any, filter: Any = None, strides: Any = None, padding: Any = None, use_cudnn_on_gpu: bool = True,
    data_format: str = "NHWC", dilations: Any = 1, name: str | None = None, filters: Any = None,
) -> Tensor:  # fmt: skip
    """Images [B, H, W, C] with filters [h, w, C, D]: [B, H', W', D]."""
    return _convolve(input, filter if filters is None else filters, strides, padding, data_format, dilations, name, 2)


@public("nn.conv1d")
def conv1d(
    value: Any = None, filters: Any = None, stride: Any = None, padding: Any = None, use_cudnn_on_gpu: Any = None,
    data_format: Any = None, name: str | None = None, input: Any = None, dilations: Any = 1,
) -> Tensor:  # fmt: skip
    """Sequences [B, T, C] with filters [t, C, D]: [B, T', D]."""
    return _convolve(value if input is None else input, filters, stride, padding, data_format, dilations, name, 1)


@public("nn.conv3d")
def conv3d(
    input: Any, filter: Any, strides: Any, padding: Any, data_format: str = "NDHWC", dilations: Any = 1,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Volumes [B, D, H, W, C] with filters [d, h, w, C, K]."""
    return _convolve(input, filter, strides, padding, data_format, dilations, name, 3)


@public("nn.convolution")
def convolution(
    input: Any, filter: Any, padding: Any, strides: Any = None, dilation_rate: Any = None, name: str | None = None,
    data_format: Any = None,
) -> Tensor:  # fmt: skip
    """A convolution over as many dimensions as the filters have beside channels."""
    rank = len(convert_to_tensor(filter).sizes or ()) - 2
    return _convolve(input, filter, strides or 1, padding, data_format, dilation_rate or 1, name, rank)


@public("nn.atrous_conv2d")
def atrous_conv2d(value: Any, filters: Any, rate: int, padding: Any, name: str | None = None) -> Tensor:
    """:func:`conv2d` with filters whose values stand ``rate`` apart."""
    return _convolve(value, filters, 1, padding, None, rate, name, 2)


@public("nn.depthwise_conv2d", "nn.depthwise_conv2d_native")
def depthwise_conv2d(
    input: Any, filter: Any, strides: Any, padding: Any, rate: Any = None, name: str | None = None,
    data_format: Any = None,
) -> Tensor:  # fmt: skip
    """Each channel with filters [h, w, C, M] of its own: [B, H', W', C M]."""
    return _convolve(input, filter, strides, padding, data_format, rate or 1, name, 2, groups_by_channel=True)


@public("nn.conv2d_transpose")
def conv2d_transpose(
    value: Any = None, filter: Any = None, output_shape: Any = None, strides: Any = None, padding: Any = "SAME",
    data_format: str = "NHWC", name: str | None = None, input: Any = None, filters: Any = None,
) -> Tensor:  # fmt: skip
    """The transpose of :func:`conv2d`: [B, H', W', D] with filters [h, w, C, D] to ``output_shape`` [B, H, W, C]."""
    x = convert_to_tensor(value if input is None else input)
    kernel = convert_to_tensor(filter if filters is None else filters, x.dtype)
    kind, first, target = _checked(padding), _first(data_format), whole_numbers(output_shape)
    steps = _numbers(strides, 2, first)

    def compute(values: torch.Tensor, weights: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
        image = values if first else _channels_first(values)
        weights = weights.movedim((-1, -2), (0, 1))
        sizes = shape.tolist()[2:] if first else shape.tolist()[1:3]
        around = [_around(n, w, s, kind) for n, w, s in zip(sizes, weights.shape[2:], steps, strict=True)]
        whole = F.conv_transpose2d(image, weights, None, steps)
        for axis, (size, (before, _)) in enumerate(zip(sizes, around, strict=True), 2):
            missing = before + size - whole.shape[axis]
            if missing > 0:
                whole = F.pad(whole, [0, 0] * (3 - axis) + [0, missing])
            whole = whole.narrow(axis, before, size)
        return whole if first else whole.movedim(1, -1)

    return node("Conv2DTranspose", compute, [x, kernel, target], x.dtype, known_sizes(output_shape), name)


def _pool(type_: str, function: Callable[..., torch.Tensor], *names: str) -> Any:
    def pooled(
        value: Any = None, ksize: Any = None, strides: Any = None, padding: Any = None, data_format: str = "NHWC",
        name: str | None = None, input: Any = None,
    ) -> Tensor:  # fmt: skip
        x = convert_to_tensor(value if input is None else input)
        kind, first = _checked(padding), _first(data_format)
        windows, steps = (_numbers(given, 2, first) for given in (ksize, strides))
        sizes = x.sizes
        if sizes is not None:
            space = sizes[2:] if first else sizes[1:3]
            lengths = [_length(n, w, s, kind) for n, w, s in zip(space, windows, steps, strict=True)]
            sizes = (*sizes[:2], *lengths) if first else (sizes[0], *lengths, sizes[3])
        else:
            sizes = (None,) * 4

        def compute(values: torch.Tensor) -> torch.Tensor:
            made = function(values if first else _channels_first(values), windows, steps, kind)
            return made if first else made.movedim(1, -1)

        return node(type_, compute, [x], x.dtype, sizes, name)

    pooled.__doc__ = f"``{type_}`` of windows of images [B, H, W, C]."
    return public(*names)(pooled)


def _largest(x: torch.Tensor, windows: list[int], steps: list[int], padding: str) -> torch.Tensor:
    return F.max_pool2d(_padded(x, windows, steps, padding, float("-inf")), windows, steps)


def _average(x: torch.Tensor, windows: list[int], steps: list[int], padding: str) -> torch.Tensor:
    """The mean of what is within the image."""
    total = F.avg_pool2d(_padded(x, windows, steps, padding, 0.0), windows, steps)
    inside = F.avg_pool2d(_padded(torch.ones_like(x[:1, :1]), windows, steps, padding, 0.0), windows, steps)
    return total / inside


max_pool = _pool("MaxPool", _largest, "nn.max_pool")
avg_pool = _pool("AvgPool", _average, "nn.avg_pool")
