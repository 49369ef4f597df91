"""Operations by elements on two tensors, and Python's operators on tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from holdfast.tf1.graph.convert import all_broadcast, convert_to_tensor, same_kind
from holdfast.tf1.graph.dtypes import boolean
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.names import public, publish
from holdfast.tf1.graph.tensors import OPERATORS, Tensor


def _binary(
    type_: str, compute: Callable[..., torch.Tensor], *names: str, compares: bool = False, steps: bool = False,
    says: str = "",
) -> Any:  # fmt: skip
    def function(x: Any, y: Any, name: str | None = None) -> Tensor:
        a, b = same_kind(x, y)
        dtype = boolean if compares else a.dtype
        return node(type_, compute, [a, b], dtype, all_broadcast([a, b]), name, gradient=not compares and not steps)

    function.__doc__ = says or f"``{type_}`` of x and y, by elements; their shapes are broadcast."
    function.__name__ = names[0].rsplit(".", 1)[-1]
    publish(function, *names)
    return function


def _quotient(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """As Python 2 divides: whole numbers to whole numbers, rounded down."""
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="floor")


def _first_of_equals(a: torch.Tensor, b: torch.Tensor, chosen: torch.Tensor, function: Any) -> torch.Tensor:
    """The larger or smaller value, with the gradient in the first of two equal ones; torch halves it."""
    if a.requires_grad or b.requires_grad:
        return torch.where(chosen | a.isnan(), a, b)
    return function(a, b)  # type: ignore[no-any-return]


add = _binary("Add", torch.add, "add")
subtract = _binary("Sub", torch.sub, "subtract", "sub")
multiply = _binary("Mul", torch.mul, "multiply", "mul")
div = _binary("Div", _quotient, "div", says="x / y; of whole numbers, rounded down.")
floordiv = _binary("FloorDiv", lambda a, b: torch.div(a, b, rounding_mode="floor"), "floordiv", "floor_div", steps=True)
mod = _binary("FloorMod", torch.remainder, "mod", "floormod")
power = _binary("Pow", torch.pow, "pow")
maximum = _binary("Maximum", lambda a, b: _first_of_equals(a, b, a >= b, torch.maximum), "maximum")
minimum = _binary("Minimum", lambda a, b: _first_of_equals(a, b, a <= b, torch.minimum), "minimum")
truncatediv = _binary("TruncateDiv", lambda a, b: torch.div(a, b, rounding_mode="trunc"), "truncatediv", steps=True)
truncatemod = _binary("TruncateMod", torch.fmod, "truncatemod", steps=True)
div_no_nan = _binary(
    "DivNoNan", lambda a, b: torch.where(b == 0, 0, a / torch.where(b == 0, 1, b)), "div_no_nan",
    says="x / y, and 0 where y is 0.",
)  # fmt: skip
squared_difference = _binary("SquaredDifference", lambda a, b: (a - b).square(), "squared_difference")
atan2 = _binary("Atan2", torch.atan2, "atan2")
less = _binary("Less", torch.lt, "less", compares=True)
less_equal = _binary("LessEqual", torch.le, "less_equal", compares=True)
greater = _binary("Greater", torch.gt, "greater", compares=True)
greater_equal = _binary("GreaterEqual", torch.ge, "greater_equal", compares=True)
equal = _binary("Equal", torch.eq, "equal", compares=True)
not_equal = _binary("NotEqual", torch.ne, "not_equal", compares=True)
logical_and = _binary("LogicalAnd", torch.logical_and, "logical_and", compares=True)
logical_or = _binary("LogicalOr", torch.logical_or, "logical_or", compares=True)
logical_xor = _binary("LogicalXor", torch.logical_xor, "logical_xor", compares=True)


@public("truediv", "divide", "realdiv")
def truediv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """X / y; of whole numbers, a fraction (float64)."""
    a, b = same_kind(x, y)
    dtype = a.dtype if a.dtype.is_floating else "float64"
    to = torch.float64

    def compute(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return p / q if p.is_floating_point() else p.to(to) / q.to(to)

    return node("RealDiv", compute, [a, b], dtype, all_broadcast([a, b]), name, gradient=a.dtype.is_floating)


@public("add_n")
def add_n(inputs: Any, name: str | None = None) -> Tensor:
    """The sum of tensors of one shape."""
    tensors = [convert_to_tensor(each) for each in (inputs if isinstance(inputs, list | tuple) else [inputs])]
    return node(
        "AddN", lambda *values: sum(values[1:], values[0]), tensors, tensors[0].dtype, all_broadcast(tensors), name
    )


def unary(
    type_: str, compute: Callable[..., torch.Tensor], *names: str, gradient: bool = True, dtype: Any = None
) -> Any:
    """A function of one tensor by elements, registered under its names."""

    def function(x: Any, name: str | None = None) -> Tensor:
        tensor = convert_to_tensor(x)
        return node(type_, compute, [tensor], dtype or tensor.dtype, tensor.sizes, name, gradient=gradient)

    function.__doc__ = f"``{type_}`` of x, by elements."
    function.__name__ = names[0].rsplit(".", 1)[-1]
    function.torch = compute  # type: ignore[attr-defined]  # a cell's activation
    publish(function, *names)
    return function


negative = unary("Neg", torch.neg, "negative", "neg")
absolute = unary("Abs", torch.abs, "abs", "complex_abs")
logical_not = unary("LogicalNot", torch.logical_not, "logical_not", gradient=False)
exp = unary("Exp", torch.exp, "exp")
log = unary("Log", torch.log, "log")
log1p = unary("Log1p", torch.log1p, "log1p")
expm1 = unary("Expm1", torch.expm1, "expm1")
sqrt = unary("Sqrt", torch.sqrt, "sqrt")
rsqrt = unary("Rsqrt", torch.rsqrt, "rsqrt")
square = unary("Square", torch.square, "square")
reciprocal = unary("Reciprocal", torch.reciprocal, "reciprocal", "inv")
sign = unary("Sign", torch.sign, "sign")
floor = unary("Floor", torch.floor, "floor", gradient=False)
ceil = unary("Ceil", torch.ceil, "ceil", gradient=False)
round_ = unary("Round", torch.round, "round", "rint", gradient=False)
sin = unary("Sin", torch.sin, "sin")
cos = unary("Cos", torch.cos, "cos")
tan = unary("Tan", torch.tan, "tan")
asin = unary("Asin", torch.asin, "asin")
acos = unary("Acos", torch.acos, "acos")
atan = unary("Atan", torch.atan, "atan")
erf = unary("Erf", torch.erf, "erf")
lgamma = unary("Lgamma", torch.lgamma, "lgamma")
tanh = unary("Tanh", torch.tanh, "tanh", "nn.tanh")
sigmoid = unary("Sigmoid", torch.sigmoid, "sigmoid", "nn.sigmoid")
sinh = unary("Sinh", torch.sinh, "sinh")
cosh = unary("Cosh", torch.cosh, "cosh")
asinh = unary("Asinh", torch.asinh, "asinh")
acosh = unary("Acosh", torch.acosh, "acosh")
atanh = unary("Atanh", torch.atanh, "atanh")
digamma = unary("Digamma", torch.digamma, "digamma")
erfc = unary("Erfc", torch.erfc, "erfc")
is_nan = unary("IsNan", torch.isnan, "is_nan", gradient=False, dtype=boolean)
is_inf = unary("IsInf", torch.isinf, "is_inf", gradient=False, dtype=boolean)
is_finite = unary("IsFinite", torch.isfinite, "is_finite", gradient=False, dtype=boolean)


def _swapped(function: Any) -> Any:
    return lambda x, y: function(y, x)


for _name, _function in (
    ("add", add), ("sub", subtract), ("mul", multiply), ("truediv", truediv), ("div", div), ("floordiv", floordiv),
    ("mod", mod), ("pow", power), ("and", logical_and), ("or", logical_or), ("xor", logical_xor),
):  # fmt: skip
    OPERATORS[f"__{_name}__"] = _function
    OPERATORS[f"__r{_name}__"] = _swapped(_function)
for _name, _function in (
    ("neg", negative), ("abs", absolute), ("invert", logical_not), ("lt", less), ("le", less_equal), ("gt", greater),
    ("ge", greater_equal),
):  # fmt: skip
    OPERATORS[f"__{_name}__"] = _function
