"""Bounds of values and of norms."""

from __future__ import annotations

from typing import Any

import torch

from holdfast.tf1.graph.arithmetic import multiply
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.differentiation import IndexedSlices
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.reductions import axes_of
from holdfast.tf1.graph.shapes import broadcast
from holdfast.tf1.graph.tensors import Tensor


@public("clip_by_value")
def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Any:
    """Values below the first bound or above the second replaced by it."""
    if isinstance(t, IndexedSlices):
        return t.with_values(clip_by_value(t.values, clip_value_min, clip_value_max, name))
    tensor = convert_to_tensor(t)
    low, high = convert_to_tensor(clip_value_min, tensor.dtype), convert_to_tensor(clip_value_max, tensor.dtype)
    return node(
        "ClipByValue", lambda x, a, b: torch.where(x < a, a, torch.where(x > b, b, x)), [tensor, low, high],
        tensor.dtype, broadcast(broadcast(tensor.sizes, low.sizes), high.sizes), name,
    )  # fmt: skip


@public("global_norm")
def global_norm(t_list: Any, name: str | None = None) -> Tensor:
    """The norm of all tensors of a list together; of rows that were looked up, of each of them."""
    values = [convert_to_tensor(t.values if isinstance(t, IndexedSlices) else t) for t in t_list if t is not None]
    if not values:
        raise ValueError("global_norm got no tensors; expected one that is not None.")

    def compute(*xs: torch.Tensor) -> torch.Tensor:
        return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(x) for x in xs]))  # type: ignore[no-any-return]

    return node("GlobalNorm", compute, values, values[0].dtype, (), name or "global_norm")


@public("clip_by_global_norm")
def clip_by_global_norm(
    t_list: Any, clip_norm: Any, use_norm: Any = None, name: str | None = None
) -> tuple[list[Any], Tensor]:
    """The tensors of a list, scaled so that their norm together is at most ``clip_norm``; and that norm before."""
    norm = global_norm(t_list) if use_norm is None else use_norm
    most = convert_to_tensor(clip_norm, norm.dtype)
    scale = node("Scale", lambda n, m: m / torch.maximum(n, m), [norm, most], norm.dtype, ())
    clipped: list[Any] = []
    for t in t_list:
        if t is None:
            clipped.append(None)
        elif isinstance(t, IndexedSlices):
            clipped.append(t.with_values(multiply(t.values, scale)))
        else:
            clipped.append(multiply(convert_to_tensor(t), scale))
    return clipped, norm


@public("clip_by_norm")
def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Any:
    """A tensor, scaled so that its norm (along ``axes``) is at most ``clip_norm``."""
    if isinstance(t, IndexedSlices):
        return t.with_values(clip_by_norm(t.values, clip_norm, axes, name))
    tensor = convert_to_tensor(t)
    most, over = convert_to_tensor(clip_norm, tensor.dtype), axes_of(axes, tensor.sizes)

    def compute(x: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        norm = torch.linalg.vector_norm(x, dim=over, keepdim=True) if over else x.abs()
        return x * (m / torch.maximum(norm, m))

    return node("ClipByNorm", compute, [tensor, most], tensor.dtype, tensor.sizes, name)


@public("clip_by_average_norm")
def clip_by_average_norm(t: Any, clip_norm: Any, name: str | None = None) -> Tensor:
    """A tensor, scaled so that its norm over the number of its values is at most ``clip_norm``."""
    tensor = convert_to_tensor(t)
    most = convert_to_tensor(clip_norm, tensor.dtype)

    def compute(x: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        return x * (m / torch.maximum(torch.linalg.vector_norm(x) / x.numel(), m))

    return node("ClipByAverageNorm", compute, [tensor, most], tensor.dtype, tensor.sizes, name)
