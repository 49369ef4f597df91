"""Converts the parts of a network besides recurrent layers to layers of Keras 3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from holdfast.errors import ConversionError
from holdfast.interop.arrangement import Noise
from holdfast.interop.normalisation import BatchNorm, LayerNorm
from holdfast.interop.windows import Convolution, Pooling, TransposedConvolution, Upsampling

_Layer = tuple[str, dict[str, Any], list[Tensor]]  # class, options and weights
KEEP_MASKS = ("BatchNorm", "LayerNorm", "Noise")
"""The kinds of nodes after which Keras keeps the mask of their input."""
KEEP_STEPS = (*KEEP_MASKS, "GlobalPooling")
"""The kinds of nodes that keep the number of steps, or remove the steps."""


@dataclass
class KerasLayer:
    """A layer for a file of Keras 3.

    Attributes:
        kind: Its class.
        config: Its options, without name and dtype.
        name: Its name.
        weights: Its arrays by place: ``""`` for the layer, ``"cell"`` or ``"forward_layer/cell"`` for an inner layer.
    """

    kind: str
    config: dict[str, Any]
    name: str = ""
    weights: dict[str, list[Tensor]] = field(default_factory=dict)


def export_layer(kind: str, part: Any, label: str) -> KerasLayer:
    """The layer of Keras that computes the same as a part of a network.

    Args:
        kind: A name of :data:`KINDS`.
        part: The module.
        label: Its name, for the message.

    Raises:
        ConversionError: Keras has no such layer.
    """
    layer = KINDS[kind](part)
    if layer is None:
        raise ConversionError(f"{label} ({part}) has no counterpart in Keras.")
    name, config, weights = layer
    return KerasLayer(name, config, weights={"": weights} if weights else {})


def required_steps(part: Any) -> int | None:
    """The number of steps that a part's parameters require, if they do."""
    if isinstance(part, BatchNorm) and part.dim == 1:
        return int(part.running_mean.numel())
    if isinstance(part, LayerNorm) and 1 in part.dims and _parameters(part):
        return int(_parameters(part)[0].shape[part.dims.index(1)])
    return None


def _convolution(part: Convolution) -> _Layer:
    conv = part.layer
    config = {
        "filters": conv.out_channels,
        "kernel_size": list(conv.kernel_size),
        "strides": list(conv.stride),
        "padding": part.padding,
        "dilation_rate": list(conv.dilation),
        "groups": conv.groups,
        "use_bias": conv.bias is not None,
    }
    return f"Conv{len(conv.kernel_size)}D", config, _kernel(conv)


def _transposed(part: TransposedConvolution) -> _Layer:
    conv = part.layer
    config = {"filters": conv.out_channels, "kernel_size": list(part.size), "strides": list(part.stride)}
    config |= {"padding": part.padding, "use_bias": conv.bias is not None}
    return f"Conv{len(part.size)}DTranspose", config, _kernel(conv)


def _kernel(conv: Any) -> list[Tensor]:
    weights = [conv.weight.detach().movedim((0, 1), (-1, -2)).contiguous()]
    return weights if conv.bias is None else [*weights, conv.bias.detach()]


def _pooling(part: Pooling) -> _Layer | None:
    if part.padding == "causal":
        return None
    config = {"pool_size": list(part.size), "strides": list(part.stride), "padding": part.padding}
    return f"{_MODES[part.mode]}Pooling{len(part.size)}D", config, []


def _ends(name: str, option: str) -> Callable[[Any], _Layer]:
    def export(part: Any) -> _Layer:
        pairs = [list(pair) for pair in part.around]
        return f"{name}{len(pairs)}D", {option: pairs[0] if len(pairs) == 1 else pairs}, []

    return export


def _upsampling(part: Upsampling) -> _Layer:
    size = list(part.size)
    return f"UpSampling{len(size)}D", {"size": size[0] if len(size) == 1 else size}, []


def _batch_norm(part: BatchNorm) -> _Layer:
    config = {"axis": part.dim, "momentum": 1 - part.momentum, "epsilon": part.eps}
    config |= {"scale": part.weight is not None, "center": part.bias is not None}
    return "BatchNormalization", config, [*_parameters(part), part.running_mean, part.running_var]


def _layer_norm(part: LayerNorm) -> _Layer | None:
    dims = list(part.dims)
    config: dict[str, Any] = {"axis": dims[0] if len(dims) == 1 else dims, "epsilon": part.eps}
    if part.mode != "layer" and (part.weight is None or part.bias is not None):
        return None
    if part.mode == "rms":
        return "RMSNormalization", config, _parameters(part)
    config |= {"scale": part.weight is not None, "center": part.bias is not None}
    if part.mode == "variance":
        config["rms_scaling"] = True
    return "LayerNormalization", config, _parameters(part)


def _parameters(part: Any) -> list[Tensor]:
    return [parameter.detach() for parameter in (part.weight, part.bias) if parameter is not None]


def _noise(part: Noise) -> _Layer:
    if part.mode == "sum":
        return "GaussianNoise", {"stddev": part.deviation}, []
    variance = part.deviation**2
    return "GaussianDropout", {"rate": variance / (1 + variance)}, []


_MODES = {"max": "Max", "mean": "Average"}
KINDS: dict[str, Callable[[Any], _Layer | None]] = {
    "Convolution": _convolution,
    "TransposedConvolution": _transposed,
    "Pooling": _pooling,
    "GlobalPooling": lambda part: (f"Global{_MODES[part.mode]}Pooling1D", {"keepdims": part.keepdims}, []),
    "ZeroPadding": _ends("ZeroPadding", "padding"),
    "Cropping": _ends("Cropping", "cropping"),
    "Upsampling": _upsampling,
    "BatchNorm": _batch_norm,
    "LayerNorm": _layer_norm,
    "Permute": lambda part: ("Permute", {"dims": list(part.dims)}, []),
    "Noise": _noise,
}
"""The function that makes the layer for each kind of node; it returns None if Keras has no such layer."""
