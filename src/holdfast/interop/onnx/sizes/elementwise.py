"""Size rules of operators that work element by element."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from holdfast.interop.onnx.graph import OnnxNode
from holdfast.interop.onnx.sizes.known import UNKNOWN, Known, Rule, Size, broadcast, rule

_SAME_SHAPE = (
    "Abs BatchNormalization Ceil Clip Cos CumSum Dropout Elu Erf Exp Floor Gelu HardSigmoid HardSwish "
    "InstanceNormalization IsNaN LayerNormalization LeakyRelu Log LogSoftmax Mish Neg PRelu Reciprocal "
    "Relu ReverseSequence Round ScatterElements ScatterND Selu Sigmoid Sign Sin Softmax Softplus Softsign "
    "Sqrt Tanh ThresholdedRelu Trilu"
)


@rule(*_SAME_SHAPE.split())
def _same_shape(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    return [Known(inputs[0].shape)] * len(node.outputs)


@rule("Identity")
def _identity(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    return [inputs[0]]


@rule("Cast")
def _cast(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    x = inputs[0]
    if node.attributes.get("to") != 9:
        return [x]
    return [Known(x.shape, _mapped(x.data, bool))]  # to truth values


@rule("Not")
def _not(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    return [Known(inputs[0].shape, _mapped(inputs[0].data, lambda value: not value))]


def _mapped(data: tuple[Size, ...] | None, function: Callable[[int], bool]) -> tuple[Size, ...] | None:
    if data is None:
        return None
    return tuple(UNKNOWN if a.value is None else Size(int(function(a.value)), "", a.relies) for a in data)


def _elementwise(function: Callable[[int, int], int] | None) -> Rule:
    """The rule of an operator of several inputs; ``function`` computes it for two whole numbers, if it can."""

    def apply(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
        shapes = [x.shape for x in inputs]
        shape = None if None in shapes else broadcast(shapes)  # type: ignore[arg-type]
        data = None
        if function and len(inputs) == 2 and shape is not None and len(shape) < 2:
            a, b = inputs[0].data, inputs[1].data
            if a is not None and b is not None and (len(a) == len(b) or 1 in (len(a), len(b))):
                count = max(len(a), len(b)) if min(len(a), len(b)) else 0
                pairs = zip(a * (count if len(a) == 1 else 1), b * (count if len(b) == 1 else 1), strict=True)
                data = tuple(_computed(function, *pair) for pair in pairs)
        return [Known(shape, data)]

    return apply


def _computed(function: Callable[[int, int], int], a: Size, b: Size) -> Size:
    if a.value is None or b.value is None:
        # A size that the file leaves open is at least 1.
        small, large = (b, a) if function is operator.gt else (a, b)
        positive = function in (operator.lt, operator.gt) and small.value == 0 and bool(large.name)
        return Size(1) if positive or (function is operator.eq and a.same(b)) else UNKNOWN
    if function is operator.floordiv and (not b.value or a.value % b.value):
        return UNKNOWN  # integers are rounded, floating-point numbers are not
    return Size(int(function(a.value, b.value)), "", a.relies | b.relies)


_FUNCTIONS: dict[str, Callable[[int, int], int] | None] = {
    "Add": operator.add,
    "And": lambda a, b: bool(a and b),
    "Div": operator.floordiv,
    "Equal": operator.eq,
    "Greater": operator.gt,
    "GreaterOrEqual": operator.ge,
    "Less": operator.lt,
    "LessOrEqual": operator.le,
    "Max": max,
    "Min": min,
    "Mul": operator.mul,
    "Or": lambda a, b: bool(a or b),
    "Sub": operator.sub,
    **dict.fromkeys(("Mean", "Mod", "Pow", "Sum", "Where", "Xor")),
}
for _op, _function in _FUNCTIONS.items():
    rule(_op)(_elementwise(_function))
