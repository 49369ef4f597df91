"""Converts Keras's layers other than recurrent ones to nodes of a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from holdfast.errors import ConversionError
from holdfast.interop.keras import attention as keras_attention
from holdfast.interop.keras import merging as keras_merging
from holdfast.interop.keras import normalisation as keras_normalisation
from holdfast.interop.keras import recurrent as keras_recurrent
from holdfast.interop.keras import windows as keras_windows
from holdfast.interop.keras.builder import Builder, Entry, Value, check_shape, identity, inner_layer, with_activation
from holdfast.interop.keras.inlining import FOLD, MASKED, OF_THE_LAST_DIMENSION, UNFOLD
from holdfast.interop.keras.model import Layer, Model
from holdfast.interop.keras.options import Options
from holdfast.interop.network import Network


def network(model: Model, arrays: Mapping[str, Sequence[Tensor]], source: Path) -> Network:
    """The network of a Keras model, in evaluation mode.

    Args:
        model: The model.
        arrays: The weights of each layer, by its name, in Keras's order.
        source: Their file, for messages.

    Raises:
        ConversionError: A layer or an option has no counterpart, or the weights do not fit the layers.
        ModelFileError: An option has an invalid value.
    """
    return Builder(model, arrays, LAYERS).network(source)


def _input(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    shape = options.take("batch_input_shape", "batch_shape", "shape")
    options.done()
    if layer.name not in build.model.inputs:
        raise ConversionError(f"{layer.label} is not an input of the model; expected every input layer to be one.")
    width = shape[-1] if isinstance(shape, list) and len(shape) > 2 else None
    return [Value(layer.name, width=width if type(width) is int else None)]


def _embedding(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    masked = options.flag("mask_zero", default=False)
    sizes = options.size("input_dim"), options.size("output_dim")
    options.done()
    (table,) = build.weights(layer, 1)
    check_shape(layer, "table", table, sizes)
    settings = {"num_embeddings": sizes[0], "embedding_dim": sizes[1], "mask_zero": masked}
    mask = _mask_name(build, layer, inputs[0], 0.0) if masked else ""
    outputs = (layer.name, mask) if masked else (layer.name,)
    build.node(layer.name, "Embedding", (inputs[0].name,), settings, outputs, {"weight": table})
    return [Value(layer.name, mask, sizes[1])]


def _masking(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    value = options.number("mask_value", default=0.0)
    options.done()
    mask = _mask_name(build, layer, inputs[0], value)
    build.node(layer.name, "Masking", (inputs[0].name,), {"value": value}, (layer.name, mask))
    return [Value(layer.name, mask, inputs[0].width)]


def _mask_name(build: Builder, layer: Layer, value: Value, masked: float) -> str:
    mask = f"{layer.name}/mask"
    build.tests[mask] = (value.name, masked)
    return mask


def _dense(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    bias = options.flag("use_bias", "bias", default=True)
    units = options.size("units", "output_dim")
    activation = options.activation("activation", softmax=True)
    options.done()
    kernel, *rest = build.weights(layer, 1 + bias)
    width = (kernel.shape or (0,))[0] if inputs[0].width is None else inputs[0].width
    check_shape(layer, "kernel", kernel, (width, units))
    tensors = {"weight": kernel.T.contiguous()}
    if bias:
        check_shape(layer, "bias", rest[0], (units,))
        tensors["bias"] = rest[0]
    settings = {"in_features": width, "out_features": units, "bias": bias}
    name = build.node(layer.name, "Linear", (inputs[0].name,), settings, tensors=tensors)
    return [with_activation(build, layer, replace(inputs[0], name=name, width=units), activation)]


def _activation(read_name: Callable[[Options], str]) -> Entry:
    def make(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
        options = build.options(layer)
        name = read_name(options)
        options.done()
        return [build.apply(layer, "Activation", inputs[0], {"name": name})]

    return Entry(make)


def _relu(options: Options) -> str:
    highest = options.take("max_value")
    slope, threshold = options.number("negative_slope", default=0.0), options.number("threshold", default=0.0)
    if threshold or (slope and highest is not None) or highest not in (None, 6):
        raise options.refused(
            "max_value, negative_slope, threshold", (highest, slope, threshold), "a slope alone, or 6"
        )
    return "relu6" if highest else f"leaky_relu({slope!r})" if slope else "relu"


def _elu(options: Options) -> str:
    alpha = options.number("alpha", default=1.0)
    return "elu" if alpha == 1 else f"elu({alpha!r})"


def _softmax(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    axis = options.take("axis", default=-1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    options.done()
    if type(axis) is not int or not axis or abs(axis) > 16:
        raise options.refused("axis", axis, "one dimension other than the first")
    if inputs[0].mask:
        raise ConversionError(
            f"{layer.label} gets a mask, which Keras applies to the last dimensions; expected none: use the activation "
            "softmax."
        )
    return [build.apply(layer, "Activation", inputs[0], {"name": "softmax", "dim": axis})]


def _dropout(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    settings = {"p": options.rate("rate", "p"), "locked": layer.kind == "SpatialDropout1D"}
    options.done()
    return [build.apply(layer, "Dropout", inputs[0], settings)]


def _noise(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    if layer.kind == "GaussianDropout":
        rate = options.rate("rate", "p")
        settings = {"deviation": math.sqrt(rate / (1 - rate)), "mode": "product"}
    else:
        settings = {"deviation": options.number("stddev", "sigma", default=0.0), "mode": "sum"}
    options.done()
    return [build.apply(layer, "Noise", inputs[0], settings)]


def _time_distributed(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    """A TimeDistributed of a layer that treats all steps alike; others are replaced before."""
    options = build.options(layer)
    inner = inner_layer(layer, options.take("layer"))
    options.done()
    if inner.kind not in OF_THE_LAST_DIMENSION:
        raise ConversionError(f"{layer.label} does not say what it wraps. Its configuration is damaged.")
    if inner.kind == "Softmax":
        return [replace(build.entry(inner).make(build, inner, [replace(inputs[0], mask="")])[0], mask=inputs[0].mask)]
    return build.entry(inner).make(build, inner, inputs)


def _fold(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    return [Value(build.node(layer.name, "Fold", (inputs[0].name,)), width=inputs[0].width)]


def _unfold(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    rows, unfolded = inputs
    return [Value(build.node(layer.name, "Unfold", (rows.name, unfolded.name)), unfolded.mask, rows.width)]


def _flatten(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options, x = build.options(layer), inputs[0].name
    if options.take("data_format") == "channels_first":
        x = build.node(f"{layer.name}/channels last", "MoveDim", (x,), {"source": 1, "destination": -1})
    options.done()
    return [Value(build.node(layer.name, "Reshape", (x,), {"shape": [-1]}))]


def _permute(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    dims = options.take("dims")
    options.done()
    valid = isinstance(dims, list) and dims and all(type(n) is int for n in dims)
    if not valid or sorted(dims) != list(range(1, len(dims) + 1)):
        raise options.damaged("dims", dims, "each dimension from 1 on once")
    width = inputs[0].width if dims and dims[-1] == len(dims) else None
    return [Value(build.node(layer.name, "Permute", (inputs[0].name,), {"dims": dims}), width=width)]


def _reshape(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    shape = options.take("target_shape")
    options.done()
    if not isinstance(shape, list) or not all(type(n) is int and -1 <= n < 2**31 for n in shape) or not shape:
        raise options.damaged("target_shape", shape, "whole numbers")
    build.node(layer.name, "Reshape", (inputs[0].name,), {"shape": shape})
    return [Value(layer.name, width=shape[-1] if shape[-1] > 0 else None)]


def _repeat_vector(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    count = options.size("n")
    options.done()
    return [replace(build.apply(layer, "RepeatVector", inputs[0], {"count": count}), mask="")]


_ACTIVATIONS = {
    "Activation": _activation(lambda options: options.activation("activation", softmax=True)),
    "ReLU": _activation(_relu),
    "LeakyReLU": _activation(lambda options: f"leaky_relu({options.number('negative_slope', 'alpha', default=0.3)!r})"),
    "ELU": _activation(_elu),
    "ThresholdedReLU": _activation(lambda options: f"thresholded_relu({options.number('theta', default=1.0)!r})"),
    "Softmax": Entry(_softmax),
}
LAYERS: dict[str, Entry] = {
    "InputLayer": Entry(_input),
    "Embedding": Entry(_embedding),
    "Masking": Entry(_masking),
    **dict.fromkeys(("Dense", "TimeDistributedDense"), Entry(_dense)),
    "TimeDistributed": Entry(_time_distributed),
    **dict.fromkeys(("Dropout", "SpatialDropout1D"), Entry(_dropout)),
    **dict.fromkeys(("GaussianNoise", "GaussianDropout"), Entry(_noise)),
    **dict.fromkeys(("ActivityRegularization", "Identity", MASKED), Entry(identity)),
    "Flatten": Entry(_flatten),
    "Permute": Entry(_permute),
    "Reshape": Entry(_reshape),
    "RepeatVector": Entry(_repeat_vector),
    **_ACTIVATIONS,
    **keras_attention.LAYERS,
    **keras_merging.LAYERS,
    **keras_normalisation.LAYERS,
    **keras_recurrent.LAYERS,
    **keras_windows.LAYERS,
    FOLD: Entry(_fold),
    UNFOLD: Entry(_unfold, several=True),
}
"""The known classes of layers."""
