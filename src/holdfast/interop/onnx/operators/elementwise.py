"""Operators that work element by element, activations among them."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from holdfast.cells.activations import ACTIVATIONS
from holdfast.errors import ShapeError
from holdfast.interop.onnx.element_types import ELEMENT_TYPES
from holdfast.interop.onnx.operators.registry import operator


@operator("Identity")
def identity(x: Tensor) -> Tensor:
    """The value itself."""
    return x


_UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "HardSwish": F.hardswish,
    "Mish": F.mish,
    "Not": torch.logical_not,
    "Softplus": ACTIVATIONS["softplus"],
    "Softsign": F.softsign,
}
_SAME_NAME = (
    "Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Erf Exp Floor IsNaN Log Neg Reciprocal Relu Round Sigmoid Sign "
    "Sin Sinh Sqrt Tan Tanh"
)
"""Operators that have the same name in torch, in lower case."""
for _name in [*_UNARY, *_SAME_NAME.split()]:
    operator(_name, like=identity)(_UNARY.get(_name) or getattr(torch, _name.lower()))


@operator("PRelu")
def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """Returns x; below zero, slope x."""
    return torch.where(x < 0, slope * x, x)


_BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Add": torch.add,
    "And": torch.logical_and,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "MatMul": torch.matmul,
    "Mul": torch.mul,
    "Or": torch.logical_or,
    "Sub": torch.sub,
    "Xor": torch.logical_xor,
}
for _name, _binary in _BINARY.items():
    operator(_name, like=prelu)(_binary)


@operator("Div")
def divide(a: Tensor, b: Tensor) -> Tensor:
    """The quotient a / b; for integers, rounded towards zero."""
    whole = not a.is_floating_point() and not b.is_floating_point()
    return torch.div(a, b, rounding_mode="trunc") if whole else a / b


@operator("Mod")
def modulo(a: Tensor, b: Tensor, *, fmod: int = 0) -> Tensor:
    """The remainder with the sign of ``b``; with ``fmod``, with the sign of ``a``."""
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


@operator("Pow")
def power(a: Tensor, b: Tensor) -> Tensor:
    """The power a^b, in the element type of ``a``."""
    return torch.pow(a, b).to(a.dtype)


@operator("Cast")
def cast(x: Tensor, *, to: int, saturate: int = 1) -> Tensor:
    """Converts to the element type of that number."""
    if to not in ELEMENT_TYPES:
        raise ShapeError(f"Cast got the element type {to}; expected one of {sorted(ELEMENT_TYPES)}.")
    return x.to(ELEMENT_TYPES[to].dtype)


@operator("CastLike")
def cast_like(x: Tensor, other: Tensor, *, saturate: int = 1) -> Tensor:
    """Converts to the element type of another value."""
    return x.to(other.dtype)


@operator("Clip")
def clip(x: Tensor, min: Tensor | float | None = None, max: Tensor | float | None = None) -> Tensor:
    """Clamps to the range from min to max."""
    for bound, function in ((min, torch.maximum), (max, torch.minimum)):
        if bound is not None:
            x = function(x, torch.as_tensor(bound, dtype=x.dtype, device=x.device))
    return x


@operator("Where")
def where(condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Returns x where the condition is true, y elsewhere."""
    return torch.where(condition, x, y)


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """An operator of any number of inputs, from a function of two."""

    def fold(first: Tensor, *others: Tensor) -> Tensor:
        return reduce(function, others, first)

    return fold


operator("Max")(_folded(torch.maximum))
operator("Min")(_folded(torch.minimum))
operator("Sum")(_folded(torch.add))


@operator("Mean")
def mean(*inputs: Tensor) -> Tensor:
    """The mean of the inputs."""
    return reduce(torch.add, inputs) / len(inputs)


@operator("Celu")
def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Returns x; below zero, alpha (exp(x / alpha) - 1) (Barron 2017)."""
    return F.celu(x, alpha)


@operator("Elu")
def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Returns x; below zero, alpha (exp(x) - 1)."""
    return F.elu(x, alpha)


@operator("Gelu")
def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """GELU, exact or with the tanh approximation."""
    return F.gelu(x, approximate=approximate)


@operator("HardSigmoid")
def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """clip(alpha x + beta, 0, 1)."""
    return torch.clamp(alpha * x + beta, 0, 1)


@operator("LeakyRelu")
def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """Returns x; below zero, alpha x."""
    return F.leaky_relu(x, alpha)


@operator("Selu")
def selu(x: Tensor, *, alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805) -> Tensor:
    """Returns gamma x; below zero, gamma alpha (exp(x) - 1) (Klambauer et al. 2017)."""
    return gamma * torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))


@operator("ThresholdedRelu")
def thresholded_relu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Returns x above alpha, 0 elsewhere."""
    return F.threshold(x, alpha, 0)
