"""Products of matrices and tensors."""

from __future__ import annotations

from typing import Any

import torch

from holdfast.tf1.graph.arrays import expand_dims, squeeze
from holdfast.tf1.graph.convert import convert_to_tensor, same_kind
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.shapes import Sizes, broadcast, merged_size
from holdfast.tf1.graph.tensors import OPERATORS, Tensor


@public("matmul", "batch_matmul")
def matmul(
    a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, adjoint_a: bool = False,
    adjoint_b: bool = False, a_is_sparse: bool = False, b_is_sparse: bool = False, name: str | None = None,
    adj_x: bool = False, adj_y: bool = False,
) -> Tensor:  # fmt: skip
    """The product of matrices, or of batches of matrices [..., I, K] and [..., K, J].

    Raises:
        ValueError: The sizes that are summed over differ.
    """
    x = convert_to_tensor(a, b.dtype if isinstance(b, Tensor) and not isinstance(a, Tensor) else None)
    y = convert_to_tensor(b, x.dtype)
    flip_x, flip_y = transpose_a or adjoint_a or adj_x, transpose_b or adjoint_b or adj_y

    def compute(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return torch.matmul(p.transpose(-1, -2) if flip_x else p, q.transpose(-1, -2) if flip_y else q)

    return node(
        "MatMul", compute if flip_x or flip_y else torch.matmul, [x, y], x.dtype,
        _product_sizes(x, y, flip_x, flip_y), name,
    )  # fmt: skip


def _product_sizes(x: Tensor, y: Tensor, flip_x: bool, flip_y: bool) -> Sizes:
    if x.sizes is None or y.sizes is None:
        return None
    if len(x.sizes) < 2 or len(y.sizes) < 2:
        raise ValueError(f"matmul of shapes {x.shape} and {y.shape}; expected matrices, of two dimensions or more.")
    rows, left = x.sizes[-2:][::-1] if flip_x else x.sizes[-2:]
    right, columns = y.sizes[-2:][::-1] if flip_y else y.sizes[-2:]
    merged_size(left, right, x.sizes, y.sizes)
    batch = broadcast(x.sizes[:-2], y.sizes[:-2])
    return (*(batch or ()), rows, columns)


OPERATORS["__matmul__"] = matmul
OPERATORS["__rmatmul__"] = lambda x, y: matmul(y, x)


@public("tensordot")
def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Tensor:
    """The product of tensors, summed over ``axes``: a number of last and first ones, or two lists."""
    x = convert_to_tensor(a)
    y = convert_to_tensor(b, x.dtype)
    if isinstance(axes, int):
        over: Any = axes
        left = list(range(len(x.sizes or ()) - axes, len(x.sizes or ())))
        right = list(range(axes))
    else:
        left, right = ([each] if isinstance(each, int) else list(each) for each in axes)
        over = (left, right)
    sizes: Sizes = None
    if x.sizes is not None and y.sizes is not None:
        left, right = [a % len(x.sizes) for a in left], [b % len(y.sizes) for b in right]
        sizes = tuple(s for i, s in enumerate(x.sizes) if i not in left)
        sizes += tuple(s for i, s in enumerate(y.sizes) if i not in right)
    return node("Tensordot", lambda p, q: torch.tensordot(p, q, over), [x, y], x.dtype, sizes, name)


@public("einsum", "linalg.einsum")
def einsum(equation: str, *inputs: Any, name: str | None = None) -> Tensor:
    """The sum of products that an equation such as ``bij,jk->bik`` says."""
    tensors = same_kind(*inputs)
    spaceless = equation.replace(" ", "")
    left, arrow, right = spaceless.partition("->")
    parts = left.split(",")
    sizes: Sizes = None
    if arrow and "." not in spaceless and all(tensor.sizes is not None for tensor in tensors):
        known: dict[str, int | None] = {}
        for letters, tensor in zip(parts, tensors, strict=True):
            for letter, size in zip(letters, tensor.sizes or (), strict=True):
                known[letter] = merged_size(known.get(letter), size)
        sizes = tuple(known[letter] for letter in right)
    return node("Einsum", lambda *xs: torch.einsum(spaceless, *xs), tensors, tensors[0].dtype, sizes, name)


@public("linalg.matvec")
def matvec(a: Any, b: Any, transpose_a: bool = False, name: str | None = None) -> Tensor:
    """The products of matrices [..., I, K] and vectors [..., K]."""
    return squeeze(matmul(a, expand_dims(b, -1), transpose_a), [-1], name)
