"""Converts Keras's layers with several inputs, with the masks of their outputs, and the operations of Keras 3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from holdfast.errors import ConversionError
from holdfast.interop.keras.builder import Builder, Entry, Value, identity
from holdfast.interop.keras.model import Layer
from holdfast.interop.selection import READ_LAYERS

_MODES = {
    "Concatenate": "concat",
    "Add": "sum",
    "Average": "mean",
    "Multiply": "product",
    "Subtract": "difference",
    "Maximum": "max",
    "Minimum": "min",
}
_OLD_MODES = {"concat": "concat", "sum": "sum", "ave": "mean", "mul": "product", "max": "max"}


def _merge(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    if layer.kind == "Merge":  # of Keras 1
        old_mode = options.take("mode", default="sum")
        for name in ("mode_type", "dot_axes", "arguments", "output_shape_type", "output_mask_type"):
            options.take(name)
        if old_mode not in _OLD_MODES:
            raise options.refused("mode", old_mode, f"one of {', '.join(_OLD_MODES)}")
        mode = _OLD_MODES[old_mode]
    else:
        mode = _MODES[layer.kind]
    axis = options.take("axis", "concat_axis", default=-1)
    options.done()
    if type(axis) is not int or not axis or abs(axis) > 16:
        raise options.damaged("axis", axis, "a dimension other than the first")
    mask = _mask(build, layer, inputs, mode, axis)
    if mode in ("max", "min") and build.model.since(3, 4) and any(value.mask for value in inputs):
        return [replace(_extreme(build, layer, inputs, mode), mask=mask)]
    if mode == "product" and build.model.since(3, 4):
        inputs = [_filled(build, f"{layer.name}/ones {n}", x, x.mask, 1.0) for n, x in enumerate(inputs)]
    widths = [value.width for value in inputs if value.width is not None]
    width = None
    if len(widths) == len(inputs):
        width = sum(widths) if mode == "concat" and axis in (-1, 2) else widths[0] if mode == "concat" else max(widths)
    settings = {"mode": mode, "dim": axis} if mode == "concat" else {"mode": mode}
    masked = mode == "product" and mask and build.model.since(3, 4)
    name = layer.name if not masked else f"{layer.name}/product"
    build.node(name, "Merge", tuple(value.name for value in inputs), settings)
    merged = Value(name, mask, width)
    return [_filled(build, layer.name, merged, mask, 0.0) if masked else merged]


def _filled(build: Builder, name: str, value: Value, mask: str, number: float) -> Value:
    """A value with a number at the masked steps."""
    if not mask:
        return value
    return replace(value, name=build.node(name, "Fill", (value.name, mask), {"value": number}))


def _extreme(build: Builder, layer: Layer, inputs: list[Value], mode: str) -> Value:
    """The maximum or minimum over the inputs whose steps count."""
    result = inputs[0]
    for number, value in enumerate(inputs[1:]):
        place = f"{layer.name}/{number}"
        if value.mask:
            filled = build.node(f"{place} second", "Fill", (value.name, value.mask, result.name))
            value = replace(value, name=filled)
        if result.mask:
            filled = build.node(f"{place} first", "Fill", (result.name, result.mask, value.name))
            result = replace(result, name=filled)
        both, mask = (result.mask, value.mask), ""
        if all(both):
            mask = both[0] if both[0] == both[1] else build.node(f"{place} mask", "Logic", both, {"op": "or"})
        name = layer.name if number == len(inputs) - 2 else place
        result = replace(result, name=build.node(name, "Merge", (result.name, value.name), {"mode": mode}), mask=mask)
    return result


def _mask(build: Builder, layer: Layer, inputs: list[Value], mode: str, axis: int) -> str:
    """The mask of several merged values, by the rules of each version of Keras; empty for none."""
    masks = [value.mask for value in inputs]
    if not any(masks) or (len(set(masks)) == 1 and not (mode == "concat" and axis == 1)):
        return masks[0]
    names = iter(f"{layer.name}/mask {number}" for number in range(3 * len(inputs)))
    any_counts = build.model.since(3, 4)  # a step counts if it counts in any input; before, if in all
    if mode == "concat":
        every = [
            mask or _full_mask(build, value, f"{layer.name}/all {n}")
            for n, (mask, value) in enumerate(zip(masks, inputs, strict=True))
        ]
        if axis == 1:
            return build.node(next(names), "Logic", tuple(every), {"op": "concat", "dim": 1})
        masks = every
    elif any_counts and not all(masks):
        return ""
    present = [mask for mask in masks if mask]
    merged = present[0]
    for mask in present[1:]:
        merged = build.node(next(names), "Logic", (merged, mask), {"op": "or" if any_counts else "and"})
    return merged


def _full_mask(build: Builder, value: Value, name: str) -> str:
    """A mask in which every step counts."""
    same = build.node(f"{name}/true", "Logic", (value.name,), {"op": "true"})
    return build.node(name, "Logic", (same,), {"op": "any", "dim": -1})


def _dot(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = build.options(layer)
    axes, normalize = options.take("axes"), options.flag("normalize", default=False)
    options.done()
    pair = [axes, axes] if type(axes) is int else axes
    if not isinstance(pair, list) or len(pair) != 2 or not all(type(n) is int and n and abs(n) < 16 for n in pair):
        raise options.damaged("axes", axes, "a dimension other than the first, or one of each input")
    if len(inputs) != 2:
        raise ConversionError(f"{layer.label} is called with {len(inputs)} inputs; expected two.")
    settings = {"dims": pair, "normalize": normalize}
    return [Value(build.node(layer.name, "Dot", (inputs[0].name, inputs[1].name), settings))]


# Operations, which a Functional model of Keras 3 may have between its layers.


def _compared(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    if len(layer.constants) != 1 or type(layer.constants[0]) not in (int, float) or len(inputs) != 1:
        raise ConversionError(f"{layer.label} compares two values of the model, which is not converted. {READ_LAYERS}")
    number = float(layer.constants[0])
    build.node(layer.name, "Logic", (inputs[0].name,), {"op": "not_equal", "value": number})
    build.tests[layer.name] = (inputs[0].name, number)
    return [Value(layer.name)]


def _logic(op: str, count: int = 1, *, along: bool = False) -> Entry:
    def make(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
        options = build.options(layer)
        settings: dict[str, Any] = {"op": op}
        if along:
            settings["dim"] = _axis(layer, options.take("axis", default=-1))
            settings |= {"keepdim": True} if options.take("keepdims") else {}
        if count and len(inputs) != count:
            raise ConversionError(f"{layer.label} takes {len(inputs)} values of the model; expected {count}.")
        build.node(layer.name, "Logic", tuple(one.name for one in inputs), settings)
        if op == "any" and inputs[0].name in build.tests and settings["dim"] == -1 and "keepdim" not in settings:
            build.tests[layer.name] = build.tests[inputs[0].name]
        return [Value(layer.name)]

    return Entry(make, several=True)


def _arithmetic(mode: str) -> Entry:
    def make(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
        if len(inputs) < 2:
            raise ConversionError(
                f"{layer.label} computes with a number, which is not converted: expected only values of the model. "
                f"{READ_LAYERS}"
            )
        widths = {one.width for one in inputs}
        name = build.node(layer.name, "Merge", tuple(one.name for one in inputs), {"mode": mode})
        return [Value(name, width=widths.pop() if len(widths) == 1 else None)]

    return Entry(make, several=True)


def _concatenated(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    """Concatenated masks or values."""
    settings = {"mode": "concat", "dim": _axis(layer, build.options(layer).take("axis", default=-1))}
    return [Value(build.node(layer.name, "Merge", tuple(one.name for one in inputs), settings))]


def _item(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    """``x[:, -1]`` and the like."""
    key = layer.constants[0] if len(layer.constants) == 1 else None
    places = [_place(layer, index) for index in (key if isinstance(key, list) else [key])]
    name = build.node(layer.name, "Index", (inputs[0].name,), {"places": places})
    keeps_width = len(places) < 3 and all(not isinstance(place, int) for place in places[:1])
    return [Value(name, width=inputs[0].width if keeps_width else None)]


def _place(layer: Layer, index: Any) -> int | list[int | None]:
    """An index or a slice of one dimension, as :class:`~holdfast.interop.arrangement.Index` takes it."""
    if type(index) is int:
        return index
    config = index.get("config") if isinstance(index, dict) and index.get("class_name") == "__slice__" else None
    ends = [config.get(name) for name in ("start", "stop", "step")] if isinstance(config, dict) else []
    if not ends or not all(n is None or type(n) is int for n in ends) or (ends[2] or 1) < 1:
        raise ConversionError(
            f"{layer.label} selects values in a way that is not converted; expected numbers and forward slices. "
            f"{READ_LAYERS}"
        )
    return ends


def _axis(layer: Layer, value: Any) -> int:
    if type(value) is not int or abs(value) > 16:
        raise ConversionError(f"{layer.label} has axis={str(value)[:80]!r}; expected one whole number.")
    return value


LAYERS: dict[str, Entry] = {
    **{kind: Entry(_merge, several=True) for kind in (*_MODES, "Merge")},
    "Dot": Entry(_dot, several=True),
    "ops.NotEqual": Entry(_compared, several=True),
    "ops.Any": _logic("any", along=True),
    "ops.All": _logic("all", along=True),
    "ops.LogicalOr": _logic("or", 2),
    "ops.LogicalAnd": _logic("and", 2),
    "ops.LogicalNot": _logic("not"),
    "ops.ExpandDims": _logic("unsqueeze", along=True),
    "ops.ZerosLike": _logic("false"),
    "ops.OnesLike": _logic("true"),
    "ops.ConvertToTensor": Entry(identity),
    "ops.Concatenate": Entry(_concatenated, several=True),
    "ops.GetItem": Entry(_item, several=True),
    **{f"ops.{kind}": _arithmetic(mode) for kind, mode in _MODES.items() if kind in ("Add", "Subtract", "Multiply")},
    **{f"ops.{kind}": _arithmetic(kind[:3].lower()) for kind in ("Maximum", "Minimum")},
}
