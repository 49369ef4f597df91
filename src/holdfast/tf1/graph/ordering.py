"""The largest values, and values in order."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from holdfast.tf1.graph.convert import convert_to_tensor, known_value
from holdfast.tf1.graph.dtypes import boolean, int32
from holdfast.tf1.graph.graph import node, nodes
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.shapes import Sizes
from holdfast.tf1.graph.tensors import Tensor


class TopKV2(NamedTuple):
    """The result of :func:`top_k`."""

    values: Tensor
    indices: Tensor


@public("nn.top_k", "math.top_k")
def top_k(input: Any, k: Any = 1, sorted: bool = True, name: str | None = None) -> TopKV2:
    """The k largest values along the last dimension, the largest first, and their places."""
    tensor, known = convert_to_tensor(input), known_value(k)
    count = None if known is None else int(known)
    sizes: Sizes = None if tensor.sizes is None else (*tensor.sizes[:-1], count)

    def compute(x: torch.Tensor, most: torch.Tensor) -> Any:
        # A stable order: of equal values the first comes first.
        places = torch.sort(x.detach(), dim=-1, descending=True, stable=True).indices[..., : int(most)]
        return x.gather(-1, places), places.to(torch.int32)

    values, places = nodes(
        "TopKV2", compute, [tensor, convert_to_tensor(k)], [(tensor.dtype, sizes), (int32, sizes)], name
    )
    return TopKV2(values, places)


@public("nn.in_top_k", "math.in_top_k")
def in_top_k(predictions: Any, targets: Any, k: Any, name: str | None = None) -> Tensor:
    """Whether each row's target [B] is among the k largest of its predictions [B, K]; ties count as among them."""
    scores, classes = convert_to_tensor(predictions), convert_to_tensor(targets)

    def compute(x: torch.Tensor, y: torch.Tensor, most: torch.Tensor) -> torch.Tensor:
        own = x.gather(1, y.long().unsqueeze(1))
        return ((x > own).sum(1) < most) & own.squeeze(1).isfinite()

    return node(
        "InTopKV2", compute, [scores, classes, convert_to_tensor(k)], boolean, classes.sizes, name, gradient=False
    )


def _descending(direction: str) -> bool:
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ValueError(f"The direction is {direction!r}; expected ASCENDING or DESCENDING.")
    return direction == "DESCENDING"


@public("argsort", "contrib.framework.argsort")
def argsort(
    values: Any, axis: int = -1, direction: str = "ASCENDING", stable: bool = False, name: str | None = None
) -> Tensor:
    """The places of the values along an axis, in their order."""
    tensor, down = convert_to_tensor(values), _descending(direction)

    def compute(x: torch.Tensor) -> torch.Tensor:
        return torch.argsort(x, dim=axis, descending=down, stable=True).to(torch.int32)

    return node("ArgSort", compute, [tensor], int32, tensor.sizes, name, gradient=False)


@public("sort", "contrib.framework.sort")
def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", name: str | None = None) -> Tensor:
    """The values along an axis, in their order."""
    tensor, down = convert_to_tensor(values), _descending(direction)
    return node(
        "Sort", lambda x: torch.sort(x, dim=axis, descending=down, stable=True).values, [tensor], tensor.dtype,
        tensor.sizes, name,
    )  # fmt: skip
