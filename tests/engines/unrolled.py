"""What the tests of unrolling share: sizes, values for the padding, and the comparison of nested states."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

I, H = 2, 3  # noqa: E741 (the letters of the equations)
NAN, INF = float("nan"), float("inf")


def tensors(value: Any) -> list[Tensor]:
    """The tensors in results or states, in order."""
    if isinstance(value, Tensor):
        return [value]
    values = value.values() if isinstance(value, dict) else value
    return [tensor for part in values for tensor in tensors(part)]


def assert_close(got: Any, expected: Any, atol: float = 1e-12) -> None:
    for a, b in zip(tensors(got), tensors(expected), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=atol)
