"""Convolutions and pooling as layers, with variables of their own."""

from __future__ import annotations

from typing import Any

from holdfast.tf1.graph.arrays import reshape
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.convolutions import avg_pool, conv1d, conv2d, max_pool
from holdfast.tf1.graph.initial_values import Zeros, glorot_uniform
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.networks import bias_add, relu
from holdfast.tf1.graph.scopes import get_variable, variable_scope
from holdfast.tf1.graph.tensors import Tensor


def _convolution(
    rank: int, inputs: Any, filters: int, kernel_size: Any, strides: Any, padding: str, data_format: Any, dilation: Any,
    scope: tuple[Any, str], names: tuple[str, str], initializers: tuple[Any, Any], use_bias: bool, trainable: bool,
    reuse: Any, regularizer: Any,
) -> Tensor:  # fmt: skip
    x = convert_to_tensor(inputs)
    first = str(data_format or "").lower() in ("channels_first", "nchw", "ncw")
    depth = None if x.sizes is None else x.sizes[1 if first else -1]
    if depth is None:
        raise ValueError(
            f"The channels of {x.name} have an unknown size; a convolution needs it. Give it by set_shape."
        )
    window = [int(kernel_size)] * rank if isinstance(kernel_size, int) else [int(size) for size in kernel_size] * (
        rank if len(kernel_size) == 1 else 1
    )  # fmt: skip
    form = "NCHW" if first else "NHWC"
    with variable_scope(scope[0], scope[1], reuse=reuse):
        kernel = get_variable(
            names[0],
            [*window, depth, int(filters)],
            x.dtype,
            initializers[0] or glorot_uniform(),
            regularizer,
            trainable,
        )
        if rank == 1:
            made = conv1d(x, kernel, strides, padding, data_format=form, dilations=dilation)
        else:
            made = conv2d(x, kernel, strides, padding, data_format=form, dilations=dilation)
        if not use_bias:
            return made
        bias = get_variable(names[1], [int(filters)], x.dtype, initializers[1] or Zeros(), trainable=trainable)
        return made + reshape(bias, [-1] + [1] * rank) if first else bias_add(made, bias)


def _layer(rank: int) -> None:
    def layer(
        inputs: Any, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str = "channels_last", dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = None, bias_initializer: Any = None, kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, trainable: bool = True, name: str | None = None, reuse: Any = None,
    ) -> Tensor:  # fmt: skip
        outputs = _convolution(
            rank, inputs, filters, kernel_size, strides, padding, data_format, dilation_rate, (name, f"conv{rank}d"),
            ("kernel", "bias"), (kernel_initializer, bias_initializer), use_bias, trainable, reuse, kernel_regularizer,
        )  # fmt: skip
        return outputs if activation is None else activation(outputs)

    layer.__doc__ = f"A convolution over {rank} dimension(s) with variables of its own."
    public(f"layers.conv{rank}d")(layer)


_layer(1)
_layer(2)


@public("contrib.layers.conv2d", "contrib.layers.convolution2d", "contrib.layers.convolution")
def contrib_conv2d(
    inputs: Any, num_outputs: int, kernel_size: Any, stride: Any = 1, padding: str = "SAME", data_format: Any = None,
    rate: Any = 1, activation_fn: Any = relu, normalizer_fn: Any = None, normalizer_params: Any = None,
    weights_initializer: Any = None, weights_regularizer: Any = None, biases_initializer: Any = Zeros,
    biases_regularizer: Any = None, reuse: Any = None, variables_collections: Any = None,
    outputs_collections: Any = None, trainable: bool = True, scope: Any = None,
) -> Tensor:  # fmt: skip
    """A convolution of images with variables of its own; ReLU by default."""
    bias = biases_initializer is not None and normalizer_fn is None
    outputs = _convolution(
        2, inputs, num_outputs, kernel_size, stride, padding, data_format, rate, (scope, "Conv"), ("weights", "biases"),
        (weights_initializer, biases_initializer), bias, trainable, reuse, weights_regularizer,
    )  # fmt: skip
    if normalizer_fn is not None:
        outputs = normalizer_fn(outputs, **(normalizer_params or {}))
    return outputs if activation_fn is None else activation_fn(outputs)


def _pooling(function: Any, kind: str) -> None:
    def pooling(
        inputs: Any, pool_size: Any, strides: Any, padding: str = "valid", data_format: str = "channels_last",
        name: str | None = None,
    ) -> Tensor:  # fmt: skip
        return function(inputs, pool_size, strides, padding, "NCHW" if data_format == "channels_first" else "NHWC")  # type: ignore[no-any-return]

    def contrib(
        inputs: Any, kernel_size: Any, stride: Any = 2, padding: str = "VALID", data_format: str = "NHWC",
        outputs_collections: Any = None, scope: Any = None,
    ) -> Tensor:  # fmt: skip
        return function(inputs, kernel_size, stride, padding, data_format)  # type: ignore[no-any-return]

    pooling.__doc__ = contrib.__doc__ = f"The {kind} of windows of images."
    public(f"layers.{kind}_pooling2d")(pooling)
    public(f"contrib.layers.{'avg' if kind == 'average' else kind}_pool2d")(contrib)


_pooling(max_pool, "max")
_pooling(avg_pool, "average")
