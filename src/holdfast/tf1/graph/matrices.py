"""Diagonals, triangles, inverses and their like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from holdfast.tf1.graph.arrays import transpose
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.dtypes import as_dtype, float32
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.names import public, publish
from holdfast.tf1.graph.shapes import Sizes
from holdfast.tf1.graph.tensors import Tensor


def _of_matrices(
    type_: str, compute: Callable[..., torch.Tensor], sizes: Callable[[Any], Sizes], says: str, *names: str
) -> Any:
    def function(input: Any, name: str | None = None) -> Tensor:
        tensor = convert_to_tensor(input)
        known = None if tensor.sizes is None else sizes(tensor.sizes)
        return node(type_, compute, [tensor], tensor.dtype, known, name)

    function.__doc__ = says
    publish(function, *names)
    return function


def _diagonal(x: torch.Tensor) -> torch.Tensor:
    return torch.diagonal(x, dim1=-2, dim2=-1)


def _shorter(sizes: Any) -> Sizes:
    rows, columns = sizes[-2:]
    return (*sizes[:-2], None if rows is None or columns is None else min(rows, columns))


def _whole_diagonal(x: torch.Tensor) -> torch.Tensor:
    return torch.diag(x.reshape(-1)).reshape(*x.shape, *x.shape)


def _part_of_the_diagonal(x: torch.Tensor) -> torch.Tensor:
    half = x.shape[: x.ndim // 2]
    count = half.numel()
    return torch.diagonal(x.reshape(count, count)).reshape(half)


diag = _of_matrices(
    "Diag", _whole_diagonal, lambda s: s + s, "A tensor with the values on its diagonal.", "diag", "linalg.tensor_diag"
)
diag_part = _of_matrices(
    "DiagPart", _part_of_the_diagonal, lambda s: s[: len(s) // 2], "The diagonal of a tensor.", "diag_part"
)
matrix_diag = _of_matrices(
    "MatrixDiag", torch.diag_embed, lambda s: (*s, s[-1]), "Matrices [..., N, N] with diagonals [..., N].",
    "matrix_diag", "linalg.diag",
)  # fmt: skip
matrix_diag_part = _of_matrices(
    "MatrixDiagPart", _diagonal, _shorter, "The diagonals of matrices.", "matrix_diag_part", "linalg.diag_part"
)
trace = _of_matrices(
    "Trace", lambda x: _diagonal(x).sum(-1), lambda s: s[:-2], "The sums of diagonals.", "trace", "linalg.trace"
)
matrix_inverse = _of_matrices(
    "MatrixInverse", torch.linalg.inv, lambda s: s, "The inverses of matrices.", "matrix_inverse", "linalg.inv"
)
matrix_determinant = _of_matrices(
    "MatrixDeterminant", torch.linalg.det, lambda s: s[:-2], "The determinants of matrices.", "matrix_determinant",
    "linalg.det",
)  # fmt: skip
cholesky = _of_matrices(
    "Cholesky", torch.linalg.cholesky, lambda s: s, "The lower triangles L of matrices L L^T.", "cholesky",
    "linalg.cholesky",
)  # fmt: skip


@public("matrix_transpose", "linalg.transpose")
def matrix_transpose(a: Any, name: str | None = None) -> Tensor:
    """Matrices with rows for columns."""
    tensor = convert_to_tensor(a)
    sizes = None if tensor.sizes is None else (*tensor.sizes[:-2], tensor.sizes[-1], tensor.sizes[-2])
    if sizes is None:
        return node("MatrixTranspose", lambda x: x.transpose(-1, -2), [tensor], tensor.dtype, None, name)
    count = len(sizes)
    return transpose(tensor, [*range(count - 2), count - 1, count - 2], name)


@public("matrix_solve", "linalg.solve")
def matrix_solve(matrix: Any, rhs: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """X for which matrix X = rhs."""
    a = convert_to_tensor(matrix)
    b = convert_to_tensor(rhs, a.dtype)

    def compute(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return torch.linalg.solve(p.transpose(-1, -2) if adjoint else p, q)  # type: ignore[no-any-return]

    return node("MatrixSolve", compute, [a, b], a.dtype, b.sizes, name)


@public("matrix_band_part", "linalg.band_part")
def matrix_band_part(input: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Tensor:
    """Matrices with zeros outside of a band around the diagonal, given as places below and above; negative: no end."""
    tensor, lower, upper = convert_to_tensor(input), convert_to_tensor(num_lower), convert_to_tensor(num_upper)

    def compute(x: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        if int(low) >= 0:
            x = torch.triu(x, -int(low))
        return torch.tril(x, int(high)) if int(high) >= 0 else x

    return node("MatrixBandPart", compute, [tensor, lower, upper], tensor.dtype, tensor.sizes, name)


@public("matrix_set_diag", "linalg.set_diag")
def matrix_set_diag(input: Any, diagonal: Any, name: str | None = None) -> Tensor:
    """Matrices with other diagonals."""
    tensor = convert_to_tensor(input)
    values = convert_to_tensor(diagonal, tensor.dtype)
    return node(
        "MatrixSetDiag", lambda x, d: torch.diagonal_scatter(x, d, dim1=-2, dim2=-1), [tensor, values], tensor.dtype,
        tensor.sizes, name,
    )  # fmt: skip


@public("eye", "linalg.eye")
def eye(
    num_rows: Any, num_columns: Any = None, batch_shape: Any = None, dtype: Any = float32, name: str | None = None
) -> Tensor:
    """The identity matrix.

    Raises:
        NotImplementedError: A size is a tensor.
    """
    if isinstance(num_rows, Tensor) or isinstance(num_columns, Tensor):
        raise NotImplementedError("eye got a size that is a tensor; expected numbers: tf.diag(tf.ones([n])) takes one.")
    rows, kind = int(num_rows), as_dtype(dtype)
    columns = rows if num_columns is None else int(num_columns)
    batch = tuple(int(size) for size in batch_shape or ())
    sizes = (*batch, rows, columns)
    return node(
        "Eye", lambda: torch.eye(rows, columns, dtype=kind.torch).expand(sizes).clone(), [], kind, sizes, name or "eye",
        gradient=False,
    )  # fmt: skip
