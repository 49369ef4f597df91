"""A rule for each operator: what is known of its outputs when something is known of its inputs.

A rule that finds sizes that cannot go together raises :class:`~holdfast.errors.ShapeError`, whose text follows the name
of the node.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from holdfast.errors import ShapeError
from holdfast.interop.onnx import layer_sizes as onnx_layer_sizes
from holdfast.interop.onnx.elementwise_sizes import BINARY, Rule, elementwise
from holdfast.interop.onnx.graph import OnnxNode
from holdfast.interop.onnx.sizes import (
    MAX_DATA,
    UNKNOWN,
    Known,
    Size,
    axis_of,
    broadcast,
    elements,
    integers,
    left_out,
)


def _same(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    return [Known(known[0].shape)] * len(node.outputs)


def _passed_on(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    return [known[0]]


def _cast(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    to_truth = node.attributes.get("to") == 9
    data = known[0].data
    if data is not None and to_truth:
        data = tuple(one if one.value is None else Size(int(one.value != 0), "", one.relies) for one in data)
        data = tuple(UNKNOWN if one.value is None else one for one in data)
    return [Known(known[0].shape, data, None if to_truth else known[0].fill)]


def _not(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    data = known[0].data
    return [
        Known(
            known[0].shape,
            None
            if data is None
            else tuple(UNKNOWN if a.value is None else Size(int(not a.value), "", a.relies) for a in data),
        )
    ]


def _where(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    return [elementwise()(node, known)[0]]


def _shape(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    if known[0].shape is None:
        return [Known((UNKNOWN,))]
    data = known[0].shape[node.attributes.get("start", 0) : node.attributes.get("end")]
    return [Known((Size(len(data)),), data)]


def _size(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    shape, count = known[0].shape, elements(known[0].shape)
    relies = frozenset[str]().union(*(one.relies for one in shape or ()))
    return [Known((), (UNKNOWN if count is None else Size(count, "", relies),))]


def _gather(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    x, places = known[:2]
    if x.shape is None or places.shape is None:
        return [Known(None, None, x.fill)]
    axis = axis_of(node.attributes.get("axis", 0), len(x.shape))
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    chosen = integers(node, known, 1, "")
    size = x.shape[axis].value
    for place in chosen or []:
        if size is not None and not -size <= place < size:
            raise ShapeError(f"is asked for place {place} of {size}")
    data = None
    if x.data is not None and chosen is not None and len(x.shape) == 1 and len(places.shape) < 2:
        data = tuple(x.data[place] for place in chosen)
    return [Known(shape, data, x.fill)]


def _squeeze(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    x, axes = known[0], integers(node, known, 1, "axes")
    if x.shape is None or (axes is None and not left_out(node, 1, "axes")):
        return [Known(None, None, x.fill)]
    if axes is None:
        if any(size.value is None for size in x.shape):
            return [Known(None, None, x.fill)]
        return [Known(tuple(size for size in x.shape if size.value != 1), x.data, x.fill)]
    gone = {axis_of(axis, len(x.shape)) for axis in axes}
    for axis in gone:
        if x.shape[axis].value not in (None, 1):
            raise ShapeError(f"takes dimension {axis} away, which has size {x.shape[axis].value}; expected 1")
    return [Known(tuple(size for axis, size in enumerate(x.shape) if axis not in gone), x.data, x.fill)]


def _unsqueeze(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    x, axes = known[0], integers(node, known, 1, "axes")
    if x.shape is None or axes is None:
        return [Known(None, None, x.fill)]
    rank = len(x.shape) + len(axes)
    places = {axis_of(axis, rank) for axis in axes}
    if len(places) != len(axes):
        raise ShapeError(f"puts in a dimension twice: {axes}")
    left = iter(x.shape)
    shape = tuple(Size(1) if place in places else next(left) for place in range(rank))
    return [Known(shape, x.data if rank < 2 else None, x.fill)]


def _slice(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    x = known[0]
    starts, ends = integers(node, known, 1, "starts"), integers(node, known, 2, "ends")
    axes = integers(node, known, 3, "axes")
    steps = integers(node, known, 4, "steps")
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
            places = _within(size.value, start, end, step)
            shape[axis] = size if len(places) == size.value else Size(len(places), "", size.relies)
            data = None if data is None else tuple(data[place] for place in places)
        elif not (start == 0 and end >= 2**31 - 1 and step == 1):
            # A size that the file leaves open is 1 at least: there is a last element.
            last = start == -1 and step == 1 and end >= 2**31 - 1 and size.name
            shape[axis], data = Size(1) if last else UNKNOWN, None
    return [Known(tuple(shape), data, x.fill)]


def _within(count: int, start: int, end: int, step: int) -> range:
    """The places that a slice takes."""
    return range(count)[start:end:step]


def _concat(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    fill = known[0].fill if len({one.fill for one in known}) == 1 else None
    shapes = [one.shape for one in known if one.shape is not None]
    if len(shapes) < len(known):
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
            elif a.value is not None and b.value is not None and a.value != b.value:
                raise ShapeError(f"joins values of sizes {a.value} and {b.value} along dimension {place}")
            elif a.value is None and b.value is not None:
                shape[place] = b
    parts = [one.data for one in known if one.data is not None]
    whole = len(shape) == 1 and len(parts) == len(known) and sum(map(len, parts)) <= MAX_DATA
    return [Known(tuple(shape), sum(parts, ()) if whole else None, fill)]


def _transpose(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    shape = known[0].shape
    if shape is None:
        return [Known(None, None, known[0].fill)]
    perm = node.attributes.get("perm", list(range(len(shape)))[::-1])
    if sorted(perm) != list(range(len(shape))):
        raise ShapeError(f"puts {len(shape)} dimensions into the order {perm}")
    return [Known(tuple(shape[axis] for axis in perm), known[0].data, known[0].fill)]


def _reshape(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    x = known[0]
    target = known[1].data if len(known) > 1 else None
    if "shape" in node.attributes:
        target = tuple(Size(one) for one in node.attributes["shape"])
    if target is None:
        rank = known[1].shape[0].value if len(known) > 1 and known[1].shape else None
        return [Known(None if rank is None or rank > MAX_DATA else (UNKNOWN,) * rank, None, x.fill)]
    shape = list(target)
    for place, size in enumerate(target):
        if size.value == 0 and not node.attributes.get("allowzero", 0):
            if x.shape is not None and place >= len(x.shape):
                raise ShapeError(f"keeps dimension {place} of a value with {len(x.shape)} dimensions")
            shape[place] = x.shape[place] if x.shape is not None else UNKNOWN
    open_ = [place for place, size in enumerate(target) if size.value == -1]
    if len(open_) == 1:
        rest = [size for place, size in enumerate(shape) if place != open_[0]]
        shape[open_[0]] = _left_over(x.shape, rest) if x.shape is not None else UNKNOWN
    counts = elements(x.shape), elements(shape)
    if None not in counts and counts[0] != counts[1]:
        raise ShapeError(f"makes {counts[1]:,} elements of {counts[0]:,}")
    return [Known(tuple(shape), x.data if len(shape) < 2 else None, x.fill)]


def _left_over(whole: Sequence[Size], rest: Sequence[Size]) -> Size:
    """The size that is left when a shape of sizes is parted into others."""
    left = [size for size in whole if size.value != 1]
    others = [size for size in rest if size.value != 1]
    for size in list(others):
        match = next((one for one in left if one.same(size)), None)
        if match is not None:
            left.remove(match)
            others.remove(size)
    if not others and len(left) == 1:
        return left[0]
    above, below = elements(left), elements(others)
    if above is None or below is None:
        return UNKNOWN
    if not below or above % below:
        raise ShapeError(f"cannot make {below:,} equal parts of {above:,} elements")
    return Size(above // below, "", frozenset[str]().union(*(size.relies for size in (*left, *others))))


def _flatten(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    return [Known((UNKNOWN, UNKNOWN), None, known[0].fill)]


def _sized(known: Known, fill: float | Size | None) -> Known:
    """A value of one number whose sizes another value gives."""
    if known.data is not None:
        return Known(known.data, None, fill)
    rank = known.shape[0].value if known.shape else None
    return Known(None if rank is None or rank > MAX_DATA else (UNKNOWN,) * rank, None, fill)


def _constant_of_shape(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    value = node.attributes.get("value")
    fill = 0.0 if value is None else float(value.flatten()[0]) if isinstance(value, Tensor) and value.numel() else None
    return [_sized(known[0], fill)]


def _expand(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    wide = _sized(known[1], None).shape
    x = known[0]
    shape = None if wide is None or x.shape is None else broadcast([x.shape, wide])
    return [Known(shape, None, x.data[0] if x.data is not None and len(x.data) == 1 else x.fill)]


def _tile(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    shape, times = known[0].shape, integers(node, known, 1, "repeats")
    if shape is None or times is None or len(times) != len(shape):
        return [Known(None if shape is None else (UNKNOWN,) * len(shape), None, known[0].fill)]
    pairs = zip(shape, times, strict=True)
    wide = tuple(a if n == 1 else UNKNOWN if a.value is None else Size(a.value * n, "", a.relies) for a, n in pairs)
    return [Known(wide, None, known[0].fill)]


def _split(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    x, sizes = known[0], integers(node, known, 1, "split")
    count = len(node.outputs)
    if x.shape is None:
        return [Known(None, None, x.fill)] * count
    axis = axis_of(node.attributes.get("axis", 0), len(x.shape))
    whole = x.shape[axis]
    if sizes is None and left_out(node, 1, "split") and whole.value is not None and not whole.value % count:
        sizes = [whole.value // count] * count
    if sizes is not None and (len(sizes) != count or (whole.value is not None and sum(sizes) != whole.value)):
        raise ShapeError(f"cuts {whole.value} elements into {sizes}")
    every = [UNKNOWN] * count if sizes is None else [Size(size, "", whole.relies) for size in sizes]
    return [Known((*x.shape[:axis], size, *x.shape[axis + 1 :]), None, x.fill) for size in every]


_UNARY = (
    "Abs BatchNormalization Ceil Clip Cos CumSum Dropout Elu Erf Exp Floor Gelu HardSigmoid HardSwish "
    "InstanceNormalization IsNaN LayerNormalization LeakyRelu Log LogSoftmax Mish Neg PRelu Reciprocal "
    "Relu ReverseSequence Round ScatterElements ScatterND Selu Sigmoid Sign Sin Softmax Softplus Softsign "
    "Sqrt Tanh ThresholdedRelu Trilu"
)
_REDUCTIONS = "ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare"
RULES: dict[str, Rule] = {
    **dict.fromkeys(_UNARY.split(), _same),
    **{op: elementwise(function) for op, function in BINARY.items()},
    **dict.fromkeys(_REDUCTIONS.split(), onnx_layer_sizes.reduced),
    **dict.fromkeys(("ArgMax", "ArgMin"), onnx_layer_sizes.chosen_place),
    **dict.fromkeys(
        ("AveragePool", "Conv", "ConvTranspose", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"),
        onnx_layer_sizes.windows,
    ),
    **dict.fromkeys(("Pad", "Resize"), onnx_layer_sizes.same_rank),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), onnx_layer_sizes.recurrent),
    "Cast": _cast,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": onnx_layer_sizes.gemm,
    "Identity": _passed_on,
    "MatMul": onnx_layer_sizes.matmul,
    "Not": _not,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
"""What each operator's outputs are known to be; of another operator's nothing is known."""
