"""Converts Keras's attention layers to nodes of a network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from holdfast.errors import ConversionError
from holdfast.interop.keras.builder import Builder, Entry, Value, check_shape
from holdfast.interop.keras.model import Layer, Reference


def _attention(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    additive = layer.kind == "AdditiveAttention"
    scaled = options.flag("use_scale", default=additive)
    score = "additive" if additive else options.take("score_mode", default="dot")
    causal = options.flag("causal", default=False) or _keyword(layer, "use_causal_mask")
    dropout = options.rate("dropout")
    options.done()
    if score not in ("dot", "concat", "additive"):
        raise options.refused("score_mode", score, "dot or concat")
    if len(inputs) not in (2, 3):
        raise ConversionError(f"{layer.label} is called with {len(inputs)} inputs; expected query, value, and a key.")
    arrays = build.weights(layer, scaled + (score == "concat"))
    tensors = dict(zip([*["scale"] * scaled, *["weight"] * (score == "concat")], arrays, strict=True))
    width = inputs[0].width if inputs[0].width is not None or not additive or not scaled else arrays[0].numel()
    for name, array in tensors.items():
        check_shape(layer, name, array, (width or 0,) if additive else ())
    settings = {"score": score, "scale": list(arrays[0].shape) if scaled else None, "causal": causal}
    values = [inputs[0].name, inputs[1].name, inputs[2].name if len(inputs) > 2 else ""]
    return _add_node(
        build, layer, [*values, inputs[0].mask, inputs[1].mask], {**settings, "dropout": dropout}, tensors, inputs
    )


def _multi_head(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    heads, key_size = options.size("num_heads"), options.size("key_dim")
    value_size = options.whole("value_dim", default=key_size)
    bias, dropout = options.flag("use_bias", default=True), options.rate("dropout")
    shape, axes = options.take("output_shape"), options.take("attention_axes")
    for name in ("query_shape", "key_shape", "value_shape", "flash_attention"):
        options.take(name)
    options.done()
    if axes not in (None, 1, [1]):
        raise options.refused("attention_axes", axes, "the steps, [1]")
    if isinstance(shape, list) and len(shape) > 1:
        raise options.refused("output_shape", shape, "one size")
    query, value, key = _query_value_key(build, layer, inputs)
    arrays = build.weights(layer, 4 * (1 + bias))
    parts = {name: arrays[n * (1 + bias) : (n + 1) * (1 + bias)] for n, name in enumerate(_PROJECTIONS)}
    sizes: dict[str, tuple[int, ...]] = {
        "query": (heads, key_size),
        "key": (heads, key_size),
        "value": (heads, value_size),
    }
    tensors, widths = {}, {}
    for name, head_shape in sizes.items():
        kernel = parts[name][0]
        widths[name] = kernel.shape[0] if kernel.ndim else 0
        check_shape(layer, f"{name} kernel", kernel, (widths[name], *head_shape))
        tensors[f"{name}.weight"] = kernel.flatten(1).T.contiguous()
    kernel = parts["output"][0]
    width = kernel.shape[-1] if kernel.ndim else 0
    check_shape(layer, "output kernel", kernel, (heads, value_size, width))
    tensors["output.weight"] = kernel.flatten(0, 1).T.contiguous()
    if bias:
        for name, head_shape in {**sizes, "output": (width,)}.items():
            check_shape(layer, f"{name} bias", parts[name][1], head_shape)
            tensors[f"{name}.bias"] = parts[name][1].flatten()
    implicit = build.model.since(2, 10)  # before, only a mask in the call counts
    masks = [argument.mask if implicit else "" for argument in (query, value)] + [key.mask if key and implicit else ""]
    mask = layer.keywords.get("attention_mask")
    masks.append(build.value(mask, state=False).name if isinstance(mask, Reference) else "")
    settings = {
        "heads": heads,
        "sizes": [widths["query"], widths["value"], widths["key"]],
        "key_size": key_size,
        "value_size": value_size,
        "output_size": width,
        "bias": bias,
        "causal": _keyword(layer, "use_causal_mask"),
        "dropout": dropout,
        "unseen": "zero" if build.model.major >= 3 else "all",
    }
    values = [query.name, value.name, key.name if key else ""]
    output = replace(query, mask=query.mask if implicit else "", width=width)
    return _add_node(build, layer, values + masks, settings, tensors, [output])


_PROJECTIONS = ("query", "key", "value", "output")


def _query_value_key(build: Builder, layer: Layer, inputs: list[Value]) -> tuple[Value, Value, Value | None]:
    """Query, value and key, given as positional or keyword arguments."""
    arguments = list(inputs)
    for place, name in enumerate(("query", "value", "key")):
        argument = layer.keywords.get(name)
        if isinstance(argument, Reference):
            arguments[place:] = [build.value(argument, state=False)]
        mask = layer.keywords.get(f"{name}_mask")
        if place and place < len(arguments) and isinstance(mask, Reference):
            arguments[place] = build.with_mask(arguments[place], mask)
    if len(arguments) not in (2, 3):
        raise ConversionError(
            f"{layer.label} is called with {len(arguments)} inputs; expected query, value, and a key."
        )
    return arguments[0], arguments[1], arguments[2] if len(arguments) > 2 else None


def _add_node(
    build: Builder,
    layer: Layer,
    values: list[str],
    settings: dict[str, Any],
    tensors: dict[str, Any],
    inputs: list[Value],
) -> list[Value]:
    """Adds the node; returns its output with the mask of the query, and the weights if the call asks for them."""
    while not values[-1]:
        values.pop()
    scores = f"{layer.name}/scores" if _keyword(layer, "return_attention_scores") else ""
    outputs = (layer.name, scores) if scores else (layer.name,)
    kind = "MultiHeadAttention" if layer.kind == "MultiHeadAttention" else "Attention"
    build.node(layer.name, kind, tuple(values), settings, outputs, tensors)
    width = inputs[0].width if kind == "MultiHeadAttention" else inputs[1].width
    output = Value(layer.name, inputs[0].mask, width)
    return [output, Value(scores)] if scores else [output]


def _keyword(layer: Layer, name: str) -> bool:
    return bool(layer.keywords.get(name, False))


LAYERS = {
    "Attention": Entry(_attention, several=True),
    "AdditiveAttention": Entry(_attention, several=True),
    "MultiHeadAttention": Entry(_multi_head, several=True),
}
