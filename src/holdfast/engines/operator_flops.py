"""How many floating-point operations the operators take, for ``torch.utils.flop_counter``: those of all products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from holdfast.engines.operator_arguments import spec_from

_CELL = 5  # the position of ``cell`` after the first three arguments


def forward_flops(inputs: Any, state: Any, parameters: Any, *others: Any, out_shape: Any = None, **_: Any) -> int:
    """Of ``holdfast::recurrent``; tensors are given by their shapes."""
    return sum(_products(inputs, parameters, others[_CELL]))


def backward_flops(inputs: Any, state: Any, parameters: Any, *others: Any, out_shape: Any = None, **_: Any) -> int:
    """Of ``holdfast::recurrent_backward``; its last argument says which gradients are wanted, the inputs' first."""
    input_product, step_products = _products(inputs, parameters, others[_CELL])
    return input_product * (2 if others[-1][0] else 1) + 2 * step_products


def _products(inputs: Sequence[int], parameters: Sequence[Sequence[int]], cell: str) -> tuple[int, int]:
    """Multiplications and additions of the input product and of the products in the loop, over all steps."""
    sizes = dict(zip(spec_from(cell).parameter_names, parameters, strict=True))
    rows = 2 * inputs[0] * inputs[1]  # with padding: lengths are values, and only shapes are known
    return rows * math.prod(sizes["weight_ih"]), rows * sum(
        math.prod(sizes[name]) for name in ("weight_hh", "weight_hr") if name in sizes
    )
