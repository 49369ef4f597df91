"""Converts Keras's convolutions, poolings, paddings and similar layers to nodes of a network."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from holdfast.interop.keras.builder import Builder, Entry, Make, Value, check_shape, with_activation
from holdfast.interop.keras.model import Layer
from holdfast.interop.keras.options import Options

_PADDINGS = ("valid", "same", "causal")


def _convolution(count: int) -> Make:
    def make(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
        options = build.options(layer)
        filters, size = options.size("filters", "nb_filter"), _sizes(options, count, "kernel_size", "filter_length")
        settings = _strides(options, count)
        groups, bias = options.whole("groups", default=1), options.flag("use_bias", "bias", default=True)
        activation = options.activation("activation", softmax=True)
        x, back = _channels_last(build, options, layer, inputs[0])
        options.done()
        kernel, *rest = build.weights(layer, 1 + bias)
        kernel = _current_layout(build, kernel, size, filters)
        width = x.width or (kernel.shape[-2] * groups if kernel.ndim > 1 else 0)
        check_shape(layer, "kernel", kernel, (*size, width // groups, filters))
        name = _node(build, layer, x, kernel, rest, settings, width, groups)
        return [back(with_activation(build, layer, Value(name, width=filters), activation))]

    return make


def _depthwise(count: int) -> Make:
    def make(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
        """A filter per channel; a SeparableConv then mixes their outputs."""
        options = build.options(layer)
        mixed = layer.kind.startswith("Separable")
        filters = options.size("filters", "nb_filter") if mixed else 0
        size = _sizes(options, count, "kernel_size", "filter_length")
        settings = _strides(options, count)
        multiple, bias = options.whole("depth_multiplier", default=1), options.flag("use_bias", "bias", default=True)
        activation = options.activation("activation", softmax=True)
        x, back = _channels_last(build, options, layer, inputs[0])
        options.take("groups")
        if not mixed:
            options.take("filters")
        options.done()
        kernel, *rest = build.weights(layer, 1 + mixed + bias)
        width = x.width or (kernel.shape[-2] if kernel.ndim > 1 else 0)
        check_shape(layer, "depthwise kernel", kernel, (*size, width, multiple))
        kernel = kernel.reshape(*size, 1, width * multiple)
        if not mixed:
            name = _node(build, layer, x, kernel, rest, settings, width, width)
            return [back(with_activation(build, layer, Value(name, width=width * multiple), activation))]
        check_shape(layer, "pointwise kernel", rest[0], (*[1] * count, width * multiple, filters))
        each = Value(_node(build, layer, x, kernel, [], settings, width, width, "/depthwise"))
        name = _node(build, layer, each, rest[0], rest[1:], {}, width * multiple, 1)
        return [back(with_activation(build, layer, Value(name, width=filters), activation))]

    return make


def _transposed(count: int) -> Make:
    def make(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
        options = build.options(layer)
        filters, size = options.size("filters"), _sizes(options, count, "kernel_size")
        settings = _strides(options, count)
        if settings.pop("dilation") != [1] * count:
            raise options.refused("dilation_rate", layer.options.get("dilation_rate"), "1")
        if settings["padding"] == "causal":
            raise options.refused("padding", "causal", "one of valid, same")
        bias = options.flag("use_bias", default=True)
        activation = options.activation("activation", softmax=True)
        x, back = _channels_last(build, options, layer, inputs[0])
        if options.whole("groups", default=1) != 1:
            raise options.refused("groups", layer.options["groups"], "1")
        if (padding := options.take("output_padding")) is not None:
            raise options.refused("output_padding", padding, "null")
        options.done()
        kernel, *rest = build.weights(layer, 1 + bias)
        width = x.width or (kernel.shape[-1] if kernel.ndim else 0)
        check_shape(layer, "kernel", kernel, (*size, filters, width))
        settings |= {"in_channels": width, "out_channels": filters, "kernel_size": size, "bias": bias}
        tensors = {"layer.weight": kernel.movedim((-1, -2), (0, 1)).contiguous()}
        if bias:
            check_shape(layer, "bias", rest[0], (filters,))
            tensors["layer.bias"] = rest[0]
        name = build.node(layer.name, "TransposedConvolution", (x.name,), settings, tensors=tensors)
        return [back(with_activation(build, layer, Value(name, width=filters), activation))]

    return make


def _node(
    build: Builder,
    layer: Layer,
    x: Value,
    kernel: Tensor,
    bias: list[Tensor],
    settings: dict[str, Any],
    width: int,
    groups: int,
    end: str = "",
) -> str:
    """A convolution with a kernel [sizes, I / groups, O]."""
    size, filters = list(kernel.shape[:-2]), kernel.shape[-1]
    settings = {"in_channels": width, "out_channels": filters, "kernel_size": size, **settings, "groups": groups}
    tensors = {"layer.weight": kernel.movedim((-1, -2), (0, 1)).contiguous()}
    if bias:
        check_shape(layer, "bias", bias[0], (filters,))
        tensors["layer.bias"] = bias[0]
    options = {**settings, "bias": bool(bias)}
    return build.node(layer.name + end, "Convolution", (x.name,), options, tensors=tensors)


def _current_layout(build: Builder, kernel: Tensor, size: list[int], filters: int) -> Tensor:
    """A kernel in the layout of Keras 2 and 3, [sizes, I, O], not flipped."""
    if build.model.major == 1 and kernel.ndim == 4 and len(size) == 1:
        if kernel.shape[:2] != (size[0], 1) or kernel.shape[3] != filters:  # [O, I, size, 1]
            kernel = kernel.permute(2, 3, 1, 0)
        kernel = kernel[:, 0]
    if build.model.backend == "theano" and build.model.major < 3:  # it flips kernels
        kernel = kernel.flip(tuple(range(len(size))))
    return kernel


def _pooling(mode: str, count: int) -> Entry:
    def make(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
        options = build.options(layer)
        size = _sizes(options, count, "pool_size", "pool_length", default=2)
        settings = {"mode": mode, "size": size, "stride": _sizes(options, count, "strides", "stride", default=size)}
        settings["padding"] = _padding(options, "valid", "same")
        x, back = _channels_last(build, options, layer, inputs[0])
        options.done()
        return [back(Value(build.node(layer.name, "Pooling", (x.name,), settings), width=x.width))]

    return Entry(make)


def _global_pooling(mode: str, count: int) -> Entry:
    def make(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
        options = build.options(layer)
        keep = options.flag("keepdims", default=False)
        x, back = _channels_last(build, options, layer, inputs[0])
        options.done()
        mask = inputs[0].mask if mode == "mean" and count == 1 else ""
        values = (x.name, mask) if mask else (x.name,)
        pooled = Value(build.node(layer.name, "GlobalPooling", values, {"mode": mode, "keepdims": keep}), width=x.width)
        return [back(pooled) if keep else pooled]

    return Entry(make)


def _ends(kind: str, count: int, *names: str) -> Entry:
    def make(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
        """ZeroPadding and Cropping."""
        options = build.options(layer)
        steps = options.take(*names, default=1)
        if type(steps) is int:
            steps = [steps] * count
        if count == 1 and isinstance(steps, list) and len(steps) == 2:
            steps = [steps]
        pairs = [[n, n] if type(n) is int else n for n in steps] if isinstance(steps, list) else []
        if len(pairs) != count or not all(_is_pair(pair) for pair in pairs):
            raise options.damaged(names[0], steps, "whole numbers from 0 on, before and after each dimension")
        x, back = _channels_last(build, options, layer, inputs[0])
        options.done()
        return [back(Value(build.node(layer.name, kind, (x.name,), {"around": pairs}), width=x.width))]

    return Entry(make)


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(type(n) is int and 0 <= n < 2**31 for n in pair)


def _upsampling(count: int) -> Entry:
    def make(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
        options = build.options(layer)
        size = _sizes(options, count, "size", "length", default=2)
        if (mode := options.take("interpolation", default="nearest")) != "nearest":
            raise options.refused("interpolation", mode, "nearest")
        x, back = _channels_last(build, options, layer, inputs[0])
        options.done()
        return [back(Value(build.node(layer.name, "Upsampling", (x.name,), {"size": size}), width=x.width))]

    return Entry(make)


def _strides(options: Options, count: int) -> dict[str, Any]:
    return {
        "stride": _sizes(options, count, "strides", "subsample_length", default=1),
        "dilation": _sizes(options, count, "dilation_rate", default=1),
        "padding": _padding(options, *_PADDINGS),
    }


def _sizes(options: Options, count: int, *names: str, default: int | list[int] | None = None) -> list[int]:
    """A whole number from 1 on per dimension; a single number is used for all dimensions."""
    value = options.take(*names)
    value = default if value is None else value
    sizes = [value] * count if type(value) is int else value
    if not isinstance(sizes, list) or len(sizes) != count or not all(type(n) is int and 0 < n < 2**31 for n in sizes):
        raise options.damaged(names[0], value, "whole numbers from 1 on, one for each dimension")
    return list(sizes)


def _padding(options: Options, *known: str) -> str:
    value = options.take("padding", "border_mode", default="valid")
    if value not in known:
        raise options.refused("padding", value, f"one of {', '.join(known)}")
    return str(value)


def _channels_last(build: Builder, options: Options, layer: Layer, x: Value) -> tuple[Value, Any]:
    """The input with its channels last, and a function that moves an output's channels to the layer's place."""
    value = options.take("data_format")
    if value in (None, "channels_last"):
        return x, lambda output: output
    if value != "channels_first":
        raise options.damaged("data_format", value, "channels_last or channels_first")
    move = {"source": 1, "destination": -1}
    moved = Value(build.node(f"{layer.name}/channels last", "MoveDim", (x.name,), move))

    def move_back(output: Value) -> Value:
        name = f"{layer.name}/channels first"
        return Value(build.node(name, "MoveDim", (output.name,), {"source": -1, "destination": 1}))

    return moved, move_back


LAYERS: dict[str, Entry] = {
    "Convolution1D": Entry(_convolution(1)),
    "MaxPool1D": _pooling("max", 1),
    "AvgPool1D": _pooling("mean", 1),
    "Conv1DTranspose": Entry(_transposed(1)),
}
for _n in (1, 2, 3):
    LAYERS |= {
        f"Conv{_n}D": Entry(_convolution(_n)),
        f"MaxPooling{_n}D": _pooling("max", _n),
        f"AveragePooling{_n}D": _pooling("mean", _n),
        f"GlobalMaxPooling{_n}D": _global_pooling("max", _n),
        f"GlobalAveragePooling{_n}D": _global_pooling("mean", _n),
        f"ZeroPadding{_n}D": _ends("ZeroPadding", _n, "padding"),
        f"Cropping{_n}D": _ends("Cropping", _n, "cropping"),
        f"UpSampling{_n}D": _upsampling(_n),
    }
for _n in (1, 2):
    LAYERS |= {f"DepthwiseConv{_n}D": Entry(_depthwise(_n)), f"SeparableConv{_n}D": Entry(_depthwise(_n))}
