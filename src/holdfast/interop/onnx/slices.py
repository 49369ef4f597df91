"""Which values the slices and reshapes of a network take, by their attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.interop.network import Node

END = 2**31 - 1
"""A slice that ends here or later ends at the end of the values."""


def splits(node: Node, directions: int) -> bool:
    """Whether a part splits the outputs [B, T, D * H] of that number of directions D into [B, T, D, H]."""
    return node.options.get("op") == "Reshape" and list(node.options.get("shape", [])[:3]) == [0, 0, directions]


def takes_one(start: int, ends: Sequence[int], steps: Sequence[int]) -> bool:
    """Whether a slice takes a single place."""
    return list(steps) == [1] and (list(ends) == [start + 1] or (start == -1 and len(ends) == 1 and ends[0] >= END))


def last_of(node: Node) -> int | None:
    """The axis along which a slice takes the last place; None for another part."""
    cut = [list(node.options.get(name) or []) for name in ("axes", "starts", "ends")]
    if node.options.get("op") != "Slice" or any(len(numbers) != 1 for numbers in cut) or len(node.inputs) != 1:
        return None
    (axis,), (start,), ends = cut
    return int(axis) if start == -1 and takes_one(-1, ends, node.options.get("steps", [1])) else None


def takes_every(options: Mapping[str, Any]) -> bool:
    """Whether a slice takes all values, whatever the sizes."""
    starts, ends, steps = (list(options.get(name) or []) for name in ("starts", "ends", "steps"))
    return bool(ends) and not any(starts) and min(ends) >= END and all(step == 1 for step in steps)


def takes_all(options: Mapping[str, Any], count: int) -> bool:
    """Whether a slice takes all of a first dimension of that size."""
    cut = [options.get(name, [0 if name == "axes" else 1]) for name in ("axes", "starts", "ends", "steps")]
    if any(len(numbers) != 1 for numbers in cut) or cut[0] != [0]:
        return False
    (_,), (start,), (end,), (step,) = cut
    return bool(step) and list(range(count)[start:end:step]) == list(range(count))
