"""Size rules of operators that move, cut and join values."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from holdfast.errors import ShapeError
from holdfast.interop.onnx.graph import OnnxNode
from holdfast.interop.onnx.sizes.known import (
    MAX_DATA,
    UNKNOWN,
    Known,
    Size,
    axis_of,
    broadcast,
    elements,
    integers,
    left_out,
    product,
    rule,
)

_END = 2**31 - 1
"""A slice that ends here or later ends at the end of the values."""


@rule("Shape")
def _shape(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    if inputs[0].shape is None:
        return [Known((UNKNOWN,))]
    data = inputs[0].shape[node.attributes.get("start", 0) : node.attributes.get("end")]
    return [Known((Size(len(data)),), data)]


@rule("Size")
def _size(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    shape = inputs[0].shape
    return [Known((), (UNKNOWN if shape is None else product(shape),))]


@rule("Gather")
def _gather(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    x, indices = inputs[:2]
    if x.shape is None or indices.shape is None:
        return [Known(None, None, x.fill)]
    axis = axis_of(node.attributes.get("axis", 0), len(x.shape))
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    places = integers(node, inputs, 1, "")
    size = x.shape[axis].value
    for place in places or []:
        if size is not None and not -size <= place < size:
            raise ShapeError(f"asks for place {place} of {size}")
    data = None
    if x.data is not None and places is not None and len(x.shape) == 1 and len(indices.shape) < 2:
        data = tuple(x.data[place] for place in places)
    return [Known(shape, data, x.fill)]


@rule("Squeeze")
def _squeeze(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    x, axes = inputs[0], integers(node, inputs, 1, "axes")
    if x.shape is None or (axes is None and not left_out(node, 1, "axes")):
        return [Known(None, None, x.fill)]
    if axes is None:
        if any(size.value is None for size in x.shape):
            return [Known(None, None, x.fill)]
        return [Known(tuple(size for size in x.shape if size.value != 1), x.data, x.fill)]
    removed = {axis_of(axis, len(x.shape)) for axis in axes}
    for axis in removed:
        if x.shape[axis].value not in (None, 1):
            raise ShapeError(f"removes dimension {axis}, which has size {x.shape[axis].value}; expected 1")
    return [Known(tuple(size for axis, size in enumerate(x.shape) if axis not in removed), x.data, x.fill)]


@rule("Unsqueeze")
def _unsqueeze(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    x, axes = inputs[0], integers(node, inputs, 1, "axes")
    if x.shape is None or axes is None:
        return [Known(None, None, x.fill)]
    rank = len(x.shape) + len(axes)
    places = {axis_of(axis, rank) for axis in axes}
    if len(places) != len(axes):
        raise ShapeError(f"inserts a dimension twice: {axes}")
    sizes = iter(x.shape)
    shape = tuple(Size(1) if place in places else next(sizes) for place in range(rank))
    return [Known(shape, x.data if rank < 2 else None, x.fill)]


@rule("Slice")
def _slice(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    x = inputs[0]
    starts, ends, axes, steps = (
        integers(node, inputs, place, name) for place, name in enumerate(("starts", "ends", "axes", "steps"), 1)
    )
    if x.shape is None:
        return [Known(None, None, x.fill)]
    if axes is None and left_out(node, 3, "axes"):
        axes = list(range(len(starts or [])))
    if steps is None and left_out(node, 4, "steps"):
        steps = [1] * len(axes or [])
    if axes is None or not len(starts or axes) == len(ends or axes) == len(steps or axes) == len(axes):
        return [Known((UNKNOWN,) * len(x.shape), None, x.fill)]
    shape, data = list(x.shape), x.data
    for number, axis in enumerate(axis_of(axis, len(shape)) for axis in axes):
        if starts is None or ends is None or steps is None:
            shape[axis], data = UNKNOWN, None
            continue
        start, end, step = starts[number], ends[number], steps[number]
        if not step:
            raise ShapeError("takes every 0th value; expected a step other than 0")
        size = shape[axis]
        if size.value is not None:
            places = range(size.value)[start:end:step]
            shape[axis] = size if len(places) == size.value else Size(len(places), "", size.relies)
            data = None if data is None else tuple(data[place] for place in places)
        elif not (start == 0 and end >= _END and step == 1):
            # A size that the file leaves open is at least 1, so there is a last element.
            only_last = start == -1 and step == 1 and end >= _END and size.name
            shape[axis], data = Size(1) if only_last else UNKNOWN, None
    return [Known(tuple(shape), data, x.fill)]


@rule("Concat")
def _concat(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    fill = inputs[0].fill if len({x.fill for x in inputs}) == 1 else None
    shapes = [x.shape for x in inputs if x.shape is not None]
    if len(shapes) < len(inputs):
        return [Known(None, None, fill)]
    if len({len(shape) for shape in shapes}) > 1:
        raise ShapeError(f"joins values of {' and '.join(str(len(shape)) for shape in shapes)} dimensions")
    axis = axis_of(node.attributes.get("axis", 0), len(shapes[0]))
    shape = list(shapes[0])
    for other in shapes[1:]:
        for place, (a, b) in enumerate(zip(shape, other, strict=True)):
            if place == axis:
                both = a.value is not None and b.value is not None
                shape[place] = Size(a.value + b.value, "", a.relies | b.relies) if both else UNKNOWN  # type: ignore[operator]
            elif a.differs(b):
                raise ShapeError(f"joins values of sizes {a.value} and {b.value} along dimension {place}")
            elif a.value is None and b.value is not None:
                shape[place] = b
    parts = [x.data for x in inputs if x.data is not None]
    whole = len(shape) == 1 and len(parts) == len(inputs) and sum(map(len, parts)) <= MAX_DATA
    return [Known(tuple(shape), sum(parts, ()) if whole else None, fill)]


@rule("Transpose")
def _transpose(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    x = inputs[0]
    if x.shape is None:
        return [Known(None, None, x.fill)]
    perm = node.attributes.get("perm", list(range(len(x.shape)))[::-1])
    if sorted(perm) != list(range(len(x.shape))):
        raise ShapeError(f"puts {len(x.shape)} dimensions into the order {perm}")
    return [Known(tuple(x.shape[axis] for axis in perm), x.data, x.fill)]


@rule("Reshape")
def _reshape(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    x = inputs[0]
    target = inputs[1].data if len(inputs) > 1 else None
    if "shape" in node.attributes:
        target = tuple(Size(size) for size in node.attributes["shape"])
    if target is None:
        return [Known(_stated_shape(inputs[1]) if len(inputs) > 1 else None, None, x.fill)]
    shape = list(target)
    for place, size in enumerate(target):
        if size.value == 0 and not node.attributes.get("allowzero", 0):
            if x.shape is not None and place >= len(x.shape):
                raise ShapeError(f"keeps dimension {place} of a value with {len(x.shape)} dimensions")
            shape[place] = x.shape[place] if x.shape is not None else UNKNOWN
    computed = [place for place, size in enumerate(target) if size.value == -1]
    if len(computed) == 1:
        others = [size for place, size in enumerate(shape) if place != computed[0]]
        shape[computed[0]] = _quotient(x.shape, others) if x.shape is not None else UNKNOWN
    counts = elements(x.shape), elements(shape)
    if None not in counts and counts[0] != counts[1]:
        raise ShapeError(f"makes {counts[1]:,} elements of {counts[0]:,}")
    return [Known(tuple(shape), x.data if len(shape) < 2 else None, x.fill)]


def _quotient(sizes: Sequence[Size], others: Sequence[Size]) -> Size:
    """The size that, multiplied by the others, gives the product of the sizes."""
    above = [size for size in sizes if size.value != 1]
    below = [size for size in others if size.value != 1]
    for size in list(below):
        match = next((other for other in above if other.same(size)), None)
        if match is not None:
            above.remove(match)
            below.remove(size)
    if not below and len(above) == 1:
        return above[0]
    dividend, divisor = elements(above), elements(below)
    if dividend is None or divisor is None:
        return UNKNOWN
    if not divisor or dividend % divisor:
        raise ShapeError(f"cannot make {divisor:,} equal parts of {dividend:,} elements")
    return Size(dividend // divisor, "", product([*above, *below]).relies)


@rule("Flatten")
def _flatten(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    return [Known((UNKNOWN, UNKNOWN), None, inputs[0].fill)]


def _stated_shape(sizes: Known) -> tuple[Size, ...] | None:
    """The shape that a vector of sizes states."""
    if sizes.data is not None:
        return sizes.data
    rank = sizes.shape[0].value if sizes.shape else None
    return None if rank is None or rank > MAX_DATA else (UNKNOWN,) * rank


@rule("ConstantOfShape")
def _constant_of_shape(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    value = node.attributes.get("value")
    fill = 0.0 if value is None else float(value.flatten()[0]) if isinstance(value, Tensor) and value.numel() else None
    return [Known(_stated_shape(inputs[0]), None, fill)]


@rule("Expand")
def _expand(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    x, target = inputs[0], _stated_shape(inputs[1])
    shape = None if target is None or x.shape is None else broadcast([x.shape, target])
    return [Known(shape, None, x.data[0] if x.data is not None and len(x.data) == 1 else x.fill)]


@rule("Tile")
def _tile(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    shape, repeats = inputs[0].shape, integers(node, inputs, 1, "repeats")
    if shape is None or repeats is None or len(repeats) != len(shape):
        return [Known(None if shape is None else (UNKNOWN,) * len(shape), None, inputs[0].fill)]
    tiled = tuple(a if n == 1 else product([a, Size(n)]) for a, n in zip(shape, repeats, strict=True))
    return [Known(tiled, None, inputs[0].fill)]


@rule("Split")
def _split(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    x, sizes = inputs[0], integers(node, inputs, 1, "split")
    count = len(node.outputs)
    if x.shape is None:
        return [Known(None, None, x.fill)] * count
    axis = axis_of(node.attributes.get("axis", 0), len(x.shape))
    whole = x.shape[axis]
    if sizes is None and left_out(node, 1, "split") and whole.value is not None and not whole.value % count:
        sizes = [whole.value // count] * count
    if sizes is not None and (len(sizes) != count or (whole.value is not None and sum(sizes) != whole.value)):
        raise ShapeError(f"cuts {whole.value} elements into {sizes}")
    parts = [UNKNOWN] * count if sizes is None else [Size(size, "", whole.relies) for size in sizes]
    return [Known((*x.shape[:axis], size, *x.shape[axis + 1 :]), None, x.fill) for size in parts]
