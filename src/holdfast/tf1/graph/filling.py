"""Tensors full of one value."""

from __future__ import annotations

from typing import Any

import torch

from holdfast.tf1.graph.convert import convert_to_tensor, known_sizes, whole_numbers
from holdfast.tf1.graph.dtypes import as_dtype
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.tensors import Tensor


@public("zeros")
def zeros(shape: Any, dtype: Any = "float32", name: str | None = None) -> Tensor:
    """Zeros of a shape."""
    return _full(shape, 0, dtype, name or "zeros")


@public("ones")
def ones(shape: Any, dtype: Any = "float32", name: str | None = None) -> Tensor:
    """Ones of a shape."""
    return _full(shape, 1, dtype, name or "ones")


@public("fill")
def fill(dims: Any, value: Any, name: str | None = None) -> Tensor:
    """A shape full of one value."""
    tensor = convert_to_tensor(value)
    sizes = known_sizes(dims)
    return node(
        "Fill", lambda to, x: x.expand(to.tolist()).clone(), [whole_numbers(dims), tensor], tensor.dtype, sizes, name
    )


def _full(shape: Any, value: Any, dtype: Any, name: str) -> Tensor:
    kind, sizes = as_dtype(dtype), known_sizes(shape)
    if sizes is not None and None not in sizes:
        whole = tuple(size or 0 for size in sizes)
        return node("Zeros", lambda: torch.full(whole, value, dtype=kind.torch), [], kind, sizes, name, gradient=False)
    return node(
        "Zeros", lambda to: torch.full(to.tolist(), value, dtype=kind.torch), [whole_numbers(shape)], kind, sizes, name,
        gradient=False,
    )  # fmt: skip


@public("zeros_like")
def zeros_like(tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True) -> Tensor:
    """Zeros of a tensor's shape."""
    return _like(tensor, dtype, torch.zeros_like, name or "zeros_like")


@public("ones_like")
def ones_like(tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True) -> Tensor:
    """Ones of a tensor's shape."""
    return _like(tensor, dtype, torch.ones_like, name or "ones_like")


def _like(tensor: Any, dtype: Any, make: Any, name: str) -> Tensor:
    value = convert_to_tensor(tensor)
    kind = as_dtype(dtype or value.dtype)
    return node("Like", lambda x: make(x, dtype=kind.torch), [value], kind, value.sizes, name, gradient=False)
