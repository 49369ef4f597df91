"""Converts Keras's normalisations to nodes of a network."""

from __future__ import annotations

from holdfast.interop.keras.builder import Builder, Entry, Value, check_shape
from holdfast.interop.keras.model import Layer
from holdfast.interop.keras.options import Options


def _batch_norm(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    dims = _axes(options)
    if len(dims) != 1:
        raise options.refused("axis", dims, "one dimension")
    eps, momentum = options.number("epsilon", default=1e-3), options.number("momentum", default=0.99)
    scale, center = options.flag("scale", default=True), options.flag("center", default=True)
    for name in ("renorm_clipping", "renorm_momentum", "fused", "synchronized"):
        options.take(name)
    options.done()
    arrays = build.weights(layer, 2 + scale + center)
    names = [*["weight"] * scale, *["bias"] * center, "running_mean", "running_var"]
    features = arrays[-1].shape[0] if arrays[-1].ndim else 0
    for name, array in zip(names, arrays, strict=True):
        check_shape(layer, name.replace("_", " "), array, (features,))
    settings = {"num_features": features, "dim": dims[0], "eps": eps, "momentum": 1 - momentum}
    settings |= {"scale": scale, "center": center}
    return [build.apply(layer, "BatchNorm", inputs[0], settings, dict(zip(names, arrays, strict=True)))]


def _layer_norm(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    dims = _axes(options)
    rms = layer.kind == "RMSNormalization"
    eps = options.number("epsilon", default=1e-6 if rms else 1e-3)
    variance = not rms and options.flag("rms_scaling", default=False)
    scale = rms or options.flag("scale", default=True) or variance
    center = not rms and options.flag("center", default=True) and not variance
    options.done()
    arrays = build.weights(layer, scale + center)
    names = [*["weight"] * scale, *["bias"] * center]
    sizes = tuple(arrays[0].shape) if arrays else (1,) * len(dims)
    if len(sizes) != len(dims):
        check_shape(layer, "weight", arrays[0], (-1,) * len(dims))
    for name, array in zip(names, arrays, strict=True):
        check_shape(layer, name, array, sizes)
    mode = "rms" if rms else "variance" if variance else "layer"
    settings = {"shape": list(sizes), "dims": sorted(dims), "eps": eps, "mode": mode, "scale": scale, "center": center}
    return [build.apply(layer, "LayerNorm", inputs[0], settings, dict(zip(names, arrays, strict=True)))]


def _axes(options: Options) -> list[int]:
    value = options.take("axis", default=-1)
    axes = value if isinstance(value, list) else [value]
    if not axes or not all(type(axis) is int and axis and abs(axis) < 16 for axis in axes):
        raise options.damaged("axis", value, "a dimension other than the first, or several")
    return axes


LAYERS = {
    "BatchNormalization": Entry(_batch_norm),
    "LayerNormalization": Entry(_layer_norm),
    "RMSNormalization": Entry(_layer_norm),
}
