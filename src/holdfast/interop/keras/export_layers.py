"""What stands around recurrent layers in a network, as layers of Keras 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from holdfast.errors import ConversionError
from holdfast.interop.arrangement import Noise, Permute
from holdfast.interop.normalisation import BatchNorm, LayerNorm
from holdfast.interop.windows import (
    Convolution,
    GlobalPooling,
    Pooling,
    TransposedConvolution,
    Upsampling,
)

Layer = tuple[str, dict[str, Any], list[Tensor]]
"""The class of a layer of Keras, its options and its weights."""

KEEP_MASKS = ("BatchNorm", "LayerNorm", "Noise")
"""The kinds of nodes behind which Keras still has the mask that came before."""
KEEP_STEPS = (*KEEP_MASKS, "GlobalPooling")
"""Those behind which there are as many steps as before, or none."""


def layer(kind: str, part: Any, label: str) -> Layer:
    """The layer of Keras that does what a part of a network does.

    Args:
        kind: A name of :data:`KINDS`.
        part: The module.
        label: What it is called, for the message.

    Raises:
        ConversionError: Keras has none.
    """
    made = KINDS[kind](part)
    if made is None:
        raise ConversionError(f"{label} ({part}) has no counterpart in Keras.")
    return made


def steps(part: Any) -> int | None:
    """How many steps a part takes, if its parameters say it."""
    if isinstance(part, BatchNorm) and part.dim == 1:
        return int(part.running_mean.numel())
    if isinstance(part, LayerNorm) and 1 in part.dims and _given(part):
        return int(_given(part)[0].shape[part.dims.index(1)])
    return None


def _convolution(part: Convolution) -> Layer:
    own = part.layer
    config = {
        "filters": own.out_channels,
        "kernel_size": list(own.kernel_size),
        "strides": list(own.stride),
        "padding": part.padding,
        "dilation_rate": list(own.dilation),
        "groups": own.groups,
        "use_bias": own.bias is not None,
    }
    return f"Conv{len(own.kernel_size)}D", config, _kernel(own)


def _transposed(part: TransposedConvolution) -> Layer:
    own = part.layer
    config = {"filters": own.out_channels, "kernel_size": list(part.size), "strides": list(part.stride)}
    config |= {"padding": part.padding, "use_bias": own.bias is not None}
    return f"Conv{len(part.size)}DTranspose", config, _kernel(own)


def _kernel(own: Any) -> list[Tensor]:
    weights = [own.weight.detach().movedim((0, 1), (-1, -2)).contiguous()]
    return weights if own.bias is None else [*weights, own.bias.detach()]


def _pooling(part: Pooling) -> Layer | None:
    if part.padding == "causal":
        return None
    config = {"pool_size": list(part.size), "strides": list(part.stride), "padding": part.padding}
    return f"{_MODES[part.mode]}Pooling{len(part.size)}D", config, []


def _global_pooling(part: GlobalPooling) -> Layer:
    return f"Global{_MODES[part.mode]}Pooling1D", {"keepdims": part.keepdims}, []


def _ends(name: str, option: str) -> Callable[[Any], Layer]:
    def made(part: Any) -> Layer:
        pairs = [list(pair) for pair in part.around]
        return f"{name}{len(pairs)}D", {option: pairs[0] if len(pairs) == 1 else pairs}, []

    return made


def _upsampling(part: Upsampling) -> Layer:
    size = list(part.size)
    return f"UpSampling{len(size)}D", {"size": size[0] if len(size) == 1 else size}, []


def _batch_norm(part: BatchNorm) -> Layer:
    config = {"axis": part.dim, "momentum": 1 - part.momentum, "epsilon": part.eps}
    config |= {"scale": part.weight is not None, "center": part.bias is not None}
    return "BatchNormalization", config, [*_given(part), part.running_mean, part.running_var]


def _layer_norm(part: LayerNorm) -> Layer | None:
    dims = list(part.dims)
    config: dict[str, Any] = {"axis": dims[0] if len(dims) == 1 else dims, "epsilon": part.eps}
    if part.mode != "layer" and (part.weight is None or part.bias is not None):
        return None
    if part.mode == "rms":
        return "RMSNormalization", config, _given(part)
    config |= {"scale": part.weight is not None, "center": part.bias is not None}
    if part.mode == "variance":
        config["rms_scaling"] = True
    return "LayerNormalization", config, _given(part)


def _given(part: Any) -> list[Tensor]:
    return [one.detach() for one in (part.weight, part.bias) if one is not None]


def _permute(part: Permute) -> Layer:
    return "Permute", {"dims": list(part.dims)}, []


def _noise(part: Noise) -> Layer:
    if part.mode == "sum":
        return "GaussianNoise", {"stddev": part.deviation}, []
    variance = part.deviation**2
    return "GaussianDropout", {"rate": variance / (1 + variance)}, []


_MODES = {"max": "Max", "mean": "Average"}
KINDS: dict[str, Callable[[Any], Layer | None]] = {
    "Convolution": _convolution,
    "TransposedConvolution": _transposed,
    "Pooling": _pooling,
    "GlobalPooling": _global_pooling,
    "ZeroPadding": _ends("ZeroPadding", "padding"),
    "Cropping": _ends("Cropping", "cropping"),
    "Upsampling": _upsampling,
    "BatchNorm": _batch_norm,
    "LayerNorm": _layer_norm,
    "Permute": _permute,
    "Noise": _noise,
}
"""What makes a layer of each kind of node, or says by None that there is none."""
